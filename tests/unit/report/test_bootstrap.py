import math

import numpy as np
import pytest

from wolter.report.bootstrap import Estimate, bootstrap_means, to_json, with_intervals


def test_the_bootstrap_gives_the_standard_error_of_the_mean():
    values = np.random.default_rng(1).normal(5, 2, (400, 1))
    means = bootstrap_means(values, 2000, seed=2)
    # 2000 resamples know a deviation to 1/sqrt(4000) = 1.6 %; 6 % is almost four times that.
    assert means.std() == pytest.approx(values.std() / math.sqrt(400), rel=0.06)
    assert means.mean() == pytest.approx(values.mean(), abs=0.02)


def test_the_bootstrap_depends_on_its_seed_alone_and_pairs_columns():
    values = np.random.default_rng(1).normal(size=(50, 1))
    first = bootstrap_means(values, 30, seed=4)
    assert np.array_equal(first, bootstrap_means(values, 30, seed=4))
    assert not np.array_equal(first, bootstrap_means(values, 30, seed=5))
    pair = bootstrap_means(np.hstack([values, 2 * values]), 30, seed=4)
    assert np.allclose(pair[:, 1], 2 * first[:, 0])


def test_intervals_end_at_their_percentiles():
    estimate = with_intervals(500, np.random.default_rng(0).permutation(1001))
    assert estimate == Estimate(500.0, (160.0, 840.0), (25.0, 975.0))
    assert estimate.interval("68") == (160, 840)
    assert estimate.interval("95") == (25, 975)
    assert estimate.deviation == 340


def test_json_of_estimates():
    estimate = Estimate(2.0, (1.5, 2.5), (1.0, 3.0))
    assert to_json({"a": estimate}) == {"a": 2.0}
    assert to_json({"a": estimate}, "95") == {"a": [1.0, 3.0]}
