import numpy as np
import pytest
from scipy.integrate import quad

from wolter.xray.stats.upper_limit import upper_limit


def test_without_counts_the_limit_is_minus_the_logarithm_of_the_tail():
    """Of n = 0 the posterior is exponential, whatever the background."""
    assert upper_limit([0, 0], [0.0, 7.0]) == pytest.approx(-np.log(0.05))


@pytest.mark.parametrize(("n", "b"), [(3, 0.5), (10, 10.0), (2, 8.0), (150, 120.0)])
def test_the_posterior_below_the_limit_is_95_percent(n, b):
    peak = max(n - b, 0)

    def density(s):
        return np.exp(n * np.log((s + b) / (peak + b)) - (s - peak))

    limit = float(upper_limit(n, b))
    end = peak + 20 * np.sqrt(n + 1) + 40
    below, whole = (quad(density, 0, at, points=[peak], limit=200)[0] for at in (limit, end))
    assert below / whole == pytest.approx(0.95, abs=1e-6)
