import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolter.xray.ogip import gti

SECONDS = st.floats(0, 1e4).map(lambda value: round(value, 3))
INTERVALS = st.lists(st.tuples(SECONDS, SECONDS).map(sorted), min_size=1, max_size=8).map(
    lambda pairs: gti.merge(np.array(pairs, float))
)


@given(INTERVALS)
def test_merged_intervals_are_sorted_and_apart(intervals_M2):
    assert (np.diff(intervals_M2.ravel()) >= 0).all()
    assert (intervals_M2[1:, 0] > intervals_M2[:-1, 1]).all()
    assert np.array_equal(gti.merge(intervals_M2), intervals_M2)


def test_intervals_within_others_are_merged():
    given_M2 = np.array([[5.0, 6.0], [0.0, 4.0], [1.0, 2.0], [4.0, 4.5]])
    assert gti.merge(given_M2).tolist() == [[0.0, 4.5], [5.0, 6.0]]


@given(INTERVALS, st.floats(100, 5000))
def test_parts_are_equally_long_and_one_after_the_other(intervals_M2, seconds):
    points = gti.cut_points(intervals_M2, seconds)
    total = gti.length(intervals_M2)
    assert max(len(points) - 1, 0) == int(total / seconds + 1e-9)
    for part in itertools.pairwise(points):
        good = gti.length(gti.within(intervals_M2, part))
        assert good == pytest.approx(seconds, abs=1e-6)


@given(INTERVALS, INTERVALS)
def test_time_in_common_is_symmetric_and_all_of_ones_own(one, other):
    assert gti.common(one, other) == pytest.approx(gti.common(other, one), abs=1e-9)
    assert gti.common(one, one) == pytest.approx(gti.length(one), abs=1e-9)


def test_a_time_is_held_from_the_start_to_before_the_end():
    times = gti.holds(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.9, 1, 1.9, 2, 3.5, 4]))
    assert times.tolist() == [False, True, True, False, True, False]
    assert not gti.holds(np.zeros((0, 2)), np.array([1.0])).any()
