"""Goodness of fit of Poisson counts: expected C-stat, its variance, posterior-predictive p-values.

Kaastra (2017, A&A 605, A51) gives the mean and variance of a channel's C-stat as polynomials in its
expected counts; here they are summed from the definition, once, and interpolated to better than
1e-4. Shape suffixes: B batch, C channel, M expected counts of the table, N counts, S sample.
"""

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.xray.stats.likelihood import cstat

# The table spans FEWEST to MANY expected counts in equal steps of their logarithm; all fewer have
# no part in any sum, for more the asymptotic series is used.
FEWEST, MANY, NODES = 1e-12, 50.0, 4096
MOST = 150  # counts: beyond, the probability is below 1e-28 where MANY are expected


@dataclass(frozen=True)
class Goodness:
    """Goodness of fit of expected counts; float64 tensors of shape (...).

    Attributes:
        statistic: C-stat.
        expected: mean of C-stat over Poisson counts drawn from the expected ones.
        sigma: standard deviation of C-stat over the same counts.
        z: (statistic - expected) / sigma; a standard normal deviate in many channels or counts.
            Fitting P parameters to the counts lowers the statistic by about P.
    """

    statistic: Tensor
    expected: Tensor
    sigma: Tensor
    z: Tensor


def goodness(counts_BC: Tensor, expected_BC: Tensor) -> Goodness:
    """C-stat with its mean and standard deviation over Poisson counts.

    Args:
        counts_BC: observed counts (..., C).
        expected_BC: expected counts of source and background together (..., C).
    """
    counts_BC, expected_BC = counts_BC.double(), expected_BC.double()
    statistic_B = cstat(counts_BC, expected_BC)
    mean_BC, variance_BC = cstat_moments(expected_BC)
    mean_B, sigma_B = mean_BC.sum(-1), variance_BC.sum(-1).sqrt()
    z_B = (statistic_B - mean_B) / sigma_B.clamp(min=1e-6)  # zero where nothing is expected
    return Goodness(statistic_B, mean_B, sigma_B, z_B)


def cstat_moments(expected_BC: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of a channel's C-stat over Poisson counts n of mean m.

    C_e = sum_n P(n | m) C(n, m) and C_v = sum_n P(n | m) (C(n, m) - C_e)^2, with
    C(n, m) = 2 (m - n + n ln(n / m)) (Kaastra 2017, A&A 605, A51, section 3); where m > 50 their
    series 1 + 1/(6m) + 1/(6m^2) and 2 + 2/(3m) + 4/(3m^2).

    Args:
        expected_BC: m, expected counts, any shape.

    Returns:
        Mean and variance, the shape of m, float64; zero where nothing is expected.
    """
    expected_BC = expected_BC.double()
    # Both moments over m are nearly polynomials in ln(m): linear interpolation is accurate.
    few_BC = expected_BC.clamp(max=MANY)
    step = math.log(MANY / FEWEST) / (NODES - 1)
    position_BC = (few_BC.clamp(min=FEWEST) / FEWEST).log() / step
    left_BC = position_BC.floor().clamp(0, NODES - 2).long()
    fraction_BC = position_BC - left_BC
    many_BC = expected_BC.clamp(min=MANY)
    inverse_BC = 1 / many_BC
    series = (
        1 + inverse_BC / 6 * (1 + inverse_BC),
        2 + inverse_BC * (2 + 4 * inverse_BC) / 3,
    )
    mean_BC, variance_BC = (
        torch.where(
            expected_BC > MANY,
            series_BC,
            few_BC * torch.lerp(ratio_M[left_BC], ratio_M[left_BC + 1], fraction_BC),
        )
        for ratio_M, series_BC in zip(_table(expected_BC.device), series, strict=True)
    )
    return mean_BC, variance_BC


def posterior_predictive_p(
    counts_BC: Tensor,
    expected_BSC: Tensor,
    generator: torch.Generator | None = None,
    weights_BS: Tensor | None = None,
) -> Tensor:
    """Posterior predictive p-value of C-stat: P(C(n_rep, m) >= C(n, m)) over the posterior.

    Every posterior sample has expected counts m and one replicated spectrum n_rep drawn from them,
    and is compared at the same m (Gelman, Meng & Stern 1996, Statistica Sinica 6, 733). Small
    values say that the model cannot make such counts; without weights they are known to
    sqrt(p (1 - p) / S).

    Args:
        counts_BC: observed counts.
        expected_BSC: expected counts of source and background together, of posterior samples.
        generator: source of randomness, on the device of the expected counts.
        weights_BS: weights of the samples, as of importance sampling, of any sum; equal if None.

    Returns:
        The p-value of each spectrum (B).
    """
    larger = []
    for counts_C, expected_SC in zip(counts_BC, expected_BSC, strict=True):
        replicated_SC = torch.poisson(expected_SC, generator)
        observed_S = cstat(counts_C.to(expected_SC), expected_SC)
        larger.append(cstat(replicated_SC, expected_SC) >= observed_S)
    larger_BS = torch.stack(larger).double()
    if weights_BS is None:
        return larger_BS.mean(1)
    return (larger_BS * weights_BS).sum(1) / weights_BS.sum(1)


def _log_expected_M() -> Tensor:
    return torch.linspace(math.log(FEWEST), math.log(MANY), NODES, dtype=torch.float64)


@functools.cache
def _table(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and variance of C-stat, both over the expected counts, at the table's nodes."""
    log_M1 = _log_expected_M()[:, None]
    counts_N = torch.arange(MOST + 1, dtype=torch.float64)
    probability_MN = (counts_N * log_M1 - log_M1.exp() - torch.lgamma(counts_N + 1)).exp()
    own_N = torch.special.xlogy(counts_N, counts_N)
    cstat_MN = 2 * (log_M1.exp() - counts_N + own_N - counts_N * log_M1)
    mean_M1 = (probability_MN * cstat_MN).sum(1, keepdim=True)
    variance_M1 = (probability_MN * (cstat_MN - mean_M1) ** 2).sum(1, keepdim=True)
    ratios = (moment_M1 / log_M1.exp() for moment_M1 in (mean_M1, variance_M1))
    mean_M, variance_M = (ratio_M1.squeeze(1).to(device) for ratio_M1 in ratios)
    return mean_M, variance_M
