"""Source detection statistics: completeness, purity, fluxes, positions, pairs.

Shapes: N true sources, M detections.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from wolter.images.evaluate.detection import Array
from wolter.images.evaluate.matching import RADIUS_ARCSEC, SEPARATIONS, Mask, Matched

PURITY = 0.95
FLUXES = (5e-16, 1e-15, 2e-15, 4e-15, 8e-15, 2e-14, 1e-12)  # edges of bins
ANGLES = (0.0, 4.0, 8.0, 12.0, 16.0)  # edges of bins, arcmin
COUNTS = 50.0  # expected in the input: fewest of a source whose flux and position are judged


def threshold(matched: Matched, purity: float = PURITY) -> float:
    """Lowest score threshold with a given purity; inf where there is none."""
    true = matched.score_N[np.isfinite(matched.score_N)]
    scores = np.concatenate([true, matched.false_M])
    real = np.concatenate([np.ones(len(true)), np.zeros(len(matched.false_M))])
    order = np.lexsort((real, -scores))  # of equal ones the false first
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
    """Fit the completeness curve of sources above a score threshold."""
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
    """Deblending efficiency: pairs detected as two, in bins of separation.

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
    """Summary of source detection at a purity.

    Args:
        matched: matched sources of all fields.
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
