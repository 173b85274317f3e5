"""Metrics of probabilistic classification into imbalanced classes.

Shapes: G bin, K class, N row, NK a row's probabilities.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
BINS = 10  # of equal width, of the calibration error


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in bins of confidence; bins without rows are left out.

    Attributes:
        confidence_G: mean confidence.
        accuracy_G: share of rows that are right.
        count_G: rows.
    """

    confidence_G: Array
    accuracy_G: Array
    count_G: Indices

    @property
    def error(self) -> float:
        """Expected calibration error: mean |accuracy - confidence|, weighted by rows."""
        gap_G = np.abs(self.accuracy_G - self.confidence_G)
        return float(gap_G @ self.count_G / self.count_G.sum())


def confusion_matrix(true_N: Indices, decided_N: Indices, n_classes: int) -> Indices:
    """Counts (K, K) of rows by true class (first axis) and decided class."""
    flat_N = true_N * n_classes + decided_N
    return np.bincount(flat_N, minlength=n_classes**2).reshape(n_classes, n_classes)


def recalls(confusion_KK: Indices) -> Array:
    """Share of each true class that is decided right; NaN for a class without rows."""
    total_K = confusion_KK.sum(1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.diag(confusion_KK) / total_K, float)


def balanced_accuracy(confusion_KK: Indices) -> float:
    """Mean recall over the classes that have rows."""
    return float(np.nanmean(recalls(confusion_KK)))


def brier_score(true_N: Indices, probability_NK: Array) -> float:
    """Mean over rows of sum_k (p_k - [k is true])^2, from 0 to 2 (Brier 1950)."""
    one_hot_NK = np.eye(probability_NK.shape[1])[true_N]
    return float(((probability_NK - one_hot_NK) ** 2).sum(1).mean())


def log_loss(true_N: Indices, probability_NK: Array) -> float:
    """Mean over rows of -ln p of the true class, nat."""
    own_N = probability_NK[np.arange(len(true_N)), true_N]
    return float(-np.log(np.clip(own_N, 1e-12, 1)).mean())


def reliability(true_N: Indices, probability_NK: Array, bins: int = BINS) -> Reliability:
    """Reliability of the most probable class (Guo et al. 2017, top-label calibration).

    Args:
        true_N: true classes.
        probability_NK: calibrated probabilities, before any correction for priors.
        bins: bins of equal width from 0 to 1.
    """
    confidence_N = probability_NK.max(1)
    right_N = probability_NK.argmax(1) == true_N
    bin_N = np.minimum((confidence_N * bins).astype(int), bins - 1)
    count_G = np.bincount(bin_N, minlength=bins)
    used_G = count_G > 0
    return Reliability(
        confidence_G=np.bincount(bin_N, confidence_N, bins)[used_G] / count_G[used_G],
        accuracy_G=np.bincount(bin_N, right_N, bins)[used_G] / count_G[used_G],
        count_G=count_G[used_G],
    )


def decide(probability_NK: Array, prior_K: Array, strength: float = 1.0) -> Indices:
    """Class with the largest p_k / prior_k ** strength.

    Strength 0 gives the most probable class, which makes fewest errors. Strength 1 is the decision
    of the highest balanced accuracy for exact probabilities (Menon et al. 2021, logit adjustment).

    Args:
        probability_NK: probabilities under the prior.
        prior_K: share of each class among the training rows.
        strength: how far the prior is divided out.
    """
    weight_K = np.where(prior_K > 0, np.maximum(prior_K, 1e-300) ** -strength, 0.0)
    decided_N: Indices = (probability_NK * weight_K).argmax(1)
    return decided_N


def group_decision(
    probability_NK: Array,
    prior_K: Array,
    first: Indices,
    second: Indices,
    strength: float = 1.0,
) -> NDArray[np.bool_]:
    """True where the second group of classes is decided, of two: see `decide`.

    Args:
        probability_NK: probabilities under the prior.
        prior_K: share of each class among the training rows.
        first: classes of the first group.
        second: classes of the second group.
        strength: how far the prior odds of the groups are divided out.
    """
    first_N, second_N = (probability_NK[:, group].sum(1) for group in (first, second))
    first_prior, second_prior = (prior_K[group].sum() for group in (first, second))
    larger_N: NDArray[np.bool_] = (
        second_N * first_prior**strength > first_N * second_prior**strength
    )
    return larger_N
