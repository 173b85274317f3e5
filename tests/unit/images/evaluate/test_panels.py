"""Pictures side by side: colour bars that can be read, whatever the image."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import AsinhNorm
from tests.unit.spectra.evaluate.plots.test_predicted_true import drawn_inside

from wolter.images.evaluate.panels import TICK_GAP, Panel, Sky, asinh_ticks, side_by_side
from wolter.report import style

POISSON = np.random.default_rng(0).poisson


def overlaps(axes):
    """Tick labels of a colour bar that lie over each other."""
    renderer = axes.figure.canvas.get_renderer()
    labels = [each for each in axes.get_xticklabels() if each.get_text()]
    boxes = sorted((each.get_window_extent(renderer) for each in labels), key=lambda box: box.x0)
    return [one for one, other in itertools.pairwise(boxes) if one.x1 > other.x0]


@pytest.mark.parametrize(
    "image_HW",
    [
        np.zeros((40, 50)),
        np.full((40, 50), np.nan),
        POISSON(1e5, (40, 50)),
        POISSON(0.01, (40, 50)),
        np.full((2, 2), 1e-30),
        POISSON(1, (3, 400)),
        -np.ones((40, 50)),
    ],
    ids=["zeros", "nan", "bright", "faint", "tiny", "strip", "negative"],
)
def test_any_image_is_drawn_with_labels_apart(image_HW):
    sky = Sky((0.0, 1.0), (-1.0, 0.0), np.array([[1.0, 1.0]]))
    image_HW = image_HW.astype(np.float32)
    panels = [
        Panel("input", image_HW, "rate", 4.0, sky=sky),
        Panel("n" * 80, image_HW, "other", 2.0, "photon/cm**2/s / pixel of the answer"),
        Panel("check", image_HW, "sigma", 4.0),
    ]
    figure = side_by_side(panels, "a_long_name_0" * 30, "below " * 100)
    assert drawn_inside(figure)
    bars = figure.axes[1::2]
    assert [bar.get_xlabel() for bar in bars] == [
        r"ct s$^{-1}$ arcsec$^{-2}$", "photon/cm**2/s / pixel of the answer", "sigma"
    ]  # fmt: skip
    assert not any(overlaps(bar) for bar in bars)


@pytest.mark.parametrize("top", [1.0, 3.7e-5, 9.9e3, 1.01e-9, 2.2])
def test_ticks_are_round_numbers_apart(top):
    norm = AsinhNorm(0.02 * top, 0, top)
    ticks = asinh_ticks(norm)
    assert ticks[0] == 0
    assert 3 <= len(ticks) <= 1 + 1 / TICK_GAP
    assert np.diff(norm(np.array(ticks))).min() >= TICK_GAP - 1e-9
    for tick in ticks[1:]:
        assert float(f"{tick:.0e}") == pytest.approx(tick)


def test_north_a_bar_and_sources_are_drawn():
    sky = Sky((0.0, 1.0), (-1.0, 0.0), np.array([[10.0, 20.0], [30.0, 5.0]]))
    panel = Panel("a", np.ones((100, 100), np.float32), "rate", 2.0, sky=sky)
    axes = side_by_side([panel]).axes[0]
    assert [text.get_text() for text in axes.texts if text.get_text()] == ["1′", "N", "E"]
    (bar,) = axes.lines
    assert np.diff(bar.get_xdata()) * 2 == pytest.approx(60)
    rings = [patch for patch in axes.patches if hasattr(patch, "radius")]
    assert [ring.center for ring in rings] == [(10, 20), (30, 5)]
    assert style.to_bytes(axes.figure, ".pdf").startswith(b"%PDF")
