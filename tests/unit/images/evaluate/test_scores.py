"""Scores against closed forms."""

from dataclasses import replace

import pytest
import torch
from tests.synthetic import IMAGES, make_images

from wolter.images.evaluate.scores import compare, coverage, deviance, scores
from wolter.images.targets import targets

LARGE = replace(IMAGES, shape=(128, 128))


def test_masked_pixels_do_not_count():
    generator = torch.Generator().manual_seed(0)
    made, true = torch.rand(2, 1, 64, 64, generator=generator)
    valid = torch.zeros(1, 64, 64, dtype=torch.bool)
    valid[:, :, :20] = True
    other = true.clone()
    other[:, :, 40:] = 0
    found, changed = (compare(made, x, 1.0, valid) for x in (true, other))
    for name in ("l1_linear", "psnr_sqrt"):
        assert torch.equal(found[name], changed[name])


def test_psnr_and_l1_of_a_constant_error():
    true = torch.full((1, 32, 32), 2e-4)
    found = compare(true + 1e-5, true, 1e-3)
    assert float(found["psnr_linear"]) == pytest.approx(40, abs=1e-3)
    assert float(found["l1_linear"]) == pytest.approx(0.01, rel=1e-4)
    assert float(compare(true + 1.0, true + 2.0, 1e-3)["psnr_linear"]) == pytest.approx(120)


def test_the_truth_has_the_lowest_deviance_of_independent_photons():
    target = targets(make_images(4, spec=LARGE, sources=40, gaps=True), LARGE)
    best = deviance(target.truth, target).mean()
    others = (
        1.1 * target.truth,
        0.9 * target.truth,
        target.truth + 1e-6,
        torch.nn.functional.avg_pool2d(target.truth, 3, 1, 1),
        target.rate,
    )
    for other in others[:-1]:
        assert float(deviance(other, target).mean()) > float(best)
    assert float(deviance(others[-1], target).mean()) == pytest.approx(0, abs=1e-6)
    found = scores(target.truth, target)
    assert float(found["true_psnr_linear"].min()) == pytest.approx(120)
    assert float(found["flux_made"].sum() / found["flux_seen"].sum()) == pytest.approx(1, abs=0.02)


def test_targets_with_background_are_judged_without_it():
    spec = replace(LARGE, target_background=True)
    target = targets(make_images(4, spec=spec, sources=40), spec)
    assert float(target.background.mean()) == pytest.approx(1e-5 / 4 * 1e5, rel=1e-3)
    found = scores(target.truth, target)
    assert float(found["flux_made"].sum() / found["flux_seen"].sum()) == pytest.approx(1, abs=0.05)
    assert float(found["true_l1_linear"].max()) < 1e-6


def test_coverage_counts_valid_pixels():
    target = targets(make_images(2, spec=LARGE, gaps=True), LARGE)
    low, high = target.truth - 1e-9, target.truth + 1e-9
    high = torch.where(target.valid, high, -1.0)
    assert coverage(low, high, target).tolist() == pytest.approx([1, 1])
    high[:, :64] = -1
    assert coverage(low, high, target).tolist() == pytest.approx([0.75, 0.75], abs=1e-3)
