"""When a fit says that it has converged; that no evaluation leaves the box."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from wolter.xray.stats.counts import Counted
from wolter.xray.stats.fit import fit
from wolter.xray.stats.levenberg_marquardt import CLOSE, FLAT, minimise, optimal
from wolter.xray.stats.unit_box import UnitBox

F64 = torch.float64
SHAPE_C = torch.linspace(1.0, 2.0, 20, dtype=F64)


def bounds(*pairs):
    return torch.tensor(pairs, dtype=F64).T


def counted(counts_BC, background=0.0):
    counts_BC = torch.as_tensor(counts_BC)
    exposure_B = torch.ones(len(counts_BC), dtype=counts_BC.dtype)
    return Counted(counts_BC, exposure_B, torch.full_like(counts_BC, background))


def scaled(parameters_BP, _exposure_B):
    """A norm of a fixed shape."""
    return parameters_BP[:, :1] * SHAPE_C.to(parameters_BP)


class Uphill(Counted):
    """Counts whose slopes point the wrong way: no step that follows them helps."""

    def __getitem__(self, rows):
        return Uphill(**vars(Counted.__getitem__(self, rows)))

    def score(self, source_BC):
        slope_BC, information_BC = Counted.score(self, source_BC)
        return -slope_BC, information_BC


def test_a_fit_that_stalls_has_not_converged():
    data = Uphill(**vars(counted(3.0 * SHAPE_C[None])))
    box = UnitBox.of(scaled, bounds((0.1, 5)))
    start_BP = torch.tensor([[0.4]], dtype=F64)
    found = minimise(box, data, start_BP)
    assert not found.converged_B.any()
    torch.testing.assert_close(found.point_BP, start_BP)
    best = fit(scaled, data, box.leave(start_BP), bounds((0.1, 5)))
    assert not best.converged_B.any()


def test_a_fit_that_cannot_move_has_not_converged():
    def blind(parameters_BP, _exposure_B):
        return SHAPE_C + 0 * parameters_BP[:, :1]

    best = fit(blind, counted(3 * SHAPE_C[None]), torch.ones(1, 1), bounds((0.1, 5)))
    assert not best.converged_B.any()


def test_a_model_without_numbers_has_not_converged():
    def broken(parameters_BP, _exposure_B):
        return scaled(parameters_BP, None) * torch.nan

    best = fit(broken, counted(3 * SHAPE_C[None]), torch.ones(1, 1), bounds((0.1, 5)))
    assert not best.converged_B.any()
    assert best.statistic_B.isinf().all()


def test_of_several_starts_one_without_numbers_never_wins():
    def holed(parameters_BP, _exposure_B):
        return scaled(parameters_BP.where(parameters_BP < 4, torch.nan), None)

    starts = torch.tensor([[[4.5], [1.0]]], dtype=F64)
    best = fit(holed, counted(3 * SHAPE_C[None]), starts, bounds((0.1, 5)))
    assert best.converged_B.all()
    torch.testing.assert_close(best.parameters_BP.item(), 3.0, rtol=1e-3, atol=0)


def test_too_few_iterations_have_not_converged():
    box = UnitBox.of(scaled, bounds((0.1, 5)))
    data, start_BP = counted(3 * SHAPE_C[None]), torch.tensor([[0.0]], dtype=F64)
    assert not minimise(box, data, start_BP, most=1).converged_B.any()
    assert minimise(box, data, start_BP).converged_B.all()


def test_convergence_is_judged_at_its_tolerance():
    """Of n counts in all a norm of 3 has an information of n / 9: an error of 3 / sqrt(n)."""
    data = counted(3e4 * SHAPE_C.expand(4, -1))
    box = UnitBox.of(lambda p_BP, e_B: 1e4 * scaled(p_BP, e_B), bounds((0.1, 5)))
    error = 3 / float(data.counts_BC[0].sum()) ** 0.5
    assert FLAT == CLOSE**0.5
    offset_B = torch.tensor([0.9, -0.9, 1.1, -1.1], dtype=F64) * FLAT
    point_BP = box.enter(3 + error * offset_B[:, None])
    assert optimal(box, data, point_BP).tolist() == [True, True, False, False]


def test_no_evaluation_leaves_the_box():
    """An optimum at the upper bounds, of a model that refuses what lies beyond its bounds."""
    for dtype in (torch.float64, torch.float32):
        # Neither bound is a number of float32, and both would be rounded outwards.
        bounds_2P = bounds((0.3, 0.7), (1e-5, 1.7e-3))
        low_P, high_P = bounds_2P

        def strict(parameters_BP, _exposure_B, low_P=low_P, high_P=high_P):
            double_BP = parameters_BP.double()
            assert ((double_BP >= low_P) & (double_BP <= high_P)).all()
            weight_C = 1e3 * SHAPE_C.flip(0).to(parameters_BP)
            return scaled(parameters_BP, None) + parameters_BP[:, 1:] * weight_C

        data = counted(30.0 * SHAPE_C[None].to(dtype))
        start_BP = torch.tensor([[0.4, 2e-5]], dtype=F64)
        best = fit(strict, data, start_BP, bounds_2P, search=True, intervals=True)
        assert best.converged_B.all()
        assert (best.parameters_BP == high_P).all()
        best = fit(strict, data, start_BP, bounds_2P, method="simplex")
        assert (best.parameters_BP == high_P).all()
        assert best.converged_B.all()


def test_a_narrow_box_in_single_precision_is_fitted_as_well():
    """Bounds 1e-4 apart: a difference step is one of rounding."""
    data = counted((1e4 * 3.00004 * SHAPE_C[None]).float())
    bounds_2P = bounds((3.0, 3.0001))

    def bright(parameters_BP, exposure_B):
        return 1e4 * scaled(parameters_BP, exposure_B)

    best = fit(bright, data, torch.tensor([[3.00009]], dtype=F64), bounds_2P)
    assert best.converged_B.all()


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 5.0]), st.floats(-1, 4))
def test_converged_means_kkt_of_poisson_fits(seed, background, magnitude):
    """Templates of non-negative norms: convex, so that the minimum is known."""
    generator = torch.Generator().manual_seed(seed)
    n, p, c = 6, 3, 30
    template_PC = torch.rand(p, c, generator=generator, dtype=F64) ** 3 + 1e-3
    low_P = torch.rand(p, generator=generator, dtype=F64) * 10**magnitude
    high_P = low_P + (0.1 + torch.rand(p, generator=generator, dtype=F64)) * 10**magnitude
    # True norms in and beyond the box.
    truth_BP = low_P + (high_P - low_P) * (
        2 * torch.rand(n, p, generator=generator, dtype=F64) - 0.5
    )
    counts_BC = torch.poisson((truth_BP @ template_PC + background).clamp(min=0), generator)
    data = counted(counts_BC, background)

    def linear(parameters_BP, _exposure_B):
        return parameters_BP @ template_PC

    start_BP = low_P + (high_P - low_P) * torch.rand(n, p, generator=generator, dtype=F64)
    best = fit(linear, data, start_BP, torch.stack([low_P, high_P]))
    assert best.converged_B.all()
    width_P = high_P - low_P
    point_BP = ((best.parameters_BP - low_P) / width_P).requires_grad_()
    total = data.statistic((low_P + width_P * point_BP) @ template_PC).sum()
    (gradient_BP,) = torch.autograd.grad(total, point_BP)
    size_BP = ((template_PC**2)[None] / _total(data, best, template_PC)[:, None]).sum(2).sqrt()
    size_BP = size_BP * width_P
    alone_BP = (point_BP - gradient_BP / 2 / size_BP**2).clamp(0, 1) - point_BP
    assert (alone_BP.abs() * size_BP <= 1.05 * FLAT + 1e-6).all()
    for row in range(2):
        found = minimize(
            lambda x, row=row: _half(data, row, x, low_P, width_P, template_PC),
            best.parameters_BP[row].sub(low_P).div(width_P).numpy(),
            jac=True,
            bounds=[(0, 1)] * p,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-9},
        )
        assert float(best.statistic_B[row]) <= 2 * found.fun + 5 * CLOSE


def _total(data, best, template_PC):
    return (best.parameters_BP @ template_PC + data.background_BC).clamp(min=1e-25)


def _half(data, row, point_P, low_P, width_P, template_PC):
    point_P = torch.from_numpy(point_P).requires_grad_()
    one = data[torch.tensor([row])]
    half = one.statistic(((low_P + width_P * point_P) @ template_PC)[None]).sum() / 2
    (gradient_P,) = torch.autograd.grad(half, point_P)
    return float(half.detach()), gradient_P.numpy()
