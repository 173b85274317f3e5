"""Calibration and quality of class probabilities."""

import numpy as np
import pytest

from wolter.spectra.latents import probabilities as p


def test_certain_and_half_right_is_a_calibration_error_of_a_half():
    probability_NK = np.tile([1.0, 0.0], (10, 1))
    truth_N = np.repeat([0, 1], 5)
    assert p.expected_calibration_error(probability_NK, truth_N) == pytest.approx(0.5)
    assert p.brier_score(probability_NK, truth_N) == pytest.approx(1.0)
    assert p.brier_score(np.eye(2)[truth_N], truth_N) == 0


def test_classes_drawn_from_the_probabilities_are_calibrated():
    generator = np.random.default_rng(0)
    probability_NK = generator.dirichlet([1, 1, 1], 20_000)
    truth_N = (probability_NK.cumsum(1) < generator.random((20_000, 1))).sum(1)
    assert p.expected_calibration_error(probability_NK, truth_N) < 0.01
    # The entropy of such probabilities is the log loss of the right ones.
    entropy = -(probability_NK * np.log(probability_NK)).sum(1).mean()
    assert p.log_loss(probability_NK, truth_N) == pytest.approx(entropy, rel=0.02)


def test_overconfidence_is_its_size():
    """Told 0.9, right in 0.6 of 1000."""
    probability_NK = np.tile([0.9, 0.1], (1000, 1))
    truth_N = (np.arange(1000) >= 600).astype(int)
    assert p.expected_calibration_error(probability_NK, truth_N) == pytest.approx(0.3)


def test_the_balanced_decision_divides_by_the_frequencies():
    probability_NK = np.array([[0.8, 0.2], [0.95, 0.05]])
    told_N = p.balanced_decision(probability_NK, np.array([0.9, 0.1]))
    assert told_N.tolist() == [1, 0]
    absent_N = p.balanced_decision(probability_NK, np.array([1.0, 0.0]))
    assert absent_N.tolist() == [0, 0]


def test_macro_f1_is_the_mean_of_both_classes():
    count_KK = p.confusion(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2)
    assert count_KK.tolist() == [[2, 1], [0, 1]]
    assert p.macro_f1(count_KK) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_columns_are_named_as_models_name_them():
    values = {"p_lm_star": np.array([0.3]), "p_agn": np.array([0.7])}
    np.testing.assert_allclose(p.probabilities(values, ("AGN", "LM-STAR")), [[0.7, 0.3]])
    assert p.probabilities(values, ("AGN", "NS")) is None
