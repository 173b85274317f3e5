"""Dependence of latents on physical quantities, and on variability at fixed counts.

Shapes: N source, S stratum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.feature_selection import mutual_info_regression

from wolter.spectra.latents.scores import FEW
from wolter.spectra.latents.sources import Array, Indices

MOST = 4000  # sources that mutual information is estimated from
_STRATUM = 100  # sources of about the same counts
_MOST_STRATA = 20


def both_known(first_N: Array, second_N: Array) -> tuple[Array, Array]:
    """The sources whose two values are finite."""
    known_N = np.isfinite(first_N) & np.isfinite(second_N)
    return first_N[known_N], second_N[known_N]


def spearman(first_N: Array, second_N: Array) -> float:
    """Spearman's rank correlation of the sources whose two values are known; NaN for few."""
    first, second = both_known(first_N, second_N)
    return pearson(stats.rankdata(first), stats.rankdata(second))


def pearson(first_N: Array, second_N: Array) -> float:
    """Pearson's correlation of the sources whose two values are known; NaN for few."""
    first, second = both_known(first_N, second_N)
    if len(first) < FEW or first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def mutual_information(first_N: Array, second_N: Array, seed: int = 0) -> float:
    """Mutual information, nats, by nearest neighbours (Kraskov et al. 2004); NaN for few sources.

    Ranks are taken first: monotonic changes of either leave mutual information as it is.
    """
    first, second = both_known(first_N, second_N)
    if len(first) < FEW:
        return float("nan")
    if len(first) > MOST:
        some = np.random.default_rng(seed).choice(len(first), MOST, replace=False)
        first, second = first[some], second[some]
    x, y = (stats.rankdata(each) / len(first) for each in (first, second))
    return float(mutual_info_regression(x[:, None], y, random_state=seed)[0])


def strata(counts_N: Array) -> Indices:
    """Stratum (N) of sources of about the same counts: up to 20, of 100 sources or more."""
    n = int(np.clip(len(counts_N) // _STRATUM, 1, _MOST_STRATA))
    order_N = counts_N.argsort(kind="stable")
    stratum_N = np.empty(len(counts_N), int)
    stratum_N[order_N] = np.arange(len(counts_N)) * n // max(1, len(counts_N))
    return stratum_N


def ranks_within(value_N: Array, stratum_N: Indices) -> Array:
    """Rank of each value in its stratum, from -1/2 to 1/2."""
    rank_N = np.empty(len(value_N))
    for s in np.unique(stratum_N):
        own = stratum_N == s
        rank_N[own] = stats.rankdata(value_N[own]) / own.sum() - 0.5 - 0.5 / own.sum()
    return rank_N


def shuffled_within(value_N: Array, stratum_N: Indices, generator: np.random.Generator) -> Array:
    """Values permuted among the sources of each stratum."""
    found_N = value_N.copy()
    for s in np.unique(stratum_N):
        own = np.flatnonzero(stratum_N == s)
        found_N[own] = value_N[generator.permutation(own)]
    return found_N


@dataclass(frozen=True)
class Excess:
    """A statistic, and its excess over permutations that keep counts and nothing else.

    Attributes:
        value: of the sources.
        low, high: 95 % interval of the excess; it holds 0 where the permutations reach the value.
    """

    value: float
    low: float
    high: float

    @property
    def survives(self) -> bool:
        """True where the dependence is more than counts give."""
        return not self.low <= 0 <= self.high


def at_fixed_counts(
    latent_N: Array,
    other_N: Array,
    counts_N: Array,
    statistic: Callable[[Array, Array], float],
    permutations: int = 200,
    seed: int = 0,
) -> Excess | None:
    """Dependence of a latent on a quantity at fixed counts; None for few sources.

    Both are ranked among sources of about the same counts, and what is linear in the counts that
    still differ there is taken off the ranks. The interval is that of the statistic
    less those of permutations of the quantity among such sources.

    Args:
        latent_N: one latent.
        other_N: the quantity; sources where it is NaN take no part.
        counts_N: counts that are held fixed.
        statistic: of two columns of ranks, such as `numpy.corrcoef`'s.
        permutations: number of permutations.
        seed: of these.
    """
    known_N = np.isfinite(latent_N) & np.isfinite(other_N)
    if known_N.sum() < _STRATUM:
        return None
    stratum_N = strata(counts_N[known_N])
    log_N = np.log(np.maximum(counts_N[known_N], 1))
    x_N = _at_counts(latent_N[known_N], log_N, stratum_N)
    y_N = _at_counts(other_N[known_N], log_N, stratum_N)
    value = statistic(x_N, y_N)
    generator = np.random.default_rng(seed)
    chance = [
        statistic(x_N, shuffled_within(y_N, stratum_N, generator)) for _ in range(permutations)
    ]
    low, high = np.percentile(chance, [2.5, 97.5])
    return Excess(value, value - float(high), value - float(low))


def _at_counts(value_N: Array, log_N: Array, stratum_N: Indices) -> Array:
    """Ranks within strata of values without their trend along the counts that differ there."""
    rank_N, along_N = ranks_within(value_N, stratum_N), ranks_within(log_N, stratum_N)
    for s in np.unique(stratum_N):
        own = stratum_N == s
        spread = float(along_N[own] @ along_N[own])
        if spread > 0:
            rank_N[own] -= (rank_N[own] @ along_N[own]) / spread * along_N[own]
    return ranks_within(rank_N, stratum_N)


def information_by_cells(x_N: Array, y_N: Array, cells: int = 8) -> float:
    """Mutual information, nats, of ranks from -1/2 to 1/2, from a table of cells x cells.

    Biased upwards by about (cells - 1)^2 / 2N, as permutations are: quick enough for many of them.
    """
    row_N, column_N = (
        np.clip(((each + 0.5) * cells).astype(int), 0, cells - 1) for each in (x_N, y_N)
    )
    count = np.bincount(row_N * cells + column_N, minlength=cells**2).reshape(cells, cells)
    joint = count / count.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / apart[some])).sum())
