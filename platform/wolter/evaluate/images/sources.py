"""Sources found against those that are there: completeness, purity, fluxes, positions, pairs.

Shapes: N true sources, M detections.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.special import expit

from wolter.evaluate.images.detection import Array, Detections, Image, detect
from wolter.evaluate.images.photometry import photometry

Mask = NDArray[np.bool_]
RADIUS_ARCSEC = 8.0  # between a source and its detection
PURITY = 0.95
FAINTEST = 5e-16  # erg cm^-2 s^-1: fainter sources count as none
FLUXES = (5e-16, 1e-15, 2e-15, 4e-15, 8e-15, 2e-14, 1e-12)  # edges of bins
ANGLES = (0.0, 4.0, 8.0, 12.0, 16.0)  # edges of bins, arcmin
SEPARATIONS = (4.0, 8.0, 12.0, 16.0, 24.0, 40.0)  # edges of bins, arcsec
PAIRED = 2e-15  # erg cm^-2 s^-1: faintest source of a pair
COUNTS = 50.0  # expected in the input: fewest of a source whose flux and position are judged
ALONE_ARCSEC, ALONE = 45.0, 0.1  # a source is alone if others around it have less of its flux


@dataclass(frozen=True)
class Matched:
    """True sources of one or several fields with their detections.

    Attributes:
        flux_N: erg cm^-2 s^-1.
        counts_N: expected in the exposure.
        theta_N: arcmin.
        score_N: of its detection; -inf where there is none.
        offset_N: arcsec from its detection; NaN.
        ratio_N: measured over true rate, at the true place; NaN where not measured.
        alone_N: whether no other source to speak of is near.
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
    partner_N: Array
    false_M: Array

    @classmethod
    def joined(cls, parts: Sequence["Matched"]) -> "Matched":
        """Of several fields."""
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
        image: of one field.
        point_N3: x, y (arcsec) and flux of the true sources.
        counts_per_flux: ct/s on the axis per erg cm^-2 s^-1.
        find: detects.
        paired: look for close pairs.
    """
    point_N3 = point_N3[point_N3[:, 2] >= FAINTEST]
    point_N3 = point_N3[np.argsort(-point_N3[:, 2])]
    alone_N = _alone(point_N3)
    column_N, row_N = np.floor(image.pixels(point_N3[:, :2]) + 0.5).astype(int).T
    rows, columns = image.exposure_HW.shape
    inside_N = (column_N >= 0) & (column_N < columns) & (row_N >= 0) & (row_N < rows)
    live_N = inside_N.copy()
    live_N[inside_N] = image.exposure_HW[row_N[inside_N], column_N[inside_N]] > 0
    point_N3, alone_N = point_N3[live_N], alone_N[live_N]
    exposure_N = image.exposure_HW[row_N[live_N], column_N[live_N]]
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
    """Whether the others within `ALONE_ARCSEC` of a source are faint beside it, all together."""
    near = cKDTree(point_N3[:, :2]).query_ball_point(point_N3[:, :2], ALONE_ARCSEC)
    flux_N = point_N3[:, 2]
    others_N = np.array([flux_N[each].sum() for each in near]) - flux_N
    alone_N: Mask = others_N < ALONE * flux_N
    return alone_N


def _pairs(point_N3: Array, n: int) -> tuple[Array, Array]:
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


def threshold(matched: Matched, purity: float = PURITY) -> float:
    """Lowest score at which so large a share of the detections are sources; inf where none is."""
    true = matched.score_N[np.isfinite(matched.score_N)]
    scores = np.concatenate([true, matched.false_M])
    real = np.concatenate([np.ones(len(true)), np.zeros(len(matched.false_M))])
    order = np.argsort(-scores)
    share = np.cumsum(real[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= purity)
    return float(scores[order][good[-1]]) if len(good) else float("inf")


@dataclass(frozen=True)
class Curve:
    """Completeness against flux: a logistic function of ln S.

    Attributes:
        half: flux of 50 %, erg cm^-2 s^-1.
        width: of ln S.
    """

    half: float
    width: float

    def __call__(self, flux: float) -> float:
        """Share of the sources of this flux that are found."""
        return float(expit(np.log(flux / self.half) / self.width))


def completeness(matched: Matched, least: float) -> Curve:
    """The likeliest curve of sources found above a score."""
    flux_N = np.log(matched.flux_N)
    found_N = matched.score_N >= least

    def lost(values: Array) -> float:
        x_N = (flux_N - values[0]) / np.exp(values[1])
        return float(np.logaddexp(0, np.where(found_N, -x_N, x_N)).sum() + 0.1 * values[1] ** 2)

    start = np.array([np.median(flux_N[found_N]) if found_N.any() else flux_N.max(), -1.0])
    best = minimize(lost, start, method="Nelder-Mead").x
    return Curve(float(np.exp(best[0])), float(np.exp(best[1])))


def binned(
    values_N: Array, found_N: Mask, edges: Sequence[float]
) -> list[dict[str, float | int | None]]:
    """Share found in each bin, with the bin's edges and its number of sources."""
    rows: list[dict[str, float | int | None]] = []
    for low, high in pairwise(edges):
        inside = (values_N >= low) & (values_N < high)
        n = int(inside.sum())
        share = float(found_N[inside].mean()) if n else None
        rows.append({"low": low, "high": high, "n": n, "share": share})
    return rows


def deblending(matched: Matched, least: float) -> list[dict[str, float | int | None]]:
    """Pairs found as two, in bins of separation: each within half of it from its detection.

    Rows give the bin's edges, the number of pairs and the share found, and of these pairs the
    median of the flux ratio, bright over faint, and of the counts expected of the fainter.
    """
    near_N = matched.offset_N <= np.minimum(RADIUS_ARCSEC, matched.apart_N / 2)
    found_N = (matched.score_N >= least) & near_N
    first = np.flatnonzero(matched.partner_N > np.arange(len(matched.flux_N)))
    second = matched.partner_N[first]
    apart = matched.apart_N[first]
    rows = binned(apart, found_N[first] & found_N[second], SEPARATIONS)
    ratio = matched.flux_N[first] / matched.flux_N[second]  # brightest come first
    counts = np.minimum(matched.counts_N[first], matched.counts_N[second])
    for row, (low, high) in zip(rows, pairwise(SEPARATIONS), strict=True):
        inside = (apart >= low) & (apart < high)
        row["flux_ratio"] = float(np.median(ratio[inside])) if inside.any() else None
        row["counts"] = float(np.median(counts[inside])) if inside.any() else None
    return rows


def summary(
    matched: Matched, purity: float = PURITY, at_flux: Mapping[str, float] | None = None
) -> dict[str, object]:
    """What a report says of the sources found, at a purity.

    Args:
        matched: of all fields.
        purity: share of detections that are sources.
        at_flux: give the completeness at these fluxes, too, under their names.
    """
    least = threshold(matched, purity)
    found_N = matched.score_N >= least
    n_false = int((matched.false_M >= least).sum())
    curve = completeness(matched, least)
    judged = matched.alone_N & (matched.counts_N >= COUNTS)
    # Found or not: at known places there is no bias of selection.
    ratio = matched.ratio_N[judged & np.isfinite(matched.ratio_N)]
    return {
        "n_sources": len(found_N),
        "n_found": int(found_N.sum()),
        "purity": float(found_N.sum() / max(found_N.sum() + n_false, 1)),
        "threshold_sigma": least if np.isfinite(least) else None,
        "flux_50": curve.half if np.isfinite(least) else None,
        "completeness_by_flux": binned(matched.flux_N, found_N, FLUXES),
        "completeness_by_off_axis": binned(
            matched.theta_N[matched.flux_N >= 2e-15], found_N[matched.flux_N >= 2e-15], ANGLES
        ),
        "flux_ratio": _quantiles(ratio),
        "offset_arcsec": _quantiles(matched.offset_N[judged & found_N]),
        "pairs_resolved": deblending(matched, least),
        **{name: curve(flux) for name, flux in (at_flux or {}).items()},
    }


def _quantiles(values: Array) -> dict[str, float | int | None]:
    if not len(values):
        return {"n": 0, "median": None, "low": None, "high": None}
    low, median, high = np.percentile(values, (16, 50, 84)).tolist()
    return {"n": len(values), "median": median, "low": low, "high": high}
