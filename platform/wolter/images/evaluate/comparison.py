"""Comparison with another telescope's image: offset and flux ratio.

Shapes: H and W rows and columns of the images.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from wolter.images.evaluate.other_telescope import Image, Other, side_deg

BLUR_ARCSEC = 20.0  # pixels wider than this tell no position
REACH_ARCSEC = 30.0  # largest offset that is looked for
SMOOTH_ARCSEC = 6.0  # deviation of both images where an offset is looked for
ALIKE = 0.2  # least correlation of two images of the same sources
_COUNTS = ("counts", "count", "ct", "cts", "photon", "photons")


@dataclass(frozen=True)
class Comparison:
    """Offset and flux ratio of another telescope's image.

    Attributes:
        other: the image.
        east_arcsec, north_arcsec: from the answer's sources to the other's; None: not measured.
        ratio: flux of the other image, in its unit, for 1 ct/s of the answer, where the photons
            need sources; None: not measured.
        why: it was not measured.
    """

    other: Other
    east_arcsec: float | None = None
    north_arcsec: float | None = None
    ratio: float | None = None
    why: str = ""

    def __str__(self) -> str:
        parts = []
        if self.east_arcsec is not None and self.north_arcsec is not None:
            parts.append(
                f"offset {self.east_arcsec:+.1f} arcsec east, {self.north_arcsec:+.1f} north"
            )
        if self.ratio is not None:
            parts.append(f"{self.ratio:.4g} {self.other.unit} for 1 ct/s of the answer")
            seconds = self.other.exposure_s
            if self.other.unit.lower() in _COUNTS and seconds:
                parts.append(f"{self.ratio / seconds:.4g} of the rate by its EXPOSURE")
        if self.why:
            parts.append(self.why)
        return f"{self.other.name}: {'; '.join(parts)}"


def compare(other: Other, rate_HW: Image, needed_HW: NDArray[np.bool_], fine: Any) -> Comparison:
    """Offset and flux ratio of another image, where the answer's photons need sources.

    Args:
        other: on the answer's pixels.
        rate_HW: rate of the answer, ct/s in every pixel (S H, S W).
        needed_HW: whether photons need a source there.
        fine: sky coordinates of these pixels.
    """
    known_HW = np.isfinite(rate_HW) & np.isfinite(other.image_HW)
    if not (needed_HW & known_HW).any():
        return Comparison(other, why="no significant source in common: not measured")
    if other.arcsec > BLUR_ARCSEC:
        return Comparison(
            other, why=f"pixels of {other.arcsec:.3g} arcsec: offset and fluxes not measured"
        )
    ours_HW = np.where(known_HW, rate_HW, 0.0).astype(float)
    empty_HW = known_HW & ~needed_HW
    level = float(other.image_HW[empty_HW].mean()) if empty_HW.any() else 0.0
    theirs_HW = np.where(known_HW, other.image_HW - level, 0.0).astype(float)
    side = side_deg(fine) * 3600
    area = side**2 if other.per_area else 1.0
    source_HW = needed_HW & known_HW
    ratio = float(theirs_HW[source_HW].sum() * area / ours_HW[source_HW].sum())
    shift = _shift(ours_HW * source_HW, theirs_HW, SMOOTH_ARCSEC / side, REACH_ARCSEC / side)
    if shift is None:
        return Comparison(other, ratio=ratio, why="shows no such sources: offset not measured")
    rows, columns = rate_HW.shape
    middle = (columns - 1) / 2, (rows - 1) / 2
    here, there = (
        fine.pixel_to_world_values(middle[0] + x, middle[1] + y) for x, y in ((0, 0), shift)
    )
    turn = (float(there[0]) - float(here[0]) + 180) % 360 - 180
    east = turn * math.cos(math.radians(float(here[1]))) * 3600
    north = (float(there[1]) - float(here[1])) * 3600
    return Comparison(other, east, north, ratio)


def _shift(
    one_HW: NDArray[np.float64], other_HW: NDArray[np.float64], smooth: float, reach: float
) -> tuple[float, float] | None:
    """Columns and rows from one image to the other, where they correlate best.

    Roots of smoothed images are compared: neither the noise of a single pixel counts, nor a bright
    source alone.
    """
    ends = math.ceil(reach)
    images = [
        np.sqrt(gaussian_filter(image_HW, smooth, mode="constant").clip(0))
        for image_HW in (one_HW, other_HW)
    ]
    size = [n + ends for n in one_HW.shape]
    spectra = [np.fft.rfft2(image_HW, size) for image_HW in images]
    product_HW = np.fft.irfft2(spectra[1] * spectra[0].conj(), size)
    near_HW = np.roll(product_HW, (ends, ends), (0, 1))[: 2 * ends + 1, : 2 * ends + 1]
    norm = math.sqrt(float((images[0] ** 2).sum() * (images[1] ** 2).sum()))
    row, column = np.unravel_index(near_HW.argmax(), near_HW.shape)
    inside = 0 < row < 2 * ends and 0 < column < 2 * ends
    if not inside or near_HW[row, column] < ALIKE * norm:
        return None
    x = _vertex(near_HW[row, column - 1 : column + 2])
    y = _vertex(near_HW[row - 1 : row + 2, column])
    return float(column - ends + x), float(row - ends + y)


def _vertex(heights: NDArray[np.float64]) -> float:
    """Vertex of the parabola through three heights, relative to the middle one."""
    bend = heights[0] - 2 * heights[1] + heights[2]
    return float(0.5 * (heights[0] - heights[2]) / bend) if bend < 0 else 0.0
