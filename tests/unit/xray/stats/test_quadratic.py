"""Steps in the box against the closed form of the quadratic's minimum (KKT), and scipy's."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from wolter.xray.stats.quadratic import at_bound, box_step, remaining

F64 = torch.float64


def problem(seed: int, batch: int = 20, p: int = 5):
    """Points, some of their parameters at bounds, slopes, and informations of full rank."""
    generator = torch.Generator().manual_seed(seed)
    point_BP = torch.rand(batch, p, generator=generator, dtype=F64)
    where_BP = torch.rand(batch, p, generator=generator)
    point_BP = torch.where(where_BP < 0.2, 0.0, torch.where(where_BP > 0.8, 1.0, point_BP))
    root_BPP = torch.randn(batch, p, p, generator=generator, dtype=F64)
    size_BP = 10 ** (3 * torch.rand(batch, p, generator=generator, dtype=F64))
    fisher_BPP = (root_BPP @ root_BPP.mT + 0.1 * torch.eye(p)) * size_BP[:, None]
    fisher_BPP = fisher_BPP * size_BP[:, :, None]
    gradient_BP = torch.randn(batch, p, generator=generator, dtype=F64) * size_BP**2
    return point_BP, gradient_BP, fisher_BPP


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.booleans())
def test_the_step_is_the_minimum_in_the_box(seed, all_free):
    point_BP, gradient_BP, fisher_BPP = problem(seed)
    free_BP = torch.ones_like(point_BP, dtype=torch.bool)
    free_BP[:, 0] = all_free
    there_BP, fall_B = box_step(
        point_BP, gradient_BP, fisher_BPP, free_BP, torch.zeros(len(point_BP), dtype=F64)
    )
    assert ((there_BP >= 0) & (there_BP <= 1)).all()
    assert (there_BP[~free_BP] == point_BP[~free_BP]).all()
    assert (fall_B >= 0).all()
    # s F s + 2 g s = |L s + L^-1 g|^2 - |L^-1 g|^2.
    for row in range(3):
        free = free_BP[row].numpy()
        fisher, slope = fisher_BPP[row].numpy()[np.ix_(free, free)], gradient_BP[row].numpy()[free]
        root = np.linalg.cholesky(fisher).T
        constant = np.linalg.solve(root.T, slope)
        point = point_BP[row].numpy()[free]
        best = lsq_linear(root, -constant, (-point - 1e-12, 1 - point + 1e-12), tol=1e-14)
        expected = constant @ constant - 2 * best.cost
        assert float(fall_B[row]) >= expected * (1 - 1e-6) - 1e-11 * abs(slope).sum()
        step = (there_BP - point_BP)[row].numpy()[free]
        fall = -2 * slope @ step - step @ fisher @ step
        np.testing.assert_allclose(float(fall_B[row]), fall, rtol=1e-9, atol=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(0, 1e6))
def test_no_damping_makes_a_fall_negative(seed, damping):
    point_BP, gradient_BP, fisher_BPP = problem(seed)
    free_BP = torch.ones_like(point_BP, dtype=torch.bool)
    damping_B = torch.full((len(point_BP),), damping, dtype=F64)
    there_BP, fall_B = box_step(point_BP, gradient_BP, fisher_BPP, free_BP, damping_B)
    step_BP = there_BP - point_BP
    bend_B = (step_BP[:, None] @ fisher_BPP @ step_BP[..., None]).flatten()
    exact_B = -2 * (gradient_BP * step_BP).sum(1) - bend_B
    torch.testing.assert_close(fall_B, exact_B, rtol=1e-6, atol=1e-9)
    stuck_BP = at_bound(point_BP, gradient_BP)
    # Where a parameter can go downhill, something is gained.
    assert (fall_B[(~stuck_BP).any(1)] > 0).all()
    assert (fall_B[stuck_BP.all(1)] == 0).all()


def test_a_coupled_parameter_at_its_bound_does_not_stop_the_other():
    """The free minimum lies outside by one parameter: the other makes the best of it."""
    fisher_BPP = torch.tensor([[[1.0, -0.9], [-0.9, 1.0]]], dtype=F64)
    point_BP = torch.tensor([[0.9, 0.1]], dtype=F64)
    gradient_BP = torch.tensor([[-1.0, 0.0]], dtype=F64)
    free_BP = torch.ones(1, 2, dtype=torch.bool)
    there_BP, fall_B = box_step(
        point_BP, gradient_BP, fisher_BPP, free_BP, torch.zeros(1, dtype=F64)
    )
    torch.testing.assert_close(there_BP, torch.tensor([[1.0, 0.19]], dtype=F64))
    assert fall_B.item() > 0


def test_remaining_is_zero_at_a_minimum_and_that_of_one_parameter_else():
    fisher_BPP = torch.tensor([[[4.0, 0.0], [0.0, 100.0]]], dtype=F64).expand(3, -1, -1)
    gradient_BP = torch.tensor([[0.0, 5.0], [0.4, 5.0], [0.0, -5.0]], dtype=F64)
    point_BP = torch.tensor([[0.5, 0.0], [0.5, 0.0], [0.5, 0.0]], dtype=F64)
    free_BP = torch.ones(3, 2, dtype=torch.bool)
    flat_B, fall_B = remaining(point_BP, gradient_BP, fisher_BPP, free_BP)
    # 0.4 / 4 of the box, of which 2 are a standard error; 5 / 100, of which 10 are.
    torch.testing.assert_close(flat_B, torch.tensor([0.0, 0.2, 0.5], dtype=F64))
    torch.testing.assert_close(fall_B, torch.tensor([0.0, 0.04, 0.25], dtype=F64))
    free_BP[:, 1] = False
    flat_B, fall_B = remaining(point_BP, gradient_BP, fisher_BPP, free_BP)
    torch.testing.assert_close(flat_B, torch.tensor([0.0, 0.2, 0.0], dtype=F64))
    torch.testing.assert_close(fall_B, torch.tensor([0.0, 0.04, 0.0], dtype=F64))
