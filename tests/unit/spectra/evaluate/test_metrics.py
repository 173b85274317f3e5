import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter.errors import InputError
from wolter.spectra.evaluate.metrics import (
    component_errors,
    component_residuals,
    mean_mfe_ratio,
    parameter_errors,
)

NAMES = ("a", "b")


def sample(n: int = 200, seed: int = 0):
    generator = np.random.default_rng(seed)
    truth = generator.uniform(1, 3, (n, 2))
    return truth, truth + generator.normal(0, 0.1, (n, 2)), truth + generator.normal(0, 0.1, (n, 2))


def test_each_metric_judges_its_own_estimator():
    truth, _, _ = sample()
    errors = parameter_errors(truth, truth + 0.5, 0.75 * truth, NAMES)
    assert errors.rmse["a"].value == pytest.approx(0.5)
    assert errors.mfe_percent["b"].value == pytest.approx(25.0)
    assert errors.mean_mfe_percent.value == pytest.approx(25.0)


def test_metrics_by_hand():
    truth = np.array([[1.0], [-2.0], [4.0]])
    estimate = np.array([[1.5], [-2.0], [3.0]])
    errors = parameter_errors(truth, estimate, estimate, ("a",))
    assert errors.mfe_percent["a"].value == pytest.approx(100 * (0.5 + 0 + 0.25) / 3)
    assert errors.rmse["a"].value == pytest.approx(math.sqrt((0.25 + 0 + 1) / 3))


def test_the_mean_mfe_is_the_mean_over_parameters():
    truth, mean, median = sample()
    errors = parameter_errors(truth, mean, median, NAMES)
    expected = np.mean([e.value for e in errors.mfe_percent.values()])
    assert errors.mean_mfe_percent.value == pytest.approx(expected)


@settings(max_examples=25)
@given(scale=st.floats(1e-9, 1e9))
def test_the_mfe_is_free_of_scale_and_the_rmse_is_not(scale):
    truth, mean, median = sample(50)
    plain = parameter_errors(truth, mean, median, NAMES, resamples=20)
    scaled = parameter_errors(scale * truth, scale * mean, scale * median, NAMES, resamples=20)
    for name in NAMES:
        assert scaled.mfe_percent[name].value == pytest.approx(plain.mfe_percent[name].value)
        assert scaled.mfe_percent[name].interval_95 == pytest.approx(
            plain.mfe_percent[name].interval_95
        )
        assert scaled.rmse[name].value == pytest.approx(scale * plain.rmse[name].value)
        assert scaled.rmse[name].interval_68 == pytest.approx(
            tuple(scale * end for end in plain.rmse[name].interval_68)
        )


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31))
def test_intervals_are_nested_and_the_order_of_spectra_is_nothing(seed):
    truth, mean, median = sample(40, seed)
    errors = parameter_errors(truth, mean, median, NAMES, resamples=50)
    for estimate in (*errors.mfe_percent.values(), *errors.rmse.values(), errors.mean_mfe_percent):
        (low95, high95), (low68, high68) = estimate.interval_95, estimate.interval_68
        assert 0 <= low95 <= low68 <= high68 <= high95
        assert estimate.deviation == pytest.approx(0.5 * (high68 - low68))
    order = np.random.default_rng(seed).permutation(40)
    again = parameter_errors(truth[order], mean[order], median[order], NAMES, resamples=1)
    for name in NAMES:
        assert again.rmse[name].value == pytest.approx(errors.rmse[name].value)
        assert again.mfe_percent[name].value == pytest.approx(errors.mfe_percent[name].value)


def test_about_two_thirds_of_the_68_percent_intervals_hold_the_truth():
    generator = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        residual = generator.normal(0, 1, (80, 1))
        truth = np.full((80, 1), 100.0)
        errors = parameter_errors(truth, truth + residual, truth, ("a",), 200, trial)
        low, high = errors.rmse["a"].interval_68
        hits += low <= 1.0 <= high
    # binomial deviation of 200 trials at 0.66: 0.034
    assert 0.54 < hits / 200 < 0.78


def test_the_ratio_of_two_models_is_paired():
    truth, _, median = sample(100)
    worse = truth + 2 * (median - truth)
    ratio = mean_mfe_ratio(truth, median, worse, 100)
    assert ratio.value == pytest.approx(0.5)
    assert ratio.interval_95 == pytest.approx((0.5, 0.5))


def test_component_errors_of_a_constant_factor():
    true_BKC = torch.rand(30, 2, 8, generator=torch.Generator().manual_seed(0)) + 1
    relative_BK, squared_BK = component_residuals(1.44 * true_BKC, true_BKC)
    errors = component_errors(relative_BK.double().numpy(), squared_BK.double().numpy(), NAMES)
    assert errors.relative_percent["a"].value == pytest.approx(44.0, rel=1e-5)
    # sqrt(1.44 m) - sqrt(m) = 0.2 sqrt(m)
    expected = math.sqrt(0.04 * float(true_BKC[:, 1].mean()))
    assert errors.root["b"].value == pytest.approx(expected, rel=1e-5)


def test_a_label_of_zero_and_an_estimate_that_is_not_finite_are_refused():
    truth, mean, median = sample(5)
    zero = truth.copy()
    zero[2, 1] = 0
    with pytest.raises(InputError, match="parameter b: 1 of 5 labels are 0"):
        parameter_errors(zero, mean, median, NAMES)
    mean[0, 0], median[1, 0] = np.nan, np.inf
    with pytest.raises(InputError, match="parameter a: 2 of 5 estimates are not finite"):
        parameter_errors(truth, mean, median, NAMES)
