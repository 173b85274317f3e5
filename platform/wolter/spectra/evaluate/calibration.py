"""Calibration of posteriors: ranks of the truth, and coverage of credible intervals.

The truth of a spectrum drawn from the prior has a uniform rank among samples of its posterior
(simulation-based calibration: Talts et al. 2018, arXiv:1804.06788).

Shapes: N spectrum, P parameter, S sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from wolter.errors import InputError

Array = NDArray[np.float64]
LEVELS = (0.68, 0.95)


@dataclass(frozen=True)
class Coverage:
    """Coverage of central credible intervals.

    Attributes:
        percent_P: percentage of the spectra, for each parameter.
        error_P: its binomial standard error, percent; never zero, for one more spectrum on each
            side is counted (Laplace's rule).
    """

    percent_P: Array
    error_P: Array


@dataclass(frozen=True)
class Calibration:
    """Calibration of the posteriors of N spectra.

    Attributes:
        names: names of the parameters.
        ranks_NP: ranks of the truth among the samples.
        n_samples: S.
    """

    names: tuple[str, ...]
    ranks_NP: Array
    n_samples: int

    @property
    def coverage(self) -> dict[float, Coverage]:
        """Coverage of the central intervals at `LEVELS`."""
        return coverage_of_ranks(self.ranks_NP, self.n_samples)

    @property
    def ks_p(self) -> Array:
        """See `ks_p_values`."""
        return ks_p_values(self.ranks_NP, self.n_samples)


def ranks(samples_NSP: Array, truth_NP: Array, weights_NS: Array | None = None) -> Array:
    """Rank of the truth among posterior samples, 0 to S.

    Args:
        samples_NSP: posterior samples, independent of each other.
        truth_NP: true values.
        weights_NS: weights of the samples, of any sum; the rank is then S times the share of the
            weight that is below, uniform as far as the effective number of samples is large.

    Raises:
        InputError: the shapes do not belong together, or a spectrum's weights are not positive.
    """
    n, s, p = np.shape(samples_NSP)
    if np.shape(truth_NP) != (n, p):
        raise InputError(f"truth has shape {np.shape(truth_NP)}; the samples need {(n, p)}")
    below_NSP = np.asarray(samples_NSP) < np.asarray(truth_NP)[:, None]
    if weights_NS is None:
        count_NP: Array = below_NSP.sum(1).astype(float)
        return count_NP
    if np.shape(weights_NS) != (n, s):
        raise InputError(f"weights have shape {np.shape(weights_NS)}; the samples need {(n, s)}")
    weights_NS = np.asarray(weights_NS, float)
    total_N = weights_NS.sum(1)
    if not (np.isfinite(total_N) & (total_N > 0)).all() or (weights_NS < 0).any():
        raise InputError("weights of the samples of each spectrum must be positive and finite")
    weighted_NP: Array = s * np.einsum("nsp,ns->np", below_NSP, weights_NS / total_N[:, None])
    return weighted_NP


def probabilities(ranks_NP: Array, n_samples: int) -> Array:
    """Ranks 0 to S as posterior probabilities inside (0, 1): (rank + 1/2) / (S + 1)."""
    probability_NP: Array = (np.asarray(ranks_NP, float) + 0.5) / (n_samples + 1)
    return probability_NP


def coverage(
    samples_NSP: Array,
    truth_NP: Array,
    levels: Sequence[float] = LEVELS,
    weights_NS: Array | None = None,
) -> dict[float, Coverage]:
    """Coverage of central credible intervals, for each level (see `ranks` for the arguments)."""
    ranks_NP = ranks(samples_NSP, truth_NP, weights_NS)
    return coverage_of_ranks(ranks_NP, np.shape(samples_NSP)[1], levels)


def coverage_of_ranks(
    ranks_NP: Array, n_samples: int, levels: Sequence[float] = LEVELS
) -> dict[float, Coverage]:
    """Coverage of central credible intervals, for each level, from the ranks of the truth."""
    distance_NP = np.abs(2 * probabilities(ranks_NP, n_samples) - 1)  # 0 at the median, 1 outside
    n = len(distance_NP)
    found: dict[float, Coverage] = {}
    for level in levels:
        inside_P = (distance_NP < level).sum(0)
        share_P = (inside_P + 1) / (n + 2)
        error_P = np.sqrt(share_P * (1 - share_P) / n)
        found[level] = Coverage(100 * inside_P / n, 100 * error_P)
    return found


def ks_p_values(ranks_NP: Array, n_samples: int) -> Array:
    """P-value of each parameter's ranks being uniform (Kolmogorov and Smirnov's test).

    Ranks come in steps of 1 / (S + 1), which the test does not know: it needs S well above the
    square root of N.

    Returns:
        (P) p-values; small ones say that the posteriors are biased, too narrow or too wide.
    """
    probability_NP = probabilities(ranks_NP, n_samples)
    return np.array([stats.kstest(column_N, "uniform").pvalue for column_N in probability_NP.T])


def uniform_band(edges_K: Array, n: int, level: float = 0.95, draws: int = 1000) -> Array:
    """Simultaneous confidence band of the empirical distribution of n uniform numbers.

    Binomial intervals of one pointwise level, chosen by simulation so that together they have the
    level wanted (Säilynoja, Bürkner & Vehtari 2022, Stat. Comput. 32, 32).

    Args:
        edges_K: where the distribution is compared, ascending inside (0, 1).
        n: how many numbers.
        level: probability of the band.
        draws: simulations.

    Returns:
        (2, K) lowest and highest empirical distribution function.
    """
    share_K1 = np.diff(edges_K, prepend=0.0, append=1.0)
    count_DK = np.random.default_rng(0).multinomial(n, share_K1, draws).cumsum(1)[:, :-1]
    below_DK = stats.binom.cdf(count_DK, n, edges_K)
    above_DK = stats.binom.sf(count_DK - 1, n, edges_K)
    tail = np.quantile(np.minimum(below_DK, above_DK).min(1), 1 - level)
    band: Array = stats.binom.ppf(np.array([[tail], [1 - tail]]), n, edges_K) / n
    return band
