"""The fold back onto the input's counts: truth agrees, inventions and omissions do not."""

import dataclasses
import functools

import pytest
import torch

from wolter.images.simulator import ImageSimulateConfig, ImageSimulator
from wolter.xray.imaging.consistency import (
    Agreement,
    ForwardImage,
    agreement,
    check_map,
    chi2,
    significance,
)
from wolter.xray.imaging.imager import Exposure, Imager
from wolter.xray.imaging.scenes import Scene
from wolter.xray.instruments import epic_pn_camera as camera

AXIS = (camera.AXIS_XY[1], camera.AXIS_XY[0])


@functools.cache
def parts(scale: int = 2):
    """True rate, and photons, exposure and background of the input, of a cluster among AGN."""
    config = ImageSimulateConfig(
        scenes=("cluster",),
        out_of_time=(0.0,),
        background_error=0.0,
        estimated=0.0,
        scale=scale,
        tile=0,
    )
    simulator = ImageSimulator(config)
    scene, _ = simulator.scene(3, 0)
    rates = simulator.imager.rates(scene, simulator.counts_per_flux)
    how = Exposure(20_000.0, background=1e-5)
    taken = simulator.imager.expose(rates["input"], how, camera.live(1))
    counts_HW = taken.draw(torch.Generator().manual_seed(1))
    rate_HW = rates["target"] / simulator.imager.vignetting[scale]
    return rate_HW, counts_HW, taken.exposure_HW, taken.background_HW


@pytest.mark.parametrize("scale", [1, 2])
def test_the_truth_folded_back_agrees_with_the_photons(scale):
    rate_HW, counts_HW, exposure_HW, background_HW = parts(scale)
    fold = ForwardImage(scale=scale, sharpness=1.9 if scale == 2 else 1.0, axis_yx=AXIS)
    expected_HW = fold(rate_HW, exposure_HW, background_HW)
    assert chi2(counts_HW, expected_HW, exposure_HW) == pytest.approx(1, abs=0.06)
    found = check_map(rate_HW, counts_HW, exposure_HW, background_HW, fold)
    known = found[found.isfinite()]
    assert float(known.mean()) == pytest.approx(0, abs=0.15)
    assert float(known.std()) == pytest.approx(1, abs=0.1)
    assert float(known.abs().max()) < 6


def test_an_invented_and_a_missing_source_stand_out():
    rate_HW, counts_HW, exposure_HW, background_HW = parts()
    fold = ForwardImage(axis_yx=AXIS)
    false_HW = rate_HW.clone()
    false_HW[300, 320] += 200 / 20_000
    found = check_map(false_HW, counts_HW, exposure_HW, background_HW, fold)
    assert float(found[148:153, 158:163].nan_to_num().min()) < -5
    seen_HW = counts_HW.clone()
    assert exposure_HW[250, 150] > 0
    seen_HW[250, 150] += 60
    found = check_map(rate_HW, seen_HW, exposure_HW, background_HW, fold)
    assert float(found[250, 150]) > 5


def test_photons_are_kept_and_a_flat_image_stays_flat():
    fold = ForwardImage(axis_yx=(32.0, 32.0))
    exposure_HW, none_HW = torch.full((64, 64), 1e4), torch.zeros(64, 64)
    flat_HW = fold(torch.full((128, 128), 1e-4), exposure_HW, none_HW)
    assert torch.allclose(flat_HW, torch.full((64, 64), 4.0), rtol=1e-3)
    point_HW = torch.zeros(128, 128)
    point_HW[64, 64] = 1e-2
    kernel_only = ForwardImage()(point_HW, exposure_HW, none_HW)
    assert float(kernel_only.sum()) == pytest.approx(100, rel=0.12)
    row = (kernel_only.sum(1) * torch.arange(64)).sum() / kernel_only.sum()
    assert float(row) == pytest.approx(32 - 0.25, abs=0.2)


@pytest.mark.parametrize("theta", [0.0, 10.0])
def test_a_sharp_source_becomes_a_wide_one(theta):
    """The fold of the target's image of a point is the input's image of it."""
    imager = Imager()
    scene = Scene(torch.tensor([[-60 * theta * 0.8, -60 * theta * 0.6, 1.0]]))
    rates = imager.rates(scene, {"agn": 1.0, "cluster": 1.0})
    live = {scale: torch.ones((416 * scale,) * 2, dtype=torch.bool) for scale in (1, 2)}
    wide = imager.expose(rates["input"], Exposure(1e4), live[1])
    sharp_HW = rates["target"] / imager.vignetting[2]
    made_HW = ForwardImage(axis_yx=AXIS)(sharp_HW, wide.exposure_HW, wide.background_HW)
    peak = float(wide.counts_HW.max())
    assert float((made_HW - wide.counts_HW).abs().max()) < 0.03 * peak
    assert float(made_HW.sum() / wide.counts_HW.sum()) == pytest.approx(1, abs=0.03)


def test_significance_of_known_counts():
    ones = torch.ones(9, 9)
    found = significance(ones * 4, ones * 4, ones, radius=0.0)
    assert float(found.abs().max()) == 0
    found = significance(ones * 9, ones * 4, ones, radius=0.0)
    expected = (2 * (4 - 9 + 9 * torch.tensor(9 / 4).log())) ** 0.5
    assert torch.allclose(found, expected.expand(9, 9))
    dark = ones.clone()
    dark[4, 4] = 0
    assert bool(significance(ones, ones, dark, 1.0)[4, 4].isnan())


def test_a_fold_is_a_value():
    assert ForwardImage() == dataclasses.replace(ForwardImage(scale=1), scale=2)


@pytest.mark.parametrize(("size", "level"), [(20, 0.3), (96, 0.05), (96, 3.0), (300, 0.3)])
def test_the_truth_agrees_whatever_its_size(size, level):
    for seed in range(5):
        expected_HW = torch.full((size, size), level)
        counts_HW = torch.poisson(expected_HW, torch.Generator().manual_seed(seed))
        check_HW = significance(counts_HW, expected_HW, torch.ones(size, size), 2.5)
        assert not agreement(check_HW, 4.0).bad


def test_agreement_is_the_rms_and_the_share_beyond_three_sigma():
    check_HW = torch.tensor([[3.0, -3.5, 1.0], [torch.nan, 0.0, 4.0]])
    found = agreement(check_HW, 4.0)
    assert found.rms == pytest.approx(((9 + 12.25 + 1 + 0 + 16) / 5) ** 0.5)
    assert found.beyond == pytest.approx(2 / 5)
    assert str(found) == "CHECK has an rms of 2.77, and 40.0% beyond 3 sigma"


@pytest.mark.parametrize(
    ("rms", "beyond", "disc", "bad"),
    [
        (1.15, 0.005, 0.0, False),
        (1.151, 0.0, 0.0, True),
        (1.0, 0.0051, 0.0, True),
        (1.24, 0.0149, 0.01, False),
        (1.26, 0.0, 0.01, True),
        (1.0, 0.0151, 0.01, True),
    ],
)
def test_a_bad_check_is_known_at_its_thresholds(rms, beyond, disc, bad):
    assert Agreement(rms, beyond, disc).bad is bad


def test_where_an_image_is_not_known_it_goes_on_as_beside_it():
    exposure_HW = torch.full((40, 40), 1e4)
    rate_HW = torch.full((80, 80), 2e-5)
    background_HW = torch.full((40, 40), 0.1)
    whole_HW = ForwardImage()(rate_HW, exposure_HW, background_HW)
    rate_HW[20:24] = torch.nan
    assert torch.allclose(ForwardImage()(rate_HW, exposure_HW, background_HW), whole_HW, rtol=1e-4)
