import pytest
import torch

from wolter.images.simulator import ImageSimulateConfig, ImageSimulator
from wolter.xray.imaging.background import estimate_background, with_streaks
from wolter.xray.instruments import epic_pn_camera as camera

LIVE_HW, VIGNETTING_HW = camera.live(), camera.vignetting(camera.off_axis())


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


@pytest.mark.parametrize("known", [True, False])
def test_events_out_of_time_are_told_with_the_background(known):
    """A hundred thousand photons of one source, of which some lie all along its columns."""
    level_HW = 0.2 * VIGNETTING_HW * LIVE_HW
    rate_HW = torch.zeros(416, 416)
    rate_HW[300:306, 150:156] = 1e5 / 36
    seen_HW = camera.smear(rate_HW, 0.063) * LIVE_HW
    in_place_HW = 0.937 * rate_HW * LIVE_HW
    counts_HW = torch.poisson(seen_HW + level_HW, torch.Generator().manual_seed(0))
    found_HW = with_streaks(
        counts_HW,
        2e4 * VIGNETTING_HW * LIVE_HW,
        0.063,
        camera.AXIS_XY[1],
        4.0,
        level_HW if known else None,
    )
    streak_HW = (found_HW - level_HW)[210:, 150:156]
    true_HW = (seen_HW - in_place_HW)[210:, 150:156]
    assert float(true_HW.sum()) > 5000
    # Half a percent is the photons' noise; the rest, rows that are read out and not live.
    assert float(streak_HW.sum() / true_HW.sum()) == pytest.approx(1, abs=0.08)
    assert float(found_HW[:200].sum() / level_HW[:200].sum()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("brightness", "told"), [(1, True), (20, False), (500, False)])
def test_no_background_is_told_where_sources_fill_the_field(brightness, told):
    """Its emptiest pixels would tell many times the background, and the outskirts would be lost."""
    row_H, column_W = torch.arange(416.0)[:, None], torch.arange(416.0)
    radius_HW = torch.hypot(row_H - 208, column_W - 208)
    ripples_HW = 1 + 0.5 * torch.sin(row_H / 5) * torch.sin(column_W / 5)
    level_HW = 0.2 * VIGNETTING_HW * LIVE_HW
    all_HW = level_HW + brightness * torch.exp(-radius_HW / 60) * ripples_HW * LIVE_HW
    counts_HW = torch.poisson(all_HW, torch.Generator().manual_seed(0))
    found_HW = estimate_background(counts_HW, 2e4 * VIGNETTING_HW * LIVE_HW)
    ratio = float(found_HW.sum() / level_HW.sum())
    assert 0.9 < ratio < 1.5 if told else ratio == 0


def test_out_of_time_events_are_not_background_even_where_no_source_stands_out():
    """Half of a column's faint excess is told with the background, and no longer raises it."""
    counts_HW = torch.full((60, 60), 0.2)
    counts_HW[:, 30] = 0.3
    found_HW = with_streaks(counts_HW, torch.full((60, 60), 2e4), 0.5, 30.0, 4.0)
    first = 0.2 + 0.1 / 60
    level = first - 0.5 * (0.3 - first) / 60
    assert float(found_HW[:, :30].mean()) == pytest.approx(level, rel=1e-4)


def test_nothing_comes_from_nothing():
    nothing_HW = torch.zeros(20, 30)
    assert torch.equal(estimate_background(nothing_HW, nothing_HW + 1), nothing_HW)
    assert torch.equal(estimate_background(nothing_HW + 1, nothing_HW), nothing_HW)
