"""Scores of classes and quantities, by the counts of the sources.

Shapes: K class, N source.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wolter.report.table import Column
from wolter.spectra.latents.sources import UNKNOWN, Array, Indices

Mask = NDArray[np.bool_]
FEW = 20  # sources, below which a range of counts is left out


@dataclass(frozen=True)
class CountRange:
    """Sources between two numbers of net counts."""

    name: str
    heading: str
    low: float
    high: float

    def of(self, counts_N: Array) -> Mask:
        """Mask of the sources (N) in the range."""
        inside_N: Mask = (counts_N >= self.low) & (counts_N < self.high)
        return inside_N


ALL = CountRange("all", "all", -np.inf, np.inf)
ENOUGH = CountRange("from_40", "≥ 40", 40, np.inf)
RANGES = (
    ALL,
    ENOUGH,
    CountRange("below_40", "< 40", -np.inf, 40),
    CountRange("40_100", "40–100", 40, 100),
    CountRange("100_300", "100–300", 100, 300),
    CountRange("300_1000", "300–1000", 300, 1000),
    CountRange("from_1000", "≥ 1000", 1000, np.inf),
)


@dataclass(frozen=True)
class Score:
    """A score and its standard error."""

    value: float
    error: float


def columns(wanted: Literal["least", "most", "none"]) -> tuple[Column, ...]:
    """A column of each range of counts."""
    return tuple(Column(each.name, each.heading, "", wanted) for each in RANGES)


def by_counts(score: Callable[[Mask], Score | None], counts_N: Array) -> dict[str, Score]:
    """A score of each range of counts; ranges of few sources are left out.

    Args:
        score: of a mask (N) of sources.
        counts_N: net counts.
    """
    masks = {each.name: each.of(counts_N) for each in RANGES}
    found = {name: score(mask_N) for name, mask_N in masks.items() if mask_N.sum() >= FEW}
    return {name: each for name, each in found.items() if each is not None}


def recalls(truth_N: Indices, predicted_N: Indices, n_classes: int) -> tuple[Array, Array]:
    """Recall (K) of each class, NaN where it has no source, and numbers of sources (K)."""
    known_N = truth_N != UNKNOWN
    total_K = np.bincount(truth_N[known_N], minlength=n_classes).astype(float)
    right_N = known_N & (truth_N == predicted_N)
    right_K = np.bincount(truth_N[right_N], minlength=n_classes).astype(float)
    with np.errstate(invalid="ignore"):
        return right_K / total_K, total_K


def balanced_accuracy(truth_N: Indices, predicted_N: Indices, n_classes: int) -> Score | None:
    """Mean recall of the classes that have sources; None for fewer than two classes.

    The error is binomial; one more source on each side keeps it above zero (Laplace's rule).
    """
    recall_K, total_K = recalls(truth_N, predicted_N, n_classes)
    present_K = total_K > 0
    n = int(present_K.sum())
    if n < 2:
        return None
    total, recall = total_K[present_K], recall_K[present_K]
    share = (recall * total + 1) / (total + 2)
    variance = share * (1 - share) / total
    return Score(float(recall.mean()), float(np.sqrt(variance.sum()) / n))


def mean_absolute_error(truth_N: Array, predicted_N: Array) -> Score | None:
    """Mean absolute error of the quantities that are known; None for fewer than `FEW`."""
    error_N = np.abs(truth_N - predicted_N)
    error_N = error_N[np.isfinite(error_N)]
    if len(error_N) < FEW:
        return None
    return Score(float(error_N.mean()), float(error_N.std(ddof=1) / np.sqrt(len(error_N))))
