"""Gamma distributions against scipy's, and intervals against what they learn from."""

import numpy as np
import pytest
import scipy.stats
import torch

from wolter.models._gamma import GammaQuantiles, deviate, log_negative_binomial
from wolter.models._intervals import HALVES, LIMITS, Intervals


class TestGammaPoisson:
    def test_probabilities_are_those_of_scipy(self):
        """Shapes on both sides of the series' start; float32 against float64."""
        shape = torch.tensor([0.05, 1.0, 19.0, 21.0, 300.0, 8000.0])[:, None, None]
        mean = torch.tensor([1e-4, 0.3, 7.0, 400.0])[:, None]
        counts = torch.tensor([0.0, 1.0, 5.0, 390.0])
        ours = log_negative_binomial(counts, mean, shape)
        k, m = shape.double().numpy(), mean.double().numpy()
        theirs = scipy.stats.nbinom.logpmf(counts.numpy(), k, k / (k + m))
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-4, atol=2e-3)

    def test_a_large_shape_gives_poisson(self):
        counts, mean = torch.arange(9.0), torch.tensor(3.3)
        ours = log_negative_binomial(counts, mean, torch.tensor(8000.0))
        theirs = scipy.stats.poisson.logpmf(counts.numpy(), 3.3)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=3e-3)

    @pytest.mark.parametrize("z", [-4.9, -2.03, -1.0, 0.01, 1.96, 4.99])
    def test_quantiles_are_those_of_scipy(self, z):
        """Between the points of the table; of shapes below 1, whose quantiles vary most."""
        shape = torch.exp(torch.linspace(-3.99, 8.99, 500))
        ours = GammaQuantiles()(torch.tensor(2.0), shape, torch.tensor(z))
        k = shape.double().numpy()
        theirs = scipy.stats.gamma.ppf(scipy.stats.norm.cdf(z), k, scale=2.0 / k)
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-3, atol=4e-3)

    def test_deviates_lead_back_to_their_values(self):
        """Within what the table interpolates, and float32 holds of a narrow distribution."""
        z = torch.linspace(-4.5, 4.5, 37)[:, None]
        shape = torch.exp(torch.linspace(0.0, 8.9, 40))
        value = GammaQuantiles()(torch.tensor(3.0), shape, z)
        torch.testing.assert_close(
            deviate(value, torch.tensor(3.0), shape), z.expand_as(value), rtol=0, atol=0.03
        )

    def test_deviates_end_at_five(self):
        places = deviate(torch.tensor([0.0, 1e9]), torch.tensor(1.0), torch.tensor(2.0))
        assert places.tolist() == [-5.0, 5.0]


class TestIntervals:
    def test_they_begin_where_the_distribution_is_right(self):
        deviates_L = Intervals(2)(torch.tensor(3.0), torch.tensor(0.0))
        expected = scipy.stats.norm.ppf(LIMITS)
        np.testing.assert_allclose(deviates_L.detach().numpy(), expected, atol=0.01)

    def test_they_are_nested_whatever_the_weights(self):
        intervals = Intervals(2)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weights in intervals.parameters():
                weights.copy_(3 * torch.randn(weights.shape, generator=generator))
            pair = torch.rand(2, 1000, generator=generator) * 100
            low, high, lowest, highest = intervals(*pair).unbind(-1)
        assert bool((lowest <= low).all() and (low <= high).all() and (high <= highest).all())
        assert (high - low).std() > 0

    def test_they_learn_the_quantiles_of_what_is_true(self):
        """Truths half as wide as the distribution says where counts are few, and shifted."""
        generator = torch.Generator().manual_seed(1)
        intervals = Intervals(1)
        optimiser = torch.optim.Adam(intervals.parameters(), 1e-2)
        counts = torch.where(torch.rand(4000, generator=generator) < 0.5, 0.1, 100.0)
        width, middle = torch.where(counts < 1, 0.5, 1.0), torch.where(counts < 1, 0.3, 0.0)
        for _ in range(400):
            true = middle + width * torch.randn(4000, generator=generator)
            optimiser.zero_grad()
            intervals.loss(intervals(counts), true).mean().backward()
            optimiser.step()
        for value, scale, shift in ((0.1, 0.5, 0.3), (100.0, 1.0, 0.0)):
            deviates_L = intervals(torch.tensor(value)).detach()
            expected = shift + scale * torch.tensor([-1, 1, -1, 1]) * torch.tensor(
                [HALVES[0], HALVES[0], HALVES[1], HALVES[1]]
            )
            torch.testing.assert_close(deviates_L, expected, rtol=0, atol=0.12)


def test_limits_are_those_of_the_central_68_and_95_percent():
    assert scipy.stats.norm.cdf([-1, 1]) == pytest.approx(LIMITS[:2], abs=1e-6)
    assert LIMITS[2:] == (0.025, 0.975)
    assert [HALVES[0], HALVES[1]] == pytest.approx([1, scipy.stats.norm.ppf(0.975)], abs=1e-5)
