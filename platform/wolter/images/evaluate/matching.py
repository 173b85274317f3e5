"""Matching of detected sources with true ones.

Shapes: N true sources, M detections.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from wolter.images.evaluate.detection import Array, Detections, Image, detect
from wolter.images.evaluate.photometry import photometry

Mask = NDArray[np.bool_]
RADIUS_ARCSEC = 8.0  # between a source and its detection
FAINTEST = 5e-16  # erg cm^-2 s^-1: fainter sources count as none
SEPARATIONS = (4.0, 8.0, 12.0, 16.0, 24.0, 40.0)  # edges of bins, arcsec
PAIRED = 2e-15  # erg cm^-2 s^-1: faintest source of a pair
ALONE_ARCSEC, ALONE = 45.0, 0.1  # a source is alone if others around it have less of its flux


@dataclass(frozen=True)
class Matched:
    """True sources of one or several fields with their detections.

    Attributes:
        flux_N: erg cm^-2 s^-1.
        counts_N: expected in the exposure.
        theta_N: arcmin.
        score_N: score of its detection; -inf where there is none.
        offset_N: arcsec from its detection; NaN.
        ratio_N: measured over true rate, at the true place; NaN where not measured.
        alone_N: True for isolated sources, without a comparable one nearby.
        apart_N: distance to the other source of its pair, arcsec; NaN where it is in none.
        partner_N: number of that source; -1.
        false_M: scores of detections that are no source.
    """

    flux_N: Array
    counts_N: Array
    theta_N: Array
    score_N: Array
    offset_N: Array
    ratio_N: Array
    alone_N: Mask
    apart_N: Array
    partner_N: NDArray[np.int_]
    false_M: Array

    @classmethod
    def joined(cls, parts: Sequence["Matched"]) -> "Matched":
        """Join the sources of several fields."""
        starts = np.cumsum([0, *(len(each.flux_N) for each in parts)])
        columns = {
            name: np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])
        }
        columns["partner_N"] = np.concatenate(
            [
                np.where(p.partner_N < 0, -1, p.partner_N + first)
                for p, first in zip(parts, starts, strict=False)
            ]
        )
        return cls(**columns)


def match(
    image: Image,
    point_N3: Array,
    counts_per_flux: float,
    find: Callable[[Image], Detections] = detect,
    paired: bool = True,
) -> Matched:
    """Find sources in an image and compare with the true ones, brightest first.

    Args:
        image: image of one field.
        point_N3: x, y (arcsec) and flux of the true sources.
        counts_per_flux: ct/s on the axis per erg cm^-2 s^-1.
        find: detects.
        paired: look for close pairs.
    """
    point_N3 = point_N3[point_N3[:, 2] >= FAINTEST]
    point_N3 = point_N3[np.argsort(-point_N3[:, 2])]
    alone_N = _alone(point_N3)
    column_N, row_N = image.pixels(point_N3[:, :2]).T
    exposure_N = map_coordinates(image.exposure_HW, (row_N, column_N), order=0, mode="constant")
    live_N = exposure_N > 0
    point_N3, alone_N, exposure_N = point_N3[live_N], alone_N[live_N], exposure_N[live_N]
    found = find(image)
    score_N, offset_N, used = _assign(point_N3[:, :2], found)
    rate_N = point_N3[:, 2] * counts_per_flux
    apart_N, partner_N = _pairs(point_N3 if paired else point_N3[:0], len(point_N3))
    return Matched(
        flux_N=point_N3[:, 2],
        counts_N=rate_N * exposure_N,
        theta_N=np.hypot(point_N3[:, 0], point_N3[:, 1]) / 60,
        score_N=score_N,
        offset_N=offset_N,
        ratio_N=photometry(image, point_N3[:, :2]) / rate_N,
        alone_N=alone_N,
        apart_N=apart_N,
        partner_N=partner_N,
        false_M=found.score_N[~used],
    )


def _assign(arcsec_N2: Array, found: Detections) -> tuple[Array, Array, Mask]:
    """Score and distance of every source's detection; which detections are sources'."""
    n, m = len(arcsec_N2), len(found.score_N)
    score_N, offset_N, used = np.full(n, -np.inf), np.full(n, np.nan), np.zeros(m, dtype=bool)
    if not m:
        return score_N, offset_N, used
    tree = cKDTree(found.arcsec_N2)
    for i, near in enumerate(tree.query_ball_point(arcsec_N2, RADIUS_ARCSEC)):
        distances = {j: float(np.hypot(*(found.arcsec_N2[j] - arcsec_N2[i]))) for j in near}
        free = [j for j in near if not used[j]]
        if free:
            best = min(free, key=distances.__getitem__)
            used[best] = True
            score_N[i], offset_N[i] = found.score_N[best], distances[best]
    return score_N, offset_N, used


def _alone(point_N3: Array) -> Mask:
    """Mask of isolated sources: all others within `ALONE_ARCSEC` are faint beside them."""
    near = cKDTree(point_N3[:, :2]).query_ball_point(point_N3[:, :2], ALONE_ARCSEC)
    flux_N = point_N3[:, 2]
    others_N = np.array([flux_N[each].sum() for each in near]) - flux_N
    alone_N: Mask = others_N < ALONE * flux_N
    return alone_N


def _pairs(point_N3: Array, n: int) -> tuple[Array, NDArray[np.int_]]:
    """Distances and numbers (n) of mutual nearest neighbours among the brighter sources."""
    apart_N, partner_N = np.full(n, np.nan), np.full(n, -1)
    bright = np.flatnonzero(point_N3[:, 2] >= PAIRED)
    if len(bright) < 2:
        return apart_N, partner_N
    distance, neighbour = cKDTree(point_N3[bright, :2]).query(point_N3[bright, :2], k=2)
    nearest = neighbour[:, 1]
    mutual = (nearest[nearest] == np.arange(len(bright))) & (distance[:, 1] <= SEPARATIONS[-1])
    apart_N[bright[mutual]] = distance[mutual, 1]
    partner_N[bright[mutual]] = bright[nearest[mutual]]
    return apart_N, partner_N
