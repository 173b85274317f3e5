"""Posterior samples for figures: quantiles, densities, contour levels.

Shapes: S sample, P parameter, X and Y pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

Array = NDArray[np.float64]
MASSES = (0.95, 0.68)  # of the probability inside the contours
BINS = 64  # an axis
NARROWEST = 0.6  # bins, of the smoothing kernel


@dataclass(frozen=True)
class SampleSet:
    """Samples in the units drawn, with weights of sum 1 and their colour."""

    samples_SP: Array
    weights_S: Array
    colour: str


def quantiles(values_S: Array, percentiles: Sequence[float], weights_S: Array) -> Array:
    """Percentiles of weighted values, between the middles of their weights' steps."""
    order = np.argsort(values_S)
    weight_S = weights_S[order]
    middle_S = 100 * (np.cumsum(weight_S) - weight_S / 2) / weight_S.sum()
    found: Array = np.interp(percentiles, middle_S, values_S[order])
    return found


def quoted(low: float, middle: float, high: float) -> str:
    """A value with its errors as mathematical text, to two digits of the smaller error."""
    smallest = min(high - middle, middle - low)
    if not smallest > 0:
        return f"${middle:.4g}$"
    digits = int(np.clip(1 - np.floor(np.log10(smallest)), 0, 8))
    up, down = f"{high - middle:.{digits}f}", f"{middle - low:.{digits}f}"
    if up == down:
        return rf"${middle:.{digits}f} \pm {up}$"
    return f"${middle:.{digits}f}^{{+{up}}}_{{-{down}}}$"


def density(
    one: SampleSet, columns: Sequence[int], limits: Sequence[tuple[float, float]]
) -> tuple[list[Array], Array]:
    """Smoothed histogram of one or two columns: bin centres of each, and the density.

    The kernel is Gaussian with the covariance of the samples, scaled by Scott's (1992) rule for
    their effective number, so that it lies along their ridge. What it would spread over an end of
    the axis is reflected: a posterior that is cut off by its prior stays high there.
    """
    values_SP = one.samples_SP[:, list(columns)]
    edges = [np.linspace(low, high, BINS + 1) for low, high in limits]
    counts, _ = np.histogramdd(values_SP, edges, weights=one.weights_S)
    width_P = np.array([edge[1] - edge[0] for edge in edges])
    effective = 1 / (one.weights_S**2).sum()
    scott = effective ** (-1 / (4 + len(columns)))
    covariance_PP = np.atleast_2d(
        np.cov(values_SP.T / width_P[:, None], aweights=one.weights_S, ddof=0)
    )
    kernel = _kernel(scott**2 * covariance_PP + NARROWEST**2 * np.eye(len(columns)))
    return [(edge[1:] + edge[:-1]) / 2 for edge in edges], convolve(counts, kernel, mode="reflect")


def _kernel(covariance_PP: Array) -> Array:
    """Gaussian of this covariance, in bins, to 3 sigma and at most half an axis."""
    radius_P = np.ceil(3 * np.sqrt(np.diag(covariance_PP))).clip(max=BINS // 2)
    offsets = np.meshgrid(*(np.arange(-r, r + 1) for r in radius_P), indexing="ij")
    offset_XYP = np.stack(offsets, -1)
    distance_XY = ((offset_XYP @ np.linalg.inv(covariance_PP)) * offset_XYP).sum(-1)
    kernel_XY = np.exp(-distance_XY / 2)
    normalised_XY: Array = kernel_XY / kernel_XY.sum()
    return normalised_XY


def levels_of_mass(density_XY: Array, masses: Sequence[float] = MASSES) -> list[float]:
    """Densities whose contours hold these masses, ascending and distinct."""
    ordered = np.sort(density_XY.ravel())[::-1]
    mass = np.cumsum(ordered) / ordered.sum()
    levels = np.interp(masses, mass, ordered)
    levels[1:] = np.maximum(levels[1:], levels[:-1] * (1 + 1e-6))
    return [float(level) for level in levels]
