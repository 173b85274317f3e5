import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wolter.tune.pareto import best_mean_rank, front

TABLES = arrays.arrays(
    float,
    st.tuples(st.integers(1, 12), st.integers(1, 4)),
    elements=st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6),
)

# Tables of any shape take long to draw on a busy machine.
UNHURRIED = settings(suppress_health_check=[HealthCheck.too_slow])


def dominates(a, b):
    return bool((a <= b).all() and (a < b).any())


@UNHURRIED
@given(TABLES)
def test_the_front_is_what_nothing_dominates_and_dominates_the_rest(objective_NM):
    own_N = front(objective_NM)
    members = objective_NM[own_N]
    assert len(members)
    assert not any(dominates(a, b) for a in objective_NM for b in members)
    assert all(any(dominates(a, b) for a in members) for b in objective_NM[~own_N])


@UNHURRIED
@given(TABLES)
def test_the_compromise_is_of_the_front_whatever_the_units(objective_NM):
    best = best_mean_rank(objective_NM)
    assert front(objective_NM)[best]
    # A power of 2 changes no digit, so that equals stay equals.
    assert best_mean_rank(objective_NM * 2.0 ** np.arange(objective_NM.shape[1])) == best


def test_the_compromise_is_not_the_best_in_one_metric_and_the_worst_in_another():
    objective_NM = np.array([[0.0, 9.0, 9.0], [1.0, 1.0, 1.0], [9.0, 0.0, 9.0], [1e9, 9.0, 0.0]])
    assert front(objective_NM).tolist() == [True, True, True, True]
    assert best_mean_rank(objective_NM) == 1
