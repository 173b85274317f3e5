"""Batched Levenberg-Marquardt on Poisson statistics in a box, by Fisher scoring.

Shapes: B batch, C channel, P parameter. Points are in units of the box of the bounds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.xray.stats.counts import Counted
from wolter.xray.stats.quadratic import at_bound, box_step, remaining
from wolter.xray.stats.unit_box import Model, UnitBox

__all__ = ["Model", "Optimum", "UnitBox", "at_bound", "linearise", "minimise", "optimal"]

STEP = 1e-3  # of differences: float32 counts are good to 1e-6, curvature costs 1e-3
CLOSE = 1e-3  # expected fall of the statistic (EDM of Minuit) at which a fit has converged
FLAT = CLOSE**0.5  # projected gradient, in standard errors: its square is an expected fall
_AIM = 0.5  # of both, where a fit ends: float32 slopes are off by a fifth at most (measured)
NEAR = 1.0  # expected fall from which on differences are taken on both sides of a point
FIRST_DAMPING, MOST_DAMPING = 1e-2, 1e9
_GAIN = 1e-4  # of the expected fall, below which a step is not taken
_ROUNDING = 16.0  # of the statistic, in eps sqrt(counts): measured, smaller changes tell nothing


@dataclass(frozen=True, eq=False)
class Optimum:
    """Result of a minimiser: point_BP in the unit box, statistic_B, and converged_B."""

    point_BP: Tensor
    statistic_B: Tensor
    converged_B: Tensor


def linearise(
    box: UnitBox, data: Counted, point_BP: Tensor, source_BC: Tensor, central: bool = False
) -> tuple[Tensor, Tensor]:
    """Slope (B, P) of half the statistic at points, and Fisher information (B, P, P).

    Args:
        box: the model.
        data: the spectra.
        point_BP: in the unit box, which differences never leave.
        source_BC: expected counts there.
        central: differences on both sides of a point; at a bound on the inner one.
    """
    inward_BP = torch.where(point_BP + STEP > 1, point_BP - STEP, point_BP + STEP)
    ahead_BP, behind_BP = inward_BP, point_BP
    behind_BPC = source_BC[:, None]
    if central:
        behind_BP = torch.where(inward_BP > point_BP, point_BP - STEP, point_BP)
        behind_BP = torch.where(behind_BP < 0, point_BP, behind_BP)
        behind_BPC = _moved(box, data, point_BP, behind_BP)
    ahead_BPC = _moved(box, data, point_BP, ahead_BP)
    # What the model was given, which rounding makes another step in a narrow box.
    step_BP = box.seen(ahead_BP, data) - box.seen(behind_BP, data)
    step_BP = torch.where(step_BP == 0, torch.inf, step_BP)
    jacobian_BPC = (ahead_BPC - behind_BPC).double() / step_BP[..., None]
    slope_BC, information_BC = data.score(source_BC)
    gradient_BP = (jacobian_BPC @ slope_BC[..., None]).squeeze(-1)
    return gradient_BP, (jacobian_BPC * information_BC[:, None]) @ jacobian_BPC.mT


def _moved(box: UnitBox, data: Counted, point_BP: Tensor, value_BP: Tensor) -> Tensor:
    """Expected counts (B, P, C) where one parameter after the other is put to a value."""
    n, p = point_BP.shape
    one_PP = torch.eye(p, dtype=torch.bool, device=point_BP.device)
    moved_BPP = torch.where(one_PP, value_BP[:, None], point_BP[:, None])
    repeated = data[torch.arange(n, device=point_BP.device).repeat_interleave(p)]
    return box.expected(moved_BPP.reshape(n * p, p), repeated).reshape(n, p, -1)


def optimal(box: UnitBox, data: Counted, point_BP: Tensor) -> Tensor:
    """Convergence test of points (B), as `minimise` applies it."""
    source_BC = box.expected(point_BP, data)
    gradient_BP, fisher_BPP = linearise(box, data, point_BP, source_BC, central=True)
    free_BP = torch.ones_like(point_BP, dtype=torch.bool)
    known_B = _known(gradient_BP, fisher_BPP, free_BP)
    flat_B, fall_B = remaining(point_BP, gradient_BP, fisher_BPP, free_BP)
    optimal_B: Tensor = known_B & (flat_B <= FLAT) & (fall_B <= CLOSE)
    return optimal_B


def _known(gradient_BP: Tensor, fisher_BPP: Tensor, free_BP: Tensor) -> Tensor:
    """Mask of spectra (B) with finite slopes and any sensitivity to a free parameter."""
    number_B = fisher_BPP.isfinite().all((1, 2)) & gradient_BP.isfinite().all(1)
    told_BP = free_BP & (fisher_BPP.diagonal(dim1=1, dim2=2) > 0)
    known_B: Tensor = number_B & (told_BP.any(1) | ~free_BP.any(1))
    return known_B


def minimise(
    box: UnitBox, data: Counted, start_BP: Tensor, free_BP: Tensor | None = None, most: int = 100
) -> Optimum:
    """Minimise from points; spectra that have converged leave the batch.

    A fit has converged where both the projected gradient and the expected fall of the statistic
    are small (`FLAT`, `CLOSE`), see `wolter.xray.stats.quadratic.remaining`. One that no step
    improves short of that has not.

    Args:
        box: the model.
        data: the spectra.
        start_BP: points in the unit box.
        free_BP: False for parameters that stay where they are.
        most: iterations, and as many near the minimum.
    """
    free_BP = torch.ones_like(start_BP, dtype=torch.bool) if free_BP is None else free_BP
    near = _descend(box, data, start_BP, free_BP, most, NEAR, central=False)
    return _descend(box, data, near.point_BP, free_BP, most, CLOSE, central=True)


def rounding(data: Counted) -> Tensor:
    """Rounding error of the statistics (B)."""
    eps = torch.finfo(data.counts_BC.dtype).eps
    return _ROUNDING * eps * (1 + data.counts_BC.double().sum(1)).sqrt()


def _descend(
    box: UnitBox,
    data: Counted,
    start_BP: Tensor,
    free_BP: Tensor,
    most: int,
    close: float,
    central: bool,
) -> Optimum:
    source_BC = box.expected(start_BP, data)
    point_BP, statistic_B = start_BP.clone(), data.statistic(source_BC)
    converged_B = torch.zeros(len(data), dtype=torch.bool, device=point_BP.device)
    # Of the spectra still at work, in the order of `rows`:
    rows = torch.arange(len(data), device=point_BP.device)
    gradient_BP, fisher_BPP = linearise(box, data, point_BP, source_BC, central)
    damping_B = torch.full_like(statistic_B, FIRST_DAMPING)
    factor_B = torch.full_like(statistic_B, 2.0)
    for _ in range(most):
        known_B = _known(gradient_BP, fisher_BPP, free_BP[rows])
        fisher_BPP = torch.where(known_B[:, None, None], fisher_BPP, 0.0)
        gradient_BP = torch.where(known_B[:, None], gradient_BP, 0.0)
        flat_B, fall_B = remaining(point_BP[rows], gradient_BP, fisher_BPP, free_BP[rows])
        done_B = known_B & (flat_B <= _AIM * close**0.5) & (fall_B <= _AIM * close)
        converged_B[rows[done_B]] = True
        going_B = known_B & ~done_B & (damping_B <= MOST_DAMPING)
        if not bool(going_B.all()):
            rows, data = rows[going_B], data[going_B]
            gradient_BP, fisher_BPP = gradient_BP[going_B], fisher_BPP[going_B]
            damping_B, factor_B = damping_B[going_B], factor_B[going_B]
        if not len(rows):
            break
        there_BP, fall_B = box_step(
            point_BP[rows], gradient_BP, fisher_BPP, free_BP[rows], damping_B
        )
        source_BC = box.expected(there_BP, data)
        there_B = data.statistic(source_BC)
        lower_B = statistic_B[rows] - there_B
        gain_B = lower_B / fall_B.clamp(min=1e-12)
        gain_B[lower_B.abs().maximum(fall_B) < rounding(data)] = 1.0
        better_B = gain_B > _GAIN
        # Nielsen's rule: smooth where the linear model holds, ever more careful where it fails.
        ease_B = (1 - (2 * gain_B.clamp(0, 1) - 1) ** 3).clamp(min=0.1)
        damping_B = damping_B * torch.where(better_B, ease_B, factor_B)
        factor_B = torch.where(better_B, 2.0, 2 * factor_B)
        moved = torch.nonzero(better_B).flatten()
        if len(moved):
            point_BP[rows[moved]], statistic_B[rows[moved]] = there_BP[moved], there_B[moved]
            gradient_BP[moved], fisher_BPP[moved] = linearise(
                box, data[moved], there_BP[moved], source_BC[moved], central
            )
    return Optimum(point_BP, statistic_B, converged_B)
