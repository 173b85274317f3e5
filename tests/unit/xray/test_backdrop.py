import pytest
import torch

from wolter.data.image_simulator import ImageSimulateConfig, ImageSimulator
from wolter.xray import detector
from wolter.xray.backdrop import estimate_background

LIVE_HW, VIGNETTING_HW = detector.live(), detector.vignetting(detector.off_axis())


@pytest.mark.parametrize(("level", "particles"), [(0.02, 0.3), (0.2, 0.4), (1.0, 0.8), (0.5, 0.0)])
def test_an_image_of_background_alone(level, particles):
    true_HW = level * (particles + (1 - particles) * VIGNETTING_HW) * LIVE_HW
    counts_HW = torch.poisson(true_HW, torch.Generator().manual_seed(0))
    found_HW = estimate_background(counts_HW, 2e4 * VIGNETTING_HW * LIVE_HW)
    assert float(found_HW.sum() / true_HW.sum()) == pytest.approx(1, abs=0.05)
    assert not found_HW[~LIVE_HW].any()


def test_sources_are_left_out():
    true_HW = 0.2 * LIVE_HW * VIGNETTING_HW
    bright_HW = true_HW.clone()
    bright_HW[100:110, 100:110] += 50
    bright_HW[200:280, 150:230] += 0.3
    counts_HW = torch.poisson(bright_HW * LIVE_HW, torch.Generator().manual_seed(0))
    found_HW = estimate_background(counts_HW, 2e4 * VIGNETTING_HW * LIVE_HW)
    assert float(found_HW.sum() / true_HW.sum()) == pytest.approx(1, abs=0.06)


def test_images_of_the_simulator():
    """Among AGN of the log N - log S, which count as background where they are too faint."""
    for scene, tolerance in (("agn", 0.15), ("pairs", 0.15), ("remnant", 0.2)):
        config = ImageSimulateConfig(
            scenes=(scene,), exposure_s=(2e4, 2e4), scale=1, background_error=0.0, estimated=0.0
        )
        pair = ImageSimulator(config).draw(5, 0).pair
        found_HW = estimate_background(pair.counts_BHW[0], pair.exposure_BHW[0])
        ratio = float(found_HW.sum() / pair.background_BHW.sum())
        assert ratio == pytest.approx(1, abs=tolerance), scene


def test_nothing_comes_from_nothing():
    nothing_HW = torch.zeros(20, 30)
    assert torch.equal(estimate_background(nothing_HW, nothing_HW + 1), nothing_HW)
    assert torch.equal(estimate_background(nothing_HW + 1, nothing_HW), nothing_HW)
