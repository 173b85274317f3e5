"""Upper limits of Poisson counts under a known background (Kraft, Burrows & Nousek 1991).

The posterior of a source's expected counts s >= 0, for a flat prior, n observed counts and b of
the background, is proportional to exp(-(s + b)) (s + b)^n (ApJ 374, 344, eq. 5). Its cumulative
distribution is a ratio of incomplete gamma functions, of which the limit is the inverse.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

PROBABILITY = 0.95


def upper_limit(
    counts: ArrayLike, background: ArrayLike, probability: float = PROBABILITY
) -> NDArray[np.float64]:
    """Expected source counts that a share of the posterior stays below, in the shape of the counts.

    Args:
        counts: observed counts n, of source and background.
        background: expected background counts b.
        probability: the share, one-sided.
    """
    from scipy.special import gammaincc, gammainccinv

    n, b = np.asarray(counts, float), np.asarray(background, float)
    assert (n >= 0).all()
    assert (b >= 0).all()
    above = gammaincc(n + 1, b)  # of the posterior without the bound s >= 0, beyond it
    return np.asarray(gammainccinv(n + 1, (1 - probability) * above) - b)
