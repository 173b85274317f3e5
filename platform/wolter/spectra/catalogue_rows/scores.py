"""Scores of answers for labelled rows, averaged over repeats of a cross-validation.

Shapes: K class, N row, R resample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wolter.report.bootstrap import RESAMPLES, Estimate, with_intervals
from wolter.spectra.catalogue_rows import metrics
from wolter.spectra.catalogue_rows.columns import CLASSES
from wolter.spectra.catalogue_rows.cross_validation import AGN_INDEX, COMPACT_INDEX, Answers
from wolter.spectra.catalogue_rows.metrics import Array, Indices

LARGE = ("AGN", "YSO", "LM-STAR", "HM-STAR")
_LARGE_INDEX = np.array([CLASSES.index(name) for name in LARGE])


@dataclass(frozen=True)
class Scores:
    """Scores of one classifier on one set of rows.

    Attributes:
        n: rows.
        repeats: repeats that were averaged.
        balanced: mean recall of all classes.
        large: mean recall of those of `LARGE` that have rows; None where none has.
        two_groups: mean recall of AGN and of compact objects, told apart from each other; None
            where one of the groups has no row.
        accuracy: share of rows whose most probable class is right.
        recall: recall of each class.
        ece: expected calibration error of the most probable class.
        brier: Brier score.
        log_loss: nat.
        confusion_KK: rows by true and decided class, mean over repeats.
    """

    n: int
    repeats: int
    balanced: Estimate
    large: Estimate | None
    two_groups: Estimate | None
    accuracy: float
    recall: Mapping[str, float]
    ece: float
    brier: float
    log_loss: float
    confusion_KK: Array

    def to_json(self) -> dict[str, Any]:
        """Numbers by name."""
        large, groups = self.large, self.two_groups
        return {
            "n": self.n,
            "repeats": self.repeats,
            "balanced_accuracy": self.balanced.value,
            "balanced_accuracy_interval_68": list(self.balanced.interval_68),
            "large_classes_recall": None if large is None else large.value,
            "agn_compact_balanced_accuracy": None if groups is None else groups.value,
            "agn_compact_interval_68": None if groups is None else list(groups.interval_68),
            "accuracy": self.accuracy,
            "recall": dict(self.recall),
            "ece": self.ece,
            "brier": self.brier,
            "log_loss": self.log_loss,
            "confusion": self.confusion_KK.tolist(),
        }


def score(repeats: Sequence[Answers], strength: float | None = None, seed: int = 0) -> Scores:
    """Scores of answers to the same rows.

    Args:
        repeats: answers of each repeat of the cross-validation.
        strength: correction for class shares in place of the answers' own decisions.
        seed: seed of the bootstrap over rows, from which the intervals are.
    """
    class_N = repeats[0].class_N
    decided_RN = [a.decided_N if strength is None else a.decide(strength) for a in repeats]
    right_N = np.mean([decided_N == class_N for decided_N in decided_RN], 0)
    group_N = np.isin(class_N, COMPACT_INDEX).astype(np.int64)
    in_groups_N = np.isin(class_N, np.concatenate([AGN_INDEX, COMPACT_INDEX]))
    in_large_N = np.isin(class_N, _LARGE_INDEX)
    both = len(np.unique(group_N[in_groups_N])) > 1
    group_right_N = np.mean([a.compact_N == group_N for a in repeats], 0)
    confusion_KK = np.mean(
        [metrics.confusion_matrix(class_N, decided_N, len(CLASSES)) for decided_N in decided_RN], 0
    )
    recall_K = _recalls(right_N, class_N, len(CLASSES))
    return Scores(
        n=len(class_N),
        repeats=len(repeats),
        balanced=mean_recall(right_N, class_N, seed),
        large=mean_recall(*_of(in_large_N, right_N, class_N), seed) if in_large_N.any() else None,
        two_groups=mean_recall(*_of(in_groups_N, group_right_N, group_N), seed) if both else None,
        accuracy=_mean(lambda a: np.mean(a.probability_NK.argmax(1) == class_N), repeats),
        recall={CLASSES[k]: float(recall_K[k]) for k in np.unique(class_N)},
        ece=_mean(lambda a: metrics.reliability(class_N, a.probability_NK).error, repeats),
        brier=_mean(lambda a: metrics.brier_score(class_N, a.probability_NK), repeats),
        log_loss=_mean(lambda a: metrics.log_loss(class_N, a.probability_NK), repeats),
        confusion_KK=confusion_KK,
    )


def mean_recall(right_N: Array, class_N: Indices, seed: int = 0) -> Estimate:
    """Mean recall over the classes that have rows, with bootstrap intervals over rows.

    Rows are drawn again within each class.

    Args:
        right_N: share of answers to each row that are right.
        class_N: true classes.
        seed: seed of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(class_N)
    resampled_R = np.zeros(RESAMPLES)
    value = 0.0
    for k in classes:
        own_N = right_N[class_N == k]
        value += own_N.mean() / len(classes)
        drawn_RN = rng.integers(0, len(own_N), (RESAMPLES, len(own_N)))
        resampled_R += own_N[drawn_RN].mean(1) / len(classes)
    return with_intervals(float(value), resampled_R)


def _recalls(right_N: Array, class_N: Indices, n_classes: int) -> Array:
    total_K = np.maximum(np.bincount(class_N, minlength=n_classes), 1)
    return np.asarray(np.bincount(class_N, right_N, n_classes) / total_K, float)


def _of(kept_N: Any, right_N: Array, class_N: Indices) -> tuple[Array, Indices]:
    return right_N[kept_N], class_N[kept_N]


def _mean(of: Any, repeats: Sequence[Answers]) -> float:
    return float(np.mean([of(answers) for answers in repeats]))
