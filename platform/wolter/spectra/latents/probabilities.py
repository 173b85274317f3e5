"""Calibration and quality of class probabilities.

Shapes: G confidence bin, K class, N source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wolter.spectra.latents.scores import recalls
from wolter.spectra.latents.sources import UNKNOWN, Array, Indices, Outputs
from wolter.spectra.outputs import class_column

BINS = 15  # of the confidence, of equal width (Guo et al. 2017)


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of sources by the confidence of their most probable class.

    Attributes:
        confidence_G: mean probability; NaN for bins without sources.
        accuracy_G: share of right classes.
        count_G: sources.
    """

    confidence_G: Array
    accuracy_G: Array
    count_G: NDArray[np.int64]

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean of |accuracy - confidence| over the sources."""
        some_G = self.count_G > 0
        gap_G = np.abs(self.accuracy_G - self.confidence_G)[some_G]
        return float((gap_G * self.count_G[some_G]).sum() / self.count_G.sum())


def probabilities(outputs: Outputs, classes: Sequence[str]) -> Array | None:
    """Class probabilities (N, K) among the outputs of a model; None where one is missing."""
    if not all(class_column(name) in outputs for name in classes):
        return None
    return np.stack([outputs[class_column(name)] for name in classes], 1)


def reliability(probability_NK: Array, truth_N: Indices, bins: int = BINS) -> Reliability:
    """Reliability of the most probable class."""
    confidence_N = probability_NK.max(1)
    right_N = (probability_NK.argmax(1) == truth_N).astype(float)
    bin_N = np.clip((confidence_N * bins).astype(int), 0, bins - 1)
    count_G = np.bincount(bin_N, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            np.bincount(bin_N, confidence_N, bins) / count_G,
            np.bincount(bin_N, right_N, bins) / count_G,
            count_G,
        )


def expected_calibration_error(probability_NK: Array, truth_N: Indices) -> float:
    """See `Reliability.expected_error`."""
    return reliability(probability_NK, truth_N).expected_error


def brier_score(probability_NK: Array, truth_N: Indices) -> float:
    """Brier score: mean over sources of the sum over classes of (p - 1[true])^2; 0 to 2."""
    true_NK = np.eye(probability_NK.shape[1])[truth_N]
    return float(((probability_NK - true_NK) ** 2).sum(1).mean())


def log_loss(probability_NK: Array, truth_N: Indices) -> float:
    """Mean negative logarithm of the true class's probability, nats."""
    own_N = probability_NK[np.arange(len(truth_N)), truth_N]
    return float(-np.log(np.maximum(own_N, 1e-12)).mean())


def balanced_decision(probability_NK: Array, rate_K: Array) -> Indices:
    """Class (N) that is most probable where each class is as frequent as any other.

    Args:
        probability_NK: where classes are as frequent as in the training split.
        rate_K: these frequencies; classes that are absent are never told.
    """
    safe_K = np.where(rate_K > 0, rate_K, np.inf)
    found: Indices = (probability_NK / safe_K).argmax(1)
    return found


def class_rates(class_N: Indices, n_classes: int) -> Array:
    """Frequency (K) of each class among sources of a known one."""
    count_K = np.bincount(class_N[class_N != UNKNOWN], minlength=n_classes)
    rate_K: Array = count_K / max(1, count_K.sum())
    return rate_K


def confusion(truth_N: Indices, told_N: Indices, n_classes: int) -> NDArray[np.int64]:
    """Numbers of sources (K true, K told)."""
    count_KK = np.zeros((n_classes, n_classes), int)
    np.add.at(count_KK, (truth_N, told_N), 1)
    return count_KK


def macro_f1(count_KK: NDArray[np.int64]) -> float:
    """Mean over classes that have sources of the harmonic mean of precision and recall."""
    right_K, true_K, told_K = np.diag(count_KK), count_KK.sum(1), count_KK.sum(0)
    present_K = true_K > 0
    f1_K = 2 * right_K[present_K] / (true_K + told_K)[present_K]
    return float(f1_K.mean())


def summary(probability_NK: Array, truth_N: Indices, rate_K: Array) -> Mapping[str, float]:
    """Scores of class probabilities, percent where the name says so."""
    n_classes = probability_NK.shape[1]
    plain_N, balanced_N = probability_NK.argmax(1), balanced_decision(probability_NK, rate_K)
    recall_K, _ = recalls(truth_N, plain_N, n_classes)
    balanced_K, _ = recalls(truth_N, balanced_N, n_classes)
    return {
        "accuracy": 100 * float((plain_N == truth_N).mean()),
        "balanced": 100 * float(np.nanmean(recall_K)),
        "balanced_corrected": 100 * float(np.nanmean(balanced_K)),
        "macro_f1": 100 * macro_f1(confusion(truth_N, plain_N, n_classes)),
        "ece": expected_calibration_error(probability_NK, truth_N),
        "brier": brier_score(probability_NK, truth_N),
        "log_loss": log_loss(probability_NK, truth_N),
    }
