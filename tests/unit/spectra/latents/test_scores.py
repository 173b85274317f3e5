"""Scores by the counts of sources."""

import numpy as np
import pytest

from wolter.spectra.latents.scores import (
    FEW,
    Score,
    balanced_accuracy,
    by_counts,
    mean_absolute_error,
    recalls,
)
from wolter.spectra.latents.sources import UNKNOWN


def test_balanced_accuracy_is_the_mean_recall_of_the_classes_that_are_there():
    truth_N = np.array([0] * 8 + [1] * 2 + [UNKNOWN])
    told_N = np.array([0] * 6 + [1] * 2 + [1, 0] + [0])
    recall_K, total_K = recalls(truth_N, told_N, 3)
    np.testing.assert_allclose(recall_K, [0.75, 0.5, np.nan])
    assert total_K.tolist() == [8, 2, 0]
    assert balanced_accuracy(truth_N, told_N, 3).value == pytest.approx(0.625)
    assert balanced_accuracy(truth_N[:8], told_N[:8], 3) is None  # one class tells nothing


def test_the_error_is_the_scatter_of_repeated_tests():
    generator = np.random.default_rng(3)
    truth_N = np.repeat([0, 1], [400, 50])
    right_RN = generator.random((500, 450)) < np.where(truth_N == 0, 0.8, 0.6)
    found = [balanced_accuracy(truth_N, np.where(r, truth_N, 1 - truth_N), 2) for r in right_RN]
    scatter = np.std([each.value for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(scatter, rel=0.1)


def test_unknown_quantities_do_not_count():
    truth_N = np.append(np.zeros(FEW), np.nan)
    told_N = np.append(np.tile([1.0, -3.0], FEW // 2), 100.0)
    assert mean_absolute_error(truth_N, told_N).value == pytest.approx(2.0)
    assert mean_absolute_error(truth_N[:5], told_N[:5]) is None


def test_ranges_of_few_sources_are_left_out():
    counts_N = np.repeat([20.0, 50.0, 5000.0], [FEW, FEW, FEW - 1])
    found = by_counts(lambda mask: Score(float(mask.sum()), 0.0), counts_N)
    assert {name: score.value for name, score in found.items()} == {
        "all": 3 * FEW - 1,
        "from_40": 2 * FEW - 1,
        "below_40": FEW,
        "40_100": FEW,
    }
