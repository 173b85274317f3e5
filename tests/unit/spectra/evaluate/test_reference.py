import numpy as np
import pytest
from scipy import stats

from wolter.spectra.evaluate import reference
from wolter.spectra.schema import Parameter
from wolter.spectra.simulator import REFERENCE_PRIOR


@pytest.mark.parametrize(
    "rows",
    [
        reference.PUBLISHED_MFE,
        reference.PUBLISHED_RMSE,
        reference.LIMIT_MFE,
        reference.LIMIT_RMSE,
    ],
)
def test_every_row_has_every_parameter_and_a_source(rows):
    for row in rows:
        assert tuple(row.values) == reference.PARAMETERS
        assert all(value > 0 for value in row.values.values())
        assert row.source


def test_the_limits_are_below_the_published_errors():
    limit = reference.LIMIT_MFE[1].values
    for row in reference.PUBLISHED_MFE:
        assert all(limit[name] < row.values[name] for name in limit)


def test_the_prior_is_the_simulators():
    assert reference.same_prior(REFERENCE_PRIOR)
    assert not reference.same_prior(REFERENCE_PRIOR[1:])
    assert not reference.same_prior((Parameter("nh", 0.01, 2.0), *REFERENCE_PRIOR[1:]))


def test_the_best_constant_guess_has_the_known_errors():
    # Measured with the exact limits: 82, 27, 82, 8.4, 75, 12.7, 75 percent.
    expected = (82, 27, 82, 8.4, 75, 12.7, 75)
    values = reference.constant_mfe(REFERENCE_PRIOR).values.values()
    for value, known in zip(values, expected, strict=True):
        assert value == pytest.approx(known, rel=0.01)


def test_no_constant_beats_the_best_constant_guess():
    parameter = Parameter("slope", 1.0, 3.0)
    draws = np.random.default_rng(0).uniform(1, 3, 200_000)
    guesses = np.linspace(1.2, 2.5, 53)
    errors = [100 * np.mean(np.abs(draws - guess) / draws) for guess in guesses]
    best = reference.constant_mfe([parameter]).values["slope"]
    # The deviation of 200,000 draws' mean error is below 0.05 percent; the grid costs less.
    assert min(errors) == pytest.approx(best, abs=0.15)
    spread = reference.constant_rmse([parameter]).values["slope"] * 1e-2
    assert draws.std() == pytest.approx(spread, rel=5e-3)


@pytest.mark.parametrize(
    ("kind", "distribution"),
    [("log", stats.loguniform(1, 30)), ("normal", stats.truncnorm(-3, 3, 15.5, 29 / 6))],
)
def test_the_best_constant_guess_under_other_priors(kind, distribution):
    parameter = Parameter("tin", 1.0, 30.0, prior=kind)
    draws = distribution.ppf((np.arange(20_000) + 0.5) / 20_000)
    guesses = np.linspace(1, 15, 141)
    errors = [100 * np.mean(np.abs(draws - guess) / draws) for guess in guesses]
    best = reference.constant_mfe([parameter]).values["tin"]
    assert min(errors) == pytest.approx(best, rel=2e-3)
    spread = reference.constant_rmse([parameter]).values["tin"]
    assert distribution.std() == pytest.approx(spread, rel=1e-3)


def test_a_prior_that_is_not_positive_has_no_constant_mfe():
    parameters = [Parameter("x", -1.0, 1.0), Parameter("y", 1.0, 4.0)]
    assert list(reference.constant_mfe(parameters).values) == ["y"]
    assert reference.constant_mfe(parameters).values["y"] == pytest.approx(100 / 3)


def test_a_family_answers_to_its_own_published_row():
    assert reference.published("cnn")[0].label == "CNN"
    assert reference.published("mlp")[1].values["slope"] == 7.62
    assert reference.published("something_new")[0].label == "DeepSpectra"
