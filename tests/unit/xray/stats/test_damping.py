"""How fits go: Nielsen's rule of damping, where they end, which differences they take."""

import pytest
import torch

from wolter.xray.stats import levenberg_marquardt
from wolter.xray.stats.counts import Counted
from wolter.xray.stats.levenberg_marquardt import CLOSE, FLAT, NEAR, minimise
from wolter.xray.stats.unit_box import UnitBox

F64 = torch.float64
SHAPE_C = torch.linspace(1.0, 2.0, 20, dtype=F64)
UNIT = torch.tensor([[0.0], [1.0]], dtype=F64)
COUNTS = 1e6


def linear(parameters_BP, _exposure_B):
    """A norm of a fixed shape: Fisher scoring finds its best value in one step."""
    return COUNTS * parameters_BP[:, :1] * SHAPE_C.to(parameters_BP)


def counted(norm):
    counts_BC = COUNTS * norm * SHAPE_C[None]
    return Counted(counts_BC, torch.ones(1, dtype=F64), torch.zeros_like(counts_BC))


def offset(errors):
    """A norm so many standard errors from 0.5."""
    return 0.5 + errors * 0.5 / float(counted(0.5).counts_BC.sum()) ** 0.5


def descend(start, most=100, close=CLOSE, data=None, free=True):
    """One descent from a point to a norm of 0.5."""
    point_BP, free_BP = torch.tensor([[start]], dtype=F64), torch.tensor([[free]])
    data = counted(0.5) if data is None else data
    box = UnitBox.of(linear, UNIT)
    return levenberg_marquardt._descend(box, data, point_BP, free_BP, most, close, central=False)


@pytest.fixture
def steps(monkeypatch):
    """Damping of every step that is tried; `gain` makes the fall that is expected another."""
    tried, plain = [], levenberg_marquardt.box_step

    def noted(point_BP, gradient_BP, fisher_BPP, free_BP, damping_B):
        tried.append(float(damping_B))
        there_BP, fall_B = plain(point_BP, gradient_BP, fisher_BPP, free_BP, damping_B)
        if noted.gain is not None:
            box, data = UnitBox.of(linear, UNIT), counted(0.5)
            before_B, after_B = (box.statistic(each, data) for each in (point_BP, there_BP))
            fall_B = (before_B - after_B) / noted.gain
        return there_BP, fall_B

    noted.gain, noted.tried = None, tried
    monkeypatch.setattr(levenberg_marquardt, "box_step", noted)
    return noted


def test_the_first_step_is_damped_by_a_hundredth():
    found = descend(0.4, most=1)
    assert float(found.point_BP) == pytest.approx(0.4 + 0.1 / 1.01, rel=1e-6)
    assert not found.converged_B


@pytest.mark.parametrize(
    ("gain", "ease"), [(0.5, 1.0), (0.8, 0.784), (0.2, 1.216), (0.98, 0.115264), (1.0, 0.1)]
)
def test_damping_follows_the_gain_by_nielsen_s_rule(steps, gain, ease):
    """1 - (2 gain - 1)^3, at least 0.1: by hand; also where the falls are small."""
    steps.gain = gain
    descend(0.4, most=2)
    descend(offset(0.5), most=2, close=1e-12)
    assert steps.tried[2:] == pytest.approx(steps.tried[:2], rel=1e-6)
    assert steps.tried[:2] == pytest.approx([0.01, 0.01 * ease], rel=1e-6)


def test_gains_beyond_one_are_as_one(steps):
    steps.gain = 3.0
    descend(0.4, most=2)
    assert steps.tried == pytest.approx([0.01, 0.001])


@pytest.mark.parametrize(("gain", "taken"), [(0.9e-4, False), (1.1e-4, True)])
def test_a_step_is_taken_from_a_gain_of_one_in_ten_thousand(steps, gain, taken):
    steps.gain = gain
    found = descend(0.4, most=1)
    assert (float(found.point_BP) != 0.4) is taken


class Uphill(Counted):
    """Counts whose slopes point the wrong way, so that no step helps."""

    def __getitem__(self, rows):
        return Uphill(**vars(Counted.__getitem__(self, rows)))

    def score(self, source_BC):
        slope_BC, information_BC = Counted.score(self, source_BC)
        return -slope_BC, information_BC


def test_damping_grows_ever_faster_where_no_step_helps_until_it_is_hopeless(steps):
    """By 2, 4, 8 ...: after nine steps it is beyond 1e9, which the tenth would be made with."""
    found = descend(0.4, data=Uphill(**vars(counted(0.5))))
    expected = [0.01 * 2 ** (k * (k + 1) // 2) for k in range(9)]
    assert steps.tried == pytest.approx(expected)
    assert float(found.point_BP) == 0.4
    assert not found.converged_B


def test_damping_begins_anew_once_a_step_has_helped(monkeypatch, steps):
    """Two that do not help, one that does, and one more that does not: 2 again, and not 16."""
    data, plain, calls = counted(0.5), Counted.statistic, []

    def statistic(self, source_BC):
        calls.append(None)
        worse = len(calls) in (2, 3, 5)  # the first is of the start
        return plain(self, source_BC) + (1e9 if worse else 0.0)

    monkeypatch.setattr(Counted, "statistic", statistic)
    descend(offset(1.0), most=5, close=1e-12, data=data)
    assert steps.tried[:4] == pytest.approx([0.01, 0.02, 0.08, 0.08 * 0.1], rel=1e-2)
    assert steps.tried[4] == pytest.approx(2 * steps.tried[3])


@pytest.mark.parametrize(("share", "moved"), [(0.45, False), (0.55, True), (-0.45, False)])
def test_a_fit_ends_at_half_its_tolerance(share, moved):
    start = offset(share * FLAT)
    found = descend(start)
    assert (float(found.point_BP) != start) is moved
    assert bool(found.converged_B)


@pytest.mark.parametrize(("errors", "one_sided"), [(0.45, 1), (0.55, 2), (30.0, 2)])
def test_differences_on_both_sides_begin_near_the_minimum(monkeypatch, errors, one_sided):
    """Within half a standard error: one-sided slopes are good enough before."""
    taken, plain = [], levenberg_marquardt.linearise

    def noted(box, data, point_BP, source_BC, central):
        taken.append(central)
        return plain(box, data, point_BP, source_BC, central)

    monkeypatch.setattr(levenberg_marquardt, "linearise", noted)
    assert NEAR == 1.0
    found = minimise(
        UnitBox.of(linear, UNIT), counted(0.5), torch.tensor([[offset(errors)]], dtype=F64)
    )
    assert bool(found.converged_B)
    assert taken.count(False) == one_sided
    assert taken == sorted(taken)


def test_no_spectrum_is_evaluated_once_it_has_converged():
    """Of three, one begins at its minimum and one tells nothing of the parameter."""
    asked = []

    def noted(parameters_BP, exposure_B):
        asked.append(len(parameters_BP))
        return linear(parameters_BP, exposure_B)

    counts_BC = torch.cat([counted(norm).counts_BC for norm in (0.5, 0.5, 0.7)])
    data = Counted(counts_BC, torch.ones(3, dtype=F64), torch.zeros_like(counts_BC))
    start_BP = torch.tensor([[0.5], [0.4], [0.3]], dtype=F64)
    box, free_BP = UnitBox.of(noted, UNIT), torch.ones(3, 1, dtype=torch.bool)
    found = levenberg_marquardt._descend(box, data, start_BP, free_BP, 100, CLOSE, central=False)
    assert found.converged_B.tolist() == [True] * 3
    assert asked[:2] == [3, 3]
    assert max(asked[2:]) == 2
    torch.testing.assert_close(
        found.point_BP, torch.tensor([[0.5], [0.5], [0.7]], dtype=F64), rtol=1e-4, atol=0
    )
    assert found.point_BP[0, 0] == 0.5
    torch.testing.assert_close(found.statistic_B, box.statistic(found.point_BP, data))


def test_changes_below_rounding_are_taken(steps, monkeypatch):
    steps.gain = 1e-5
    monkeypatch.setattr(
        levenberg_marquardt, "rounding", lambda data: torch.full((1,), 1e12, dtype=F64)
    )
    found = descend(0.4, most=1)
    assert float(found.point_BP) != 0.4
    monkeypatch.setattr(levenberg_marquardt, "rounding", lambda data: torch.zeros(1, dtype=F64))
    found = descend(0.4, most=1)
    assert float(found.point_BP) == 0.4
