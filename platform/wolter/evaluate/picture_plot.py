"""Pictures side by side: rates, counts and residuals; another telescope's on the same pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.evaluate import style
from wolter.xray.attitude import celestial
from wolter.xray.image_file import read_image

Image = NDArray[np.float32]

BRIGHT = 99.7  # percentile of the exposed pixels that is drawn white
SOFT = 0.02  # of the brightest: below it the scale is linear
SIGMA = 5.0  # ends of the check's scale
SIDE = 3.1  # inches of a panel


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: above it.
        image_HW: NaN where there is nothing.
        kind: "rate" (ct/s), "counts" or "sigma".
        arcsec: side of a pixel; rates are drawn per arcsec^2.
    """

    title: str
    image_HW: Image
    kind: str
    arcsec: float


def side_by_side(panels: Sequence[Panel], heading: str = "") -> Figure:
    """Panels in a row, each with its scale; rates share theirs."""
    figure = style.new_figure(len(panels) * (SIDE + 0.25) + 0.2, SIDE + 1.15)
    rates = [p.image_HW / p.arcsec**2 for p in panels if p.kind == "rate"]
    top = max((float(np.nanpercentile(each, BRIGHT)) for each in rates[:2]), default=1.0)
    for i, panel in enumerate(panels):
        axes = style.place(figure, 0.2 + i * (SIDE + 0.25), 0.6, SIDE, SIDE)
        _show(figure, axes, panel, top)
        axes.set_title(panel.title, fontsize=style.MEDIUM)
    style.title(figure, heading)
    return figure


def _show(figure: Figure, axes: Axes, panel: Panel, top: float) -> None:
    image_HW, norm, colours, unit = panel.image_HW, None, "magma", ""
    if panel.kind == "sigma":
        norm, colours, unit = Normalize(-SIGMA, SIGMA), "RdBu_r", "sigma"
    elif panel.kind == "rate":
        image_HW = image_HW / panel.arcsec**2
        norm, unit = AsinhNorm(SOFT * top, 0, top), r"ct s$^{-1}$ arcsec$^{-2}$"
    else:
        bright = max(float(np.nanpercentile(image_HW, BRIGHT)), 1e-12)
        norm, unit = AsinhNorm(SOFT * bright, 0, bright), "counts"
    shown = axes.imshow(image_HW, norm=norm, cmap=colours, origin="lower", interpolation="nearest")
    axes.set_facecolor("#d8d8d8")
    axes.set_xticks([])
    axes.set_yticks([])
    left, _, width, _ = axes.get_position().bounds
    height = float(figure.get_size_inches()[1])
    scale = figure.add_axes((left, 0.42 / height, width, 0.1 / height))
    bar = figure.colorbar(shown, cax=scale, orientation="horizontal")
    bar.ax.tick_params(labelsize=style.SMALL - 1, length=2)
    bar.set_label(unit, fontsize=style.SMALL - 1, labelpad=1)


def on_grid(path: Path, world: Any, shape: tuple[int, int], scale: int) -> Image:
    """An image of counts on other pixels (S H, S W) of the same sky: the counts within each.

    Every pixel goes, in pieces, to the pixels that these fall into, so that counts are kept; NaN
    where the image does not reach.

    Args:
        path: FITS image.
        world: sky coordinates (`wolter.xray.attitude.celestial`) of the coarse pixels (H, W).
        shape: rows and columns of the fine pixels, S H and S W.
        scale: fine pixels along a side of a coarse one, S.

    Raises:
        InputError: it shows another part of the sky, or has no sky coordinates.
    """
    values_HW, header = read_image(path)
    theirs = celestial(header)
    if theirs is None or world is None:
        whose = path if theirs is None else "the image to compare with it"
        raise InputError(
            f"{path}: {whose} has no sky coordinates (RA, Dec), which a comparison needs"
        )
    rows, columns = shape
    pieces = _pieces(theirs, world, scale)
    finer = [size * pieces for size in values_HW.shape]
    y_N, x_N = ((at.ravel() + 0.5) / pieces - 0.5 for at in np.indices(finer))
    sky = theirs.pixel_to_world_values(x_N, y_N)
    column_N, row_N = (
        np.floor((np.asarray(at) + 0.5) * scale) for at in world.world_to_pixel_values(*sky)
    )
    inside_N = (row_N >= 0) & (row_N < rows) & (column_N >= 0) & (column_N < columns)
    if not inside_N.any():
        raise InputError(f"{path}: shows another part of the sky; give an image of this one")
    index_N = (row_N * columns + column_N)[inside_N].astype(np.int64)
    value_N = np.nan_to_num(values_HW).repeat(pieces, 0).repeat(pieces, 1).ravel() / pieces**2
    total = np.bincount(index_N, value_N[inside_N], rows * columns)
    reached = np.bincount(index_N, minlength=rows * columns) > 0
    image_HW: Image = np.where(reached, total, np.nan).reshape(rows, columns).astype(np.float32)
    return image_HW


def _pieces(theirs: Any, ours: Any, scale: int) -> int:
    """Along each side of a pixel, so that a piece is smaller than a pixel of the answer."""
    sides: list[float] = [
        float(each.proj_plane_pixel_area().to_value("deg2")) ** 0.5 for each in (theirs, ours)
    ]
    finer: float = 2 * sides[0] * scale / sides[1]
    return max(1, math.ceil(finer))
