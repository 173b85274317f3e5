"""Another telescope's image of the same sky, brought onto the answer's pixels.

Shapes: H and W rows and columns of the coarse image, S H and S W those of the answer, N pieces of
pixels.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray.imaging.image_file import read_image
from wolter.xray.instruments.pointing import celestial

if TYPE_CHECKING:
    from astropy.io import fits

Image = NDArray[np.float32]
EDGE_POINTS = 33  # along a side of the field, that find it in the other image
COARSE = 8.0  # of our pixels: wider ones are looked up, and not cut into pieces


@dataclass(frozen=True)
class Other:
    """Another image on the answer's pixels.

    Attributes:
        name: name of its file.
        image_HW: (S H, S W), NaN where it does not reach.
        unit: its own.
        arcsec: side of its own pixels.
        exposure_s: by its header; None where it tells none.
    """

    name: str
    image_HW: Image
    unit: str
    arcsec: float
    exposure_s: float | None = None

    @property
    def per_area(self) -> bool:
        """True if values are per solid angle rather than per pixel."""
        return _per_area(self.unit)


def read_other(path: Path, world: Any, shape: tuple[int, int], scale: int) -> Other:
    """Bring an image onto other pixels (S H, S W) of the same sky.

    Values per pixel are summed, those per solid angle averaged. Only the part that shows the same
    sky is worked on. Small pixels go, in pieces, to the pixels that these fall into, so that counts
    are kept; wide ones are looked up.

    Args:
        path: FITS image.
        world: sky coordinates (`wolter.xray.instruments.pointing.celestial`) of the coarse pixels
            (H, W).
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
    unit = _unit(values_HW, header)
    part = _part(theirs, world, shape, scale, values_HW.shape)
    side, ours = side_deg(theirs), side_deg(world) / scale
    image_HW = None
    if part is not None:
        put = _summed if side < COARSE * ours else _looked_up
        image_HW = put(values_HW[part], theirs[part], world, shape, scale)
    if image_HW is None or not np.isfinite(image_HW).any():
        raise InputError(f"{path}: shows another part of the sky; give an image of this one")
    if not _per_area(unit) and side >= COARSE * ours:
        image_HW = image_HW * (ours / side) ** 2
    elif _per_area(unit) and side < COARSE * ours:
        ones_HW = _summed(np.ones_like(values_HW[part]), theirs[part], world, shape, scale)
        image_HW = image_HW / ones_HW
    return Other(path.name, image_HW.astype(np.float32), unit, side * 3600, _exposure(header))


def _part(
    theirs: Any, ours: Any, shape: tuple[int, int], scale: int, size: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Rows and columns of the other image that our field lies in; None where it does not."""
    y_N, x_N = (
        each.ravel()
        for each in np.meshgrid(
            *(np.linspace(-0.5, n / scale - 0.5, EDGE_POINTS) for n in shape), indexing="ij"
        )
    )
    at = theirs.world_to_pixel_values(*ours.pixel_to_world_values(x_N, y_N))
    slices = []
    for values, n in zip(reversed(at), size, strict=True):
        known = np.asarray(values)[np.isfinite(values)]
        if not len(known):
            return None
        first, last = math.floor(known.min()) - 1, math.ceil(known.max()) + 2
        slices.append(slice(min(max(first, 0), n), min(max(last, 0), n)))
        if slices[-1].start >= slices[-1].stop:
            return None
    return slices[0], slices[1]


def _summed(
    values_HW: Image, theirs: Any, ours: Any, shape: tuple[int, int], scale: int
) -> NDArray[np.float64]:
    """Values within each of our pixels; NaN where none was known."""
    rows, columns = shape
    # Along each side of a pixel, so that a piece is smaller than a pixel of the answer; a computed
    # ratio may lie just above a whole one.
    pieces = max(1, math.ceil(2 * side_deg(theirs) * scale / side_deg(ours) - 1e-9))
    fine_HW = values_HW.repeat(pieces, 0).repeat(pieces, 1)
    y_N, x_N = ((at.ravel() + 0.5) / pieces - 0.5 for at in np.indices(fine_HW.shape))
    sky = theirs.pixel_to_world_values(x_N, y_N)
    column_N, row_N = (
        np.floor((np.asarray(at) + 0.5) * scale) for at in ours.world_to_pixel_values(*sky)
    )
    value_N = fine_HW.ravel() / pieces**2
    inside_N = (row_N >= 0) & (row_N < rows) & (column_N >= 0) & (column_N < columns)
    inside_N &= np.isfinite(value_N)
    index_N = (row_N[inside_N] * columns + column_N[inside_N]).astype(np.int64)
    total = np.bincount(index_N, value_N[inside_N], rows * columns)
    reached = np.bincount(index_N, minlength=rows * columns) > 0
    return np.where(reached, total, np.nan).reshape(rows, columns)


def _looked_up(
    values_HW: Image, theirs: Any, ours: Any, shape: tuple[int, int], scale: int
) -> NDArray[np.float64]:
    """Value of the pixel that the middle of each of ours lies in; NaN where there is none."""
    y_HW, x_HW = ((at + 0.5) / scale - 0.5 for at in np.indices(shape))
    sky = ours.pixel_to_world_values(x_HW, y_HW)
    column_HW, row_HW = (
        np.floor(np.asarray(at) + 0.5) for at in theirs.world_to_pixel_values(*sky)
    )
    rows, columns = values_HW.shape
    inside_HW = (row_HW >= 0) & (row_HW < rows) & (column_HW >= 0) & (column_HW < columns)
    image_HW = np.full(shape, np.nan)
    place = row_HW[inside_HW].astype(int), column_HW[inside_HW].astype(int)
    image_HW[inside_HW] = values_HW[place]
    return image_HW


def side_deg(world: Any) -> float:
    """Side of a pixel, deg."""
    return math.sqrt(float(world.proj_plane_pixel_area().to_value("deg2")))


def _unit(values_HW: Image, header: "fits.Header") -> str:
    """Unit of the values, as the header says it; counts where whole numbers have none."""
    told = str(header.get("BUNIT", "")).strip()
    known = values_HW[np.isfinite(values_HW)]
    if told:
        return told
    return "counts" if (known == np.round(known)).all() else "no unit"


def _per_area(unit: str) -> bool:
    return any(word in unit.lower() for word in ("arcsec", "arcmin", "deg", "sr"))


def _exposure(header: "fits.Header") -> float | None:
    try:
        seconds = float(header["EXPOSURE"])
    except (KeyError, TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
