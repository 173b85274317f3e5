import numpy as np
import pytest

from wolter.spectra.catalogue_rows import metrics


def test_balanced_accuracy_of_a_known_confusion_matrix():
    true_N = np.array([0] * 10 + [1] * 4)
    decided_N = np.array([0] * 9 + [1] + [1] * 2 + [0, 0])
    confusion = metrics.confusion_matrix(true_N, decided_N, 3)
    assert confusion.tolist() == [[9, 1, 0], [2, 2, 0], [0, 0, 0]]
    assert metrics.recalls(confusion)[:2].tolist() == [0.9, 0.5]
    assert np.isnan(metrics.recalls(confusion)[2])
    assert metrics.balanced_accuracy(confusion) == pytest.approx(0.7)


def test_calibration_error_of_a_known_miscalibrated_set():
    # 100 rows told with 0.95, of which 80 are right; 100 with 0.65, of which 60 are
    high, low = [0.95, 0.05], [0.35, 0.65]
    probability = np.array([high] * 100 + [low] * 100)
    true = np.array([0] * 80 + [1] * 20 + [1] * 60 + [0] * 40)
    found = metrics.reliability(true, probability)
    assert found.confidence_G == pytest.approx([0.65, 0.95])
    assert found.accuracy_G == pytest.approx([0.6, 0.8])
    assert found.count_G.tolist() == [100, 100]
    assert found.error == pytest.approx((0.05 + 0.15) / 2)


def test_calibrated_probabilities_have_no_error():
    rng = np.random.default_rng(0)
    probability = rng.dirichlet([1, 1, 1], 200_000)
    true = (rng.random((200_000, 1)) > probability.cumsum(1)).sum(1)
    assert metrics.reliability(true, probability).error < 0.005


def test_certainty_lies_in_the_last_bin():
    found = metrics.reliability(np.array([0]), np.array([[1.0, 0.0]]))
    assert (found.confidence_G.tolist(), found.error) == ([1.0], 0.0)


def test_brier_score_and_log_loss_by_hand():
    probability = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    true = np.array([0, 2])
    assert metrics.brier_score(true, probability) == pytest.approx((0.14 + 0.5) / 2)
    assert metrics.log_loss(true, probability) == pytest.approx(-np.log(0.35) / 2)


def test_a_decision_that_divides_class_shares_out():
    probability, share = np.array([[0.6, 0.4]]), np.array([0.9, 0.1])
    assert metrics.decide(probability, share, 0.0).tolist() == [0]
    assert metrics.decide(probability, share, 1.0).tolist() == [1]
    # the border: (0.9 / 0.1) ** strength = 0.6 / 0.4
    border = np.log(1.5) / np.log(9)
    assert metrics.decide(probability, share, border - 1e-6).tolist() == [0]
    assert metrics.decide(probability, share, border + 1e-6).tolist() == [1]


def test_a_class_without_training_rows_is_never_decided():
    probability, share = np.array([[0.9, 0.1, 0.0]]), np.array([0.99, 0.01, 0.0])
    assert metrics.decide(probability, share, 1.0).tolist() == [1]


def test_full_correction_has_the_highest_balanced_accuracy():
    """Two Gaussians one apart, 9 to 1: the best border is half way, for every class share."""
    rng = np.random.default_rng(0)
    true = (rng.random(100_000) < 0.1).astype(int)
    x = rng.normal(true, 0.5)
    odds = np.exp((x - 0.5) / 0.25) / 9
    probability = np.stack([1 / (1 + odds), odds / (1 + odds)], 1)
    share = np.array([0.9, 0.1])
    found = {}
    for strength in (0.0, 0.5, 1.0):
        decided = metrics.decide(probability, share, strength)
        found[strength] = metrics.balanced_accuracy(metrics.confusion_matrix(true, decided, 2))
    assert found[1.0] == pytest.approx(0.8413, abs=0.005)  # of the normal distribution below 1
    assert found[0.0] < found[0.5] < found[1.0]


def test_groups_of_classes_by_their_shares():
    probability = np.array([[0.5, 0.2, 0.2, 0.1], [0.6, 0.1, 0.1, 0.2]])
    share = np.array([0.5, 0.2, 0.1, 0.2])
    # 0.4 / 0.5 and 0.2 / 0.6, against 0.3 / 0.5
    found = metrics.group_decision(probability, share, np.array([0]), np.array([1, 2]))
    assert found.tolist() == [True, False]
    found = metrics.group_decision(probability, share, np.array([0]), np.array([1, 2]), 0.0)
    assert found.tolist() == [False, False]  # neither is above 1
    # Nobody can tell apart what was never learnt from, and no warning says so.
    nothing = np.array([0.0, 0.5, 0.3, 0.2])
    probability[:, 0] = 0
    found = metrics.group_decision(probability, nothing, np.array([0]), np.array([1, 2]))
    assert found.tolist() == [False, False]
