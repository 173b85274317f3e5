"""Differences of a model: on one side or both, of the right size, inside the box; steps go down."""

import pytest
import torch

from wolter.xray.stats import levenberg_marquardt
from wolter.xray.stats.counts import Counted
from wolter.xray.stats.levenberg_marquardt import STEP, linearise, minimise, optimal, rounding
from wolter.xray.stats.unit_box import UnitBox

F64 = torch.float64


def counted(counts_BC):
    counts_BC = torch.as_tensor(counts_BC, dtype=F64)
    ones_B = torch.ones(len(counts_BC), dtype=F64)
    return Counted(counts_BC, ones_B, torch.zeros_like(counts_BC))


class Noted:
    """Two channels 1 + p^2 and 2 - p^2 / 2, times a norm; notes where it is asked."""

    def __init__(self, norm=100.0):
        self.norm, self.asked = norm, []

    def __call__(self, parameters_BP, _exposure_B):
        self.asked += parameters_BP[:, 0].tolist()
        square_B = parameters_BP[:, 0] ** 2
        return self.norm * torch.stack([1 + square_B, 2 - square_B / 2], 1)


UNIT = torch.tensor([[0.0], [1.0]], dtype=F64)


@pytest.mark.parametrize(
    ("point", "central", "ends"),
    [
        (0.5, False, (0.5, 0.5 + STEP)),
        (0.5, True, (0.5 - STEP, 0.5 + STEP)),
        (0.0, False, (0.0, STEP)),
        (0.0, True, (0.0, STEP)),
        (1.0, False, (1.0, 1 - STEP)),
        (1.0, True, (1.0, 1 - STEP)),
        (1 - STEP / 2, False, (1 - STEP / 2, 1 - 1.5 * STEP)),
        (1 - STEP / 2, True, (1 - STEP / 2, 1 - 1.5 * STEP)),
        (STEP / 2, True, (STEP / 2, 1.5 * STEP)),
        (1 - STEP, True, (1 - 2 * STEP, 1.0)),
    ],
)
def test_differences_lie_where_they_are_wanted(point, central, ends):
    """By hand: (f(b) - f(a)) / (b - a) of p^2 is a + b."""
    model, data = Noted(), counted([[150.0, 180.0]])
    box, point_BP = UnitBox.of(model, UNIT), torch.tensor([[point]], dtype=F64)
    source_BC = box.expected(point_BP, data)
    model.asked.clear()
    gradient_BP, fisher_BPP = linearise(box, data, point_BP, source_BC, central)
    assert min(model.asked) >= 0
    assert max(model.asked) <= 1
    assert {round(p, 9) for p in model.asked} | {round(point, 9)} >= {round(p, 9) for p in ends}
    assert len(model.asked) == 1 + central
    slope = 100 * sum(ends)
    jacobian_C = torch.tensor([slope, -slope / 2], dtype=F64)
    slope_BC, information_BC = data.score(source_BC)
    expected = float((jacobian_C * slope_BC[0]).sum())
    assert float(gradient_BP) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert float(fisher_BPP) == pytest.approx(
        float((jacobian_C**2 * information_BC[0]).sum()), rel=1e-6
    )


def test_one_side_is_the_usual():
    model, data = Noted(), counted([[150.0, 180.0]])
    box, point_BP = UnitBox.of(model, UNIT), torch.tensor([[0.5]], dtype=F64)
    source_BC = box.expected(point_BP, data)
    usual = linearise(box, data, point_BP, source_BC)
    for one, other in zip(usual, linearise(box, data, point_BP, source_BC, False), strict=True):
        assert torch.equal(one, other)


def test_minima_are_known_by_differences_on_both_sides():
    """Of 1e9 counts in channels that disagree, one-sided slopes are off by many standard errors."""

    def bent(parameters_BP, _exposure_B):
        p_B = parameters_BP[:, 0]
        return 1e9 * torch.stack([1 + p_B**2, 2 - p_B / 2], 1)

    box, data = UnitBox.of(bent, UNIT), counted([[1.6e9, 1.9e9]])
    low, high = 0.1, 0.9
    for _ in range(200):  # the minimum, by thirds
        third = (high - low) / 3
        a, b = low + third, high - third
        values = [float(box.statistic(torch.tensor([[p]], dtype=F64), data)) for p in (a, b)]
        low, high = (low, b) if values[0] < values[1] else (a, high)
    best_BP = torch.tensor([[(low + high) / 2]], dtype=F64)
    source_BC = box.expected(best_BP, data)
    one, both = (linearise(box, data, best_BP, source_BC, central) for central in (False, True))
    errors = [abs(float(g)) / float(f) ** 0.5 for g, f in (one, both)]
    assert errors[0] > 3 * levenberg_marquardt.FLAT
    assert errors[1] < 0.3 * levenberg_marquardt.FLAT
    assert bool(optimal(box, data, best_BP))
    assert not bool(optimal(box, data, best_BP + 0.01))


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("waves", [5, 15, 40])
def test_no_step_is_taken_that_makes_the_statistic_rise(most, waves):
    """A model of waves, whose first steps go far too far."""

    def wavy(parameters_BP, _exposure_B):
        wave_B1 = 2 + torch.sin(waves * parameters_BP[:, :1])
        return wave_B1 * torch.tensor([10.0, 20.0, 30.0], dtype=F64)

    box = UnitBox.of(wavy, UNIT)
    start_BP = torch.linspace(0, 1, 1001, dtype=F64)[:, None]
    data = counted(torch.tensor([[13.0, 24, 36]]).expand(1001, -1))
    found = minimise(box, data, start_BP, most=most)
    assert (found.statistic_B <= box.statistic(start_BP, data) * (1 + 1e-12)).all()
    torch.testing.assert_close(found.statistic_B, box.statistic(found.point_BP, data))


def test_rounding_by_hand():
    """16 eps sqrt(1 + counts), in the precision that models are computed in."""
    data = counted([[3.0, 5.0], [0.0, 0.0]])
    eps = torch.finfo(F64).eps
    expected_B = 16 * eps * torch.tensor([3.0, 1.0], dtype=F64)
    torch.testing.assert_close(rounding(data), expected_B, rtol=1e-12, atol=0)


def test_parameters_that_stay_do_stay():
    def both(parameters_BP, _exposure_B):
        return parameters_BP[:, :1] * 100 + parameters_BP[:, 1:] * torch.tensor([[10.0, 50.0]])

    bounds_2P = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=F64)
    data = counted([[40.0, 60.0]])
    start_BP = torch.tensor([[0.3, 0.7]], dtype=F64)
    free_BP = torch.tensor([[True, False]])
    found = minimise(UnitBox.of(both, bounds_2P), data, start_BP, free_BP)
    assert float(found.point_BP[0, 1]) == 0.7
    assert bool(found.converged_B)
    # d/dn of sum (m - S ln m) vanishes at 40 / (n + .07) + 60 / (n + .35) = 200, n the norm / 100.
    n = float(found.point_BP[0, 0])
    assert 0.4 / (n + 0.07) + 0.6 / (n + 0.35) == pytest.approx(2, abs=1e-2)
    stay = minimise(
        UnitBox.of(both, bounds_2P), data, start_BP, torch.zeros(1, 2, dtype=torch.bool)
    )
    assert torch.equal(stay.point_BP, start_BP)
    assert bool(stay.converged_B)
