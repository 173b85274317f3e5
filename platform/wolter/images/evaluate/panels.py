"""Pictures side by side: rates, counts and residuals, with north, a scale bar and sources.

Shapes: H and W rows and columns of a picture, N sources.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from wolter.report import style

Image = NDArray[np.float32]

BRIGHT = 99.7  # percentile of the exposed pixels that is drawn white
SOFT = 0.02  # of the brightest: below it the scale is linear
SIGMA = 5.0  # ends of the check's scale
SIDE = 3.1  # inches of a panel
TICK_GAP = 0.2  # of a colour bar's length, between ticks
BARS_ARCSEC = (5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)  # lengths of scale bars
RING_COLOUR = "#5ff5ff"
RING_ARCSEC, RING_SHARE = 12.0, 0.02  # least radius around a source, and that of the picture


@dataclass(frozen=True)
class Sky:
    """Overlay of an image: compass, scale bar, sources.

    Attributes:
        north_xy: direction to the north, in columns and rows; None: not known.
        east_xy: direction to the east.
        sources_N2: columns and rows of sources to mark; None: none.
    """

    north_xy: tuple[float, float] | None = None
    east_xy: tuple[float, float] | None = None
    sources_N2: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: above it.
        image_HW: NaN where there is nothing.
        kind: "rate" (ct/s, drawn per arcsec^2), "sigma", or "other", in a unit of its own.
        arcsec: side of a pixel.
        unit: unit of other values.
        sky: what is drawn over it; None: nothing.
    """

    title: str
    image_HW: Image
    kind: str
    arcsec: float
    unit: str = ""
    sky: Sky | None = None


def side_by_side(panels: Sequence[Panel], heading: str = "", below: str = "") -> Figure:
    """Panels in a row, each with its scale; rates share theirs.

    Args:
        panels: at least one.
        heading: above them.
        below: a line beneath them.
    """
    foot = 0.25 if below else 0.0
    figure = style.new_figure(len(panels) * (SIDE + 0.25) + 0.2, SIDE + 1.15 + foot)
    rates = [p.image_HW / p.arcsec**2 for p in panels if p.kind == "rate"]
    top = max((_brightest(each) for each in rates[:2]), default=1.0)
    for i, panel in enumerate(panels):
        axes = style.place(figure, 0.2 + i * (SIDE + 0.25), 0.6 + foot, SIDE, SIDE)
        _show(figure, axes, panel, top)
        axes.set_title(style.shortened(panel.title, SIDE), fontsize=style.MEDIUM)
        if panel.sky is not None:
            _overlay(axes, panel, panel.sky)
    style.title(figure, heading)
    if below:
        width, height = map(float, figure.get_size_inches())
        line = style.shortened(below, width - 0.3, style.SMALL)
        figure.text(0.5, 0.08 / height, line, fontsize=style.SMALL, ha="center", va="bottom")
    return figure


def _brightest(image_HW: Image) -> float:
    """Value that is drawn white; above 0 for every image."""
    known = image_HW[np.isfinite(image_HW)]
    if not len(known) or known.max() <= 0:
        return 1.0
    # Of an image with few bright pixels, the percentile may be 0.
    return float(np.percentile(known, BRIGHT)) or float(known.max())


def _show(figure: Figure, axes: Axes, panel: Panel, top: float) -> None:
    image_HW, colours = panel.image_HW, "magma"
    norm: Normalize
    if panel.kind == "sigma":
        norm, colours, unit = Normalize(-SIGMA, SIGMA), "RdBu_r", "sigma"
    elif panel.kind == "rate":
        image_HW = image_HW / panel.arcsec**2
        norm, unit = AsinhNorm(SOFT * top, 0, top), r"ct s$^{-1}$ arcsec$^{-2}$"
    else:
        bright = _brightest(image_HW)
        norm, unit = AsinhNorm(SOFT * bright, 0, bright), panel.unit
    shown = axes.imshow(image_HW, norm=norm, cmap=colours, origin="lower", interpolation="nearest")
    axes.set_facecolor("#d8d8d8")
    axes.set_xticks([])
    axes.set_yticks([])
    left, bottom, width, _ = axes.get_position().bounds
    height = float(figure.get_size_inches()[1])
    scale = figure.add_axes((left, bottom - 0.18 / height, width, 0.1 / height))
    bar = figure.colorbar(shown, cax=scale, orientation="horizontal")
    if isinstance(norm, AsinhNorm):
        ticks = asinh_ticks(norm)
        bar.set_ticks(ticks, labels=[_number(tick) for tick in ticks])
        bar.minorticks_off()
    bar.ax.tick_params(labelsize=style.SMALL - 1, length=2)
    bar.set_label(unit, fontsize=style.SMALL - 1, labelpad=1)


def asinh_ticks(norm: Normalize) -> list[float]:
    """0 and round numbers on a scale, apart by `TICK_GAP` of its length at least."""
    top = float(norm.vmax or 1.0)
    first = math.floor(math.log10(top))
    ticks = [0.0]
    for step in (1.0, 5.0, 2.0):
        for power in range(first, first - 5, -1):
            tick = step * 10.0**power
            apart = [abs(float(norm(tick) - norm(other))) for other in ticks]
            if tick <= top and min(apart) >= TICK_GAP:
                ticks.append(tick)
    return sorted(ticks)


def _number(value: float) -> str:
    if value == 0 or 0.01 <= value < 1e4:
        return f"{value:g}"
    power = math.floor(math.log10(value) + 1e-9)
    factor = round(value / 10.0**power)
    return rf"$10^{{{power}}}$" if factor == 1 else rf"${factor}\times10^{{{power}}}$"


def _overlay(axes: Axes, panel: Panel, sky: Sky) -> None:
    """North and east in the upper right corner, a scale bar in the lower left, and sources."""
    edged: dict[str, Any] = {
        "path_effects": [patheffects.withStroke(linewidth=2.0, foreground="black")]
    }
    rows, columns = panel.image_HW.shape
    side = max(rows, columns)
    radius = max(RING_ARCSEC / panel.arcsec, RING_SHARE * side)
    for x, y in () if sky.sources_N2 is None else sky.sources_N2:
        ring = Circle((x, y), radius, fill=False, color=RING_COLOUR, lw=0.9)
        axes.add_patch(ring)
    length = max((b for b in BARS_ARCSEC if b <= 0.35 * columns * panel.arcsec), default=None)
    if length is not None:
        x, y = 0.05 * columns - 0.5, 0.05 * rows - 0.5
        ends = [x, x + length / panel.arcsec]
        axes.plot(ends, [y, y], color="white", linewidth=1.6, solid_capstyle="butt", **edged)
        text = f"{length // 60}′" if length >= 60 else f"{length}″"
        middle = sum(ends) / 2
        axes.text(
            middle, y + 0.02 * rows, text, color="white", ha="center", fontsize=style.SMALL, **edged
        )
    if sky.north_xy is None or sky.east_xy is None:
        return
    arm = 0.1 * side
    root = np.array([columns - 0.5, rows - 0.5]) - 1.75 * arm
    for name, way in (("N", sky.north_xy), ("E", sky.east_xy)):
        tip = root + arm * np.array(way)
        arrow = {"arrowstyle": "-|>", "color": "white", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", tip, root, arrowprops=arrow | edged)
        at = root + 1.35 * arm * np.array(way)
        x, y = map(float, at)
        axes.text(
            x, y, name, color="white", ha="center", va="center", fontsize=style.SMALL, **edged
        )
