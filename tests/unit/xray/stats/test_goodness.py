"""Goodness of fit against direct sums and simulated counts."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from wolter.xray.stats.goodness import cstat_moments, goodness, posterior_predictive_p


def summed(mean: float) -> tuple[float, float]:
    """Mean and variance of C-stat by summing over all counts that have any probability."""
    n = np.arange(int(mean + 40 * np.sqrt(mean) + 40))
    p = stats.poisson.pmf(n, mean)
    c = 2 * (mean - n + special.xlogy(n, n / mean))
    expected = (p * c).sum()
    return expected, (p * (c - expected) ** 2).sum()


def test_moments_are_those_of_the_direct_sum():
    mean = np.concatenate([np.geomspace(1e-9, 1e4, 400), [49.99, 50.01, 1.0, 0.5]])
    direct = np.array([summed(m) for m in mean]).T
    got = torch.stack(cstat_moments(torch.tensor(mean))).numpy()
    # Linear interpolation is good to 2e-5, the series to 4e-5 where it begins.
    assert got == pytest.approx(direct, rel=1e-4, abs=1e-12)


def test_moments_are_those_that_kaastra_published():
    m = np.geomspace(0.2, 1e3, 500)
    log = np.log(m)
    published_mean = np.select(
        [m <= 0.5, m <= 2, m <= 5, m <= 10],
        [
            -0.25 * m**3 + 1.38 * m**2 - 2 * m * log,
            -0.00335 * m**5 + 0.04259 * m**4 - 0.27331 * m**3 + 1.381 * m**2 - 2 * m * log,
            1.019275 + 0.1345 * m ** (0.461 - 0.9 * log),
            1.00624 + 0.604 / m**1.68,
        ],
        1 + 0.1649 / m + 0.226 / m**2,
    )
    published_variance = 2 + 0.6747 / m + 0.79 / m**2 + 12 / m**3  # of m > 10
    mean, variance = (moment.numpy() for moment in cstat_moments(torch.tensor(m)))
    # His polynomials are good to 2.3e-4, his variance to 1.6e-4.
    assert mean == pytest.approx(published_mean, rel=3e-4)
    assert variance[m > 10] == pytest.approx(published_variance[m > 10], rel=3e-4)


def test_moments_tend_to_those_of_chi_squared_and_to_nothing():
    mean, variance = cstat_moments(torch.tensor([0.0, 1e-30, 1e9]))
    assert mean.tolist() == pytest.approx([0.0, 0.0, 1.0], abs=1e-8)
    assert variance.tolist() == pytest.approx([0.0, 0.0, 2.0], abs=1e-8)


def test_z_is_a_standard_deviate_of_simulated_counts():
    generator = torch.Generator().manual_seed(1)
    expected_BC = torch.logspace(-2, 3, 80).expand(4000, -1)
    fit = goodness(torch.poisson(expected_BC, generator), expected_BC)
    assert fit.statistic.shape == fit.z.shape == (4000,)
    # Standard errors of a mean and a deviation over 4000 draws: 0.016 and 0.011.
    assert float(fit.z.mean()) == pytest.approx(0, abs=0.06)
    assert float(fit.z.std()) == pytest.approx(1, abs=0.05)
    assert float(fit.statistic.mean()) == pytest.approx(float(fit.expected[0]), rel=0.01)


def test_a_wrong_model_has_a_large_z_and_single_spectra_need_no_batch():
    expected_C = torch.full((100,), 20.0)
    fit = goodness(expected_C + 9, expected_C)  # each channel two sigma too high
    assert fit.z.shape == ()
    assert float(fit.z) > 10


def test_nothing_expected_and_nothing_seen_is_no_misfit():
    fit = goodness(torch.zeros(2, 5), torch.zeros(2, 5))
    assert fit.z.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)


def test_p_value_is_uniform_where_the_expected_counts_are_the_true_ones():
    generator = torch.Generator().manual_seed(2)
    expected_BC = torch.logspace(-1, 2, 60).expand(400, -1)
    counts_BC = torch.poisson(expected_BC, generator)
    p_B = posterior_predictive_p(counts_BC, expected_BC[:, None].expand(-1, 300, -1), generator)
    assert p_B.shape == (400,)
    assert stats.kstest(p_B.numpy(), "uniform").pvalue > 0.01


def test_p_value_agrees_with_the_gaussian_of_many_channels():
    generator = torch.Generator().manual_seed(3)
    expected_C = torch.full((1000,), 8.0)
    counts_C = torch.poisson(expected_C, generator)
    p = posterior_predictive_p(counts_C[None], expected_C.expand(1, 4000, -1), generator)
    normal = stats.norm.sf(float(goodness(counts_C, expected_C).z))
    # Binomial error 0.008; the distribution's skewness moves it by no more.
    assert float(p) == pytest.approx(normal, abs=0.03)


def test_p_value_weighs_samples():
    generator = torch.Generator().manual_seed(4)
    right_C = torch.full((200,), 30.0)
    counts_1C = torch.poisson(right_C, generator)[None]
    expected_1SC = torch.cat([right_C.expand(500, -1), 2 * right_C.expand(500, -1)])[None]
    weights_1S = torch.cat([torch.ones(500), torch.zeros(500)])[None]
    all_equal = float(posterior_predictive_p(counts_1C, expected_1SC, generator))
    weighted = float(posterior_predictive_p(counts_1C, expected_1SC, generator, weights_1S))
    assert all_equal == pytest.approx(weighted / 2, abs=0.06)
    assert 0.001 < weighted < 0.999
