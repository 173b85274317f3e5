"""Images without a network: photons are kept, and deconvolution sharpens."""

from dataclasses import replace

import pytest
import torch
from tests.synthetic import IMAGES, make_images

from wolter.images.evaluate import baselines
from wolter.images.evaluate.scores import deviance
from wolter.images.targets import targets
from wolter.xray.imaging.consistency import ForwardImage

SPEC = replace(IMAGES, shape=(96, 96))


def test_every_baseline_is_a_rate_on_the_targets_grid():
    batch = make_images(2, spec=SPEC, sources=20, gaps=True)
    found = list(baselines.baselines(batch, 2, ForwardImage()))
    assert {each.method for each in found} == {"input", "bicubic", "Gaussian", "Richardson-Lucy"}
    for each in found:
        assert each.rate_BHW.shape == (2, 192, 192)
        assert bool((each.rate_BHW >= 0).all())
        assert bool(each.rate_BHW.isfinite().all())
    alone = list(baselines.baselines(batch, 2, None))
    assert "Richardson-Lucy" not in {each.method for each in alone}


def test_flux_is_kept():
    batch = make_images(4, spec=SPEC, sources=40)
    own = batch.counts_BHW.sum((1, 2)) / batch.exposure_BHW.mean((1, 2))
    assert torch.allclose(baselines.nearest(batch, 2).sum((1, 2)), own)
    # Expectation maximisation keeps all photons, of which some come from beyond the edges.
    ((n, rate_BHW),) = baselines.richardson_lucy(batch, ForwardImage(), (5,), background=True)
    assert n == 5
    expected_BHW = torch.nn.functional.avg_pool2d(rate_BHW, 2) * 4 * batch.exposure_BHW
    inner = (slice(None), slice(20, -20), slice(20, -20))
    assert float(expected_BHW[inner].sum() / batch.counts_BHW[inner].sum()) == pytest.approx(
        1, abs=0.03
    )


def test_deconvolution_and_smoothing_come_closer_to_the_truth_than_the_input():
    bright = make_images(4, spec=SPEC, sources=60)
    target = targets(bright, SPEC)
    found = {
        (each.method, each.setting): float(deviance(each.rate_BHW, target).mean())
        for each in baselines.baselines(bright, 2, ForwardImage(sharpness=2.0))
    }
    raw = found["input", ""]
    assert min(v for (method, _), v in found.items() if method == "Gaussian") < raw
    assert min(v for (method, _), v in found.items() if method == "Richardson-Lucy") < raw


def test_smoothing_keeps_a_flat_image_flat_up_to_the_edges():
    batch = make_images(1, spec=SPEC, sources=1)
    batch.counts_BHW = batch.exposure_BHW * 1e-4
    batch.background_BHW = torch.zeros_like(batch.counts_BHW)
    rate_BHW = baselines.gaussian(batch, 2, 2.0)
    assert torch.allclose(rate_BHW, torch.full_like(rate_BHW, 2.5e-5), rtol=1e-4)
