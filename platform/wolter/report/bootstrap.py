"""Bootstrap intervals of means over records (Efron 1979).

Shapes: M column, N record, R resample.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RESAMPLES = 1000
LEVELS = {"68": (16.0, 84.0), "95": (2.5, 97.5)}  # percentiles that bound each interval


@dataclass(frozen=True)
class Estimate:
    """A metric with its central bootstrap intervals, in the metric's own unit."""

    value: float
    interval_68: tuple[float, float]
    interval_95: tuple[float, float]

    def interval(self, level: str) -> tuple[float, float]:
        """The interval of level "68" or "95" (percent)."""
        return {"68": self.interval_68, "95": self.interval_95}[level]

    @property
    def deviation(self) -> float:
        """Half the 68 % interval: the standard error where the bootstrap is Gaussian."""
        return 0.5 * (self.interval_68[1] - self.interval_68[0])


def bootstrap_means(values_NM: Array, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """Means of the columns over bootstrap resamples of the rows (Efron 1979).

    The resamples depend on (N, resamples, seed) alone, so the means of two models on the same
    records are paired.

    Returns:
        (R, M) means.
    """
    n = len(values_NM)
    generator = np.random.default_rng(seed)
    means_RM = np.empty((resamples, values_NM.shape[1]))
    for r in range(resamples):
        weights_N = np.bincount(generator.integers(0, n, n), minlength=n)
        means_RM[r] = weights_N @ values_NM / n
    return means_RM


def with_intervals(value: float, resampled_R: Array) -> Estimate:
    """A metric of the whole sample with the percentile intervals of its resampled values."""
    bounds = {level: np.percentile(resampled_R, ends) for level, ends in LEVELS.items()}
    pairs = {level: (float(low), float(high)) for level, (low, high) in bounds.items()}
    return Estimate(float(value), pairs["68"], pairs["95"])


def to_json(estimates: Mapping[str, Estimate], level: str | None = None) -> dict[str, Any]:
    """Values by name, or the intervals of one level as [low, high]."""
    if level is None:
        return {name: estimate.value for name, estimate in estimates.items()}
    return {name: list(estimate.interval(level)) for name, estimate in estimates.items()}
