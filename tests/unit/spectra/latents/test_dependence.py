"""Dependence of latents on quantities, and on variability at fixed counts."""

import numpy as np
import pytest

from wolter.spectra.latents.dependence import (
    at_fixed_counts,
    information_by_cells,
    mutual_information,
    pearson,
    spearman,
    strata,
)

N = 4000


@pytest.fixture
def counts_N():
    return 10 ** np.random.default_rng(0).uniform(1, 4, N)


def test_mutual_information_of_a_normal_pair_is_the_known_one():
    generator = np.random.default_rng(1)
    first_N = generator.normal(size=N)
    second_N = 0.8 * first_N + 0.6 * generator.normal(size=N)
    exact = -0.5 * np.log(1 - 0.8**2)
    assert mutual_information(first_N, second_N) == pytest.approx(exact, abs=0.05)
    assert mutual_information(first_N, generator.normal(size=N)) < 0.03
    assert spearman(first_N, np.exp(second_N)) == pytest.approx(spearman(first_N, second_N))
    assert pearson(first_N, second_N) == pytest.approx(0.8, abs=0.02)


def test_unknown_values_do_not_count():
    first_N = np.arange(100.0)
    second_N = np.where(first_N < 50, first_N, np.nan)
    assert spearman(first_N, second_N) == pytest.approx(1.0)
    assert np.isnan(spearman(first_N, np.full(100, np.nan)))


def test_strata_hold_sources_of_about_the_same_counts(counts_N):
    stratum_N = strata(counts_N)
    assert np.bincount(stratum_N).tolist() == [200] * 20
    order = counts_N.argsort()
    assert (np.diff(stratum_N[order]) >= 0).all()
    assert strata(counts_N[:30]).tolist() == [0] * 30


@pytest.mark.parametrize("statistic", [pearson, information_by_cells])
def test_what_counts_alone_give_does_not_survive(counts_N, statistic):
    """Latent and variability both follow counts, and nothing else."""
    generator = np.random.default_rng(2)
    latent_N = np.log(counts_N) + 0.3 * generator.normal(size=N)
    variability_N = np.log(counts_N) + generator.normal(size=N)
    assert spearman(latent_N, variability_N) > 0.8
    found = at_fixed_counts(latent_N, variability_N, counts_N, statistic)
    assert found.low <= 0 <= found.high
    assert not found.survives


@pytest.mark.parametrize("statistic", [pearson, information_by_cells])
def test_what_counts_do_not_give_survives(counts_N, statistic):
    generator = np.random.default_rng(3)
    own_N = generator.normal(size=N)
    latent_N = np.log(counts_N) + own_N
    variability_N = np.log(counts_N) + own_N + generator.normal(size=N)
    found = at_fixed_counts(latent_N, variability_N, counts_N, statistic)
    assert found.survives
    assert found.low > 0


def test_permuted_variability_gives_an_interval_that_holds_zero(counts_N):
    generator = np.random.default_rng(4)
    latent_N = generator.normal(size=N)
    held = [
        not at_fixed_counts(
            latent_N, generator.permutation(latent_N), counts_N, pearson, 60, seed
        ).survives
        for seed in range(20)
    ]
    assert sum(held) >= 16  # 95 % of 20 is 19, and 16 is 3 sigma below


def test_few_sources_tell_nothing():
    few = np.arange(50.0)
    assert at_fixed_counts(few, few, few, pearson) is None
