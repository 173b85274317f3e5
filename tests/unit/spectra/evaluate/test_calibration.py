"""Ranks and coverage of posteriors known in closed form: Gaussian prior, Gaussian noise."""

import numpy as np
import pytest

from wolter.errors import InputError
from wolter.spectra.evaluate.calibration import (
    coverage,
    coverage_of_ranks,
    ks_p_values,
    probabilities,
    ranks,
    uniform_band,
)

N, S = 1000, 400
SIGMA = 0.5  # of the noise; the prior's is 1


def gaussian(bias: float = 0.0, width: float = 1.0, seed: int = 0):
    """Posterior samples of two means, made wrong by a bias and a factor of width, and the truth."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(N, 2))
    seen = truth + SIGMA * generator.normal(size=truth.shape)
    sigma = SIGMA / np.sqrt(1 + SIGMA**2)
    centre = seen / (1 + SIGMA**2) + bias * sigma
    return centre[:, None] + width * sigma * generator.normal(size=(N, S, 2)), truth


def test_ranks_count_the_samples_below():
    samples = np.arange(10.0).reshape(1, 10, 1).repeat(3, 0)
    truth = np.array([[-1.0], [4.5], [99.0]])
    assert ranks(samples, truth).ravel().tolist() == [0, 5, 10]
    weights = np.zeros((3, 10))
    weights[:, :2] = 3.0
    assert ranks(samples, truth, weights).ravel().tolist() == pytest.approx([0, 10, 10])
    assert np.allclose(ranks(samples, truth, np.full((3, 10), 7.0)), ranks(samples, truth))


def test_probabilities_of_ranks_are_inside_zero_and_one():
    assert probabilities(np.array([[0], [9]]), 9).ravel().tolist() == [0.05, 0.95]


def test_a_calibrated_posterior_passes():
    samples, truth = gaussian()
    assert (ks_p_values(ranks(samples, truth), S) > 0.01).all()
    for level, found in coverage(samples, truth).items():
        assert np.abs(found.percent_P - 100 * level) == pytest.approx(0, abs=4 * found.error_P[0])


@pytest.mark.parametrize("wrong", [{"bias": 0.3}, {"width": 0.7}, {"width": 1.5}])
def test_a_biased_or_too_narrow_or_wide_posterior_is_found_out(wrong):
    samples, truth = gaussian(**wrong)
    assert (ks_p_values(ranks(samples, truth), S) < 1e-3).all()


def test_coverage_of_too_narrow_intervals_is_that_of_the_gaussian():
    samples, truth = gaussian(width=0.5)
    found = coverage(samples, truth, (0.6827, 0.9545))
    # Intervals of 1 and 2 sigma that are half as wide hold 38.3 and 68.3 %.
    for level, percent in ((0.6827, 38.3), (0.9545, 68.3)):
        error = found[level].error_P
        assert error == pytest.approx(1.5, abs=0.1)  # sqrt(p (1 - p) / N)
        assert (np.abs(found[level].percent_P - percent) < 4 * error).all()


def test_weights_make_a_wide_proposal_calibrated():
    samples, truth = gaussian(width=1.5, seed=1)
    sigma = SIGMA / np.sqrt(1 + SIGMA**2)
    # The proposal's centre is that of the samples' distribution, known up to 1.5 sigma / sqrt(S).
    z = (samples[..., :1] - samples[..., :1].mean(1, keepdims=True)) / sigma
    weights = np.exp(-(z**2) / 2 + z**2 / 2 / 1.5**2)[..., 0]
    weighted = ranks(samples[..., :1], truth[:, :1], weights)
    assert ks_p_values(ranks(samples[..., :1], truth[:, :1]), S)[0] < 1e-3
    assert ks_p_values(weighted, S)[0] > 0.01
    found = coverage(samples[..., :1], truth[:, :1], weights_NS=weights)
    assert found[0.68].percent_P[0] == pytest.approx(68, abs=6)


def test_coverage_from_ranks_never_claims_to_be_exact():
    found = coverage_of_ranks(np.full((50, 1), 50.0), 100)[0.95]
    assert found.percent_P[0] == 100
    assert 0 < found.error_P[0] < 5


def test_the_band_holds_uniform_numbers_as_often_as_it_says():
    n, bounds = 300, np.arange(1, 40) / 40
    low, high = uniform_band(bounds, n)
    generator = np.random.default_rng(9)
    share = np.array(
        [np.searchsorted(np.sort(generator.random(n)), bounds) / n for _ in range(1000)]
    )
    inside = ((share >= low) & (share <= high)).all(1).mean()
    # Binomial errors of the 1000 draws here and of those inside, 0.7 % each; counts are discrete.
    assert inside == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("truth", "weights"),
    [
        (np.zeros((3, 1)), None),
        (np.zeros((3, 2)), np.ones((3, 4))),
        (np.zeros((3, 2)), np.zeros((3, 5))),
        (np.zeros((3, 2)), -np.ones((3, 5))),
    ],
)
def test_what_does_not_belong_together_is_refused(truth, weights):
    with pytest.raises(InputError):
        ranks(np.zeros((3, 5, 2)), truth, weights)


def test_a_sample_equal_to_the_truth_is_not_below_it():
    samples_NSP = np.array([[[1.0], [2.0], [3.0]]])
    assert ranks(samples_NSP, np.array([[2.0]])) == [[1.0]]
    assert ranks(samples_NSP, np.array([[2.0]]), np.array([[1.0, 1.0, 2.0]])) == [[0.75]]


def test_the_end_of_an_interval_is_outside_it():
    """Of 99 samples, ranks 15 and 84 are (15.5 and 84.5) / 100: 0.69 apart, 16 and 83 0.67."""
    ranks_NP = np.array([[15.0, 16.0], [84.0, 83.0]])
    found = coverage_of_ranks(ranks_NP, 99)
    assert found[0.68].percent_P.tolist() == [0, 100]
    assert found[0.95].percent_P.tolist() == [100, 100]
    assert coverage_of_ranks(ranks_NP, 99, (0.69,))[0.69].percent_P.tolist() == [0, 100]
    assert set(found) == {0.68, 0.95}


def test_binomial_errors_count_one_more_on_each_side():
    found = coverage_of_ranks(np.array([[50.0]] * 6 + [[0.0]] * 2), 99)[0.68]
    assert found.percent_P == pytest.approx([75])
    assert found.error_P == pytest.approx([100 * (0.7 * 0.3 / 8) ** 0.5])
