"""Batched Levenberg-Marquardt on Poisson statistics, by Fisher scoring.

Shapes: B batch, C channel, P parameter. Points are in units of the box of the bounds, in [0, 1],
float64, so that one small step suits every parameter and norms of any size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.xray.counting import Counted

Model = Callable[[Tensor, Tensor], Tensor]
"""(parameters_BP, exposure_B) -> expected source counts (B, C): a `Forward` or an emulator."""

STEP = 1e-3  # of forward differences: float32 counts are good to 1e-6, curvature costs 1e-3
CLOSE = 1e-3  # expected fall of the statistic (EDM of Minuit) at which a fit has converged
STALLED = 0.1  # the same where rounding lets no step succeed: still far below the 1 of an error
FIRST_DAMPING, MOST_DAMPING = 1e-2, 1e9
_RIDGE = 1e-8  # keeps a degenerate pair of parameters solvable


@dataclass(frozen=True, eq=False)
class Box:
    """A model on the unit box of its bounds."""

    model: Model
    low_P: Tensor
    width_P: Tensor

    @classmethod
    def of(cls, model: Model, bounds_2P: Tensor) -> "Box":
        """From the lowest and the highest values of the parameters."""
        low_P, high_P = bounds_2P.double()
        return cls(model, low_P, high_P - low_P)

    def enter(self, parameters_BP: Tensor) -> Tensor:
        """Points of parameters; those outside the bounds are moved to them.

        The middle stands for what is not a number, as a network may answer to a spectrum that is
        unlike all that it was trained on.
        """
        point_BP = (parameters_BP.double() - self.low_P) / self.width_P
        return point_BP.nan_to_num(nan=0.5).clamp(0, 1)

    def leave(self, point_BP: Tensor) -> Tensor:
        """Parameters of points, float64."""
        return self.low_P + self.width_P * point_BP

    def expected(self, point_BP: Tensor, data: Counted) -> Tensor:
        """Expected source counts (B, C)."""
        return self.model(self.leave(point_BP).to(data.counts_BC.dtype), data.exposure_B)

    def statistic(self, point_BP: Tensor, data: Counted) -> Tensor:
        """The statistic at points: (B), float64."""
        return data.statistic(self.expected(point_BP, data))


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where a minimiser ended: point_BP in the unit box, its statistic_B, and whether it ended."""

    point_BP: Tensor
    statistic_B: Tensor
    converged_B: Tensor


def linearise(box: Box, data: Counted, point_BP: Tensor, source_BC: Tensor) -> tuple[Tensor, ...]:
    """Slope (B, P) of half the statistic at points, and Fisher information (B, P, P)."""
    n, p = point_BP.shape
    step_BP = torch.where(point_BP + STEP > 1, -STEP, STEP)
    moved_BPP = point_BP[:, None] + torch.diag_embed(step_BP)
    repeated = data[torch.arange(n, device=point_BP.device).repeat_interleave(p)]
    moved_BPC = box.expected(moved_BPP.reshape(n * p, p), repeated).reshape(n, p, -1)
    jacobian_BPC = (moved_BPC - source_BC[:, None]).double() / step_BP[..., None]
    slope_BC, information_BC = data.score(source_BC)
    gradient_BP = (jacobian_BPC @ slope_BC[..., None]).squeeze(-1)
    return gradient_BP, (jacobian_BPC * information_BC[:, None]) @ jacobian_BPC.mT


def minimise(
    box: Box, data: Counted, start_BP: Tensor, free_BP: Tensor | None = None, most: int = 100
) -> Optimum:
    """Minimise from points; spectra that have converged leave the batch.

    Args:
        box: the model.
        data: the spectra.
        start_BP: points in the unit box.
        free_BP: False for parameters that stay where they are.
        most: iterations.
    """
    point_BP = start_BP.clone()
    free_BP = torch.ones_like(point_BP, dtype=torch.bool) if free_BP is None else free_BP
    converged_B = torch.zeros(len(data), dtype=torch.bool, device=point_BP.device)
    source_BC = box.expected(point_BP, data)
    statistic_B = data.statistic(source_BC)
    # Of the spectra still at work, in the order of `rows`:
    rows = torch.arange(len(data), device=point_BP.device)
    gradient_BP, fisher_BPP = linearise(box, data, point_BP, source_BC)
    damping_B, factor_B = torch.full_like(statistic_B, FIRST_DAMPING), statistic_B.new_full((), 2.0)
    factor_B = factor_B.expand(len(data)).clone()
    for _ in range(most):
        here_BP = point_BP[rows]
        held_BP = ~free_BP[rows] | pressed(here_BP, gradient_BP)
        _, fall_B = newton_step(
            here_BP, gradient_BP, fisher_BPP, held_BP, torch.zeros_like(damping_B)
        )
        stalled_B = damping_B > MOST_DAMPING
        done_B = fall_B < torch.where(stalled_B, STALLED, CLOSE)
        converged_B[rows[done_B]] = True
        going_B = ~done_B & ~stalled_B
        if not bool(going_B.all()):
            rows, data = rows[going_B], data[going_B]
            here_BP, held_BP = here_BP[going_B], held_BP[going_B]
            gradient_BP, fisher_BPP = gradient_BP[going_B], fisher_BPP[going_B]
            damping_B, factor_B = damping_B[going_B], factor_B[going_B]
        if not len(rows):
            break
        step_BP, fall_B = newton_step(here_BP, gradient_BP, fisher_BPP, held_BP, damping_B)
        there_BP = (here_BP + step_BP).clamp(0, 1)
        source_BC = box.expected(there_BP, data)
        there_B = data.statistic(source_BC)
        gain_B = (statistic_B[rows] - there_B) / fall_B.clamp(min=1e-12)
        better_B = gain_B > 1e-4
        # Nielsen's rule: smooth where the linear model holds, ever more careful where it fails.
        ease_B = (1 - (2 * gain_B.clamp(0, 1) - 1) ** 3).clamp(min=0.1)
        damping_B = damping_B * torch.where(better_B, ease_B, factor_B)
        factor_B = torch.where(better_B, 2.0, 2 * factor_B)
        moved = torch.nonzero(better_B).flatten()
        if len(moved):
            point_BP[rows[moved]], statistic_B[rows[moved]] = there_BP[moved], there_B[moved]
            gradient_BP[moved], fisher_BPP[moved] = linearise(
                box, data[moved], there_BP[moved], source_BC[moved]
            )
    return Optimum(point_BP, statistic_B, converged_B)


def pressed(point_BP: Tensor, gradient_BP: Tensor) -> Tensor:
    """Parameters at a bound that the statistic would have beyond it."""
    return ((point_BP <= 0) & (gradient_BP > 0)) | ((point_BP >= 1) & (gradient_BP < 0))


def newton_step(
    point_BP: Tensor, gradient_BP: Tensor, fisher_BPP: Tensor, held_BP: Tensor, damping_B: Tensor
) -> tuple[Tensor, Tensor]:
    """The damped step inside the box, and by how much the statistic is expected to fall (B).

    A parameter that the step would take out of the box goes to its bound, and the others make the
    best of it.
    """
    size_BP = fisher_BPP.diagonal(dim1=1, dim2=2)
    size_BP = torch.where(size_BP > 0, size_BP, 1.0).sqrt()
    scaled_BPP = fisher_BPP / (size_BP[:, :, None] * size_BP[:, None])
    damped_BPP = scaled_BPP + torch.diag_embed((damping_B + _RIDGE)[:, None].expand_as(size_BP))
    step_BP = torch.zeros_like(point_BP)
    for _ in range(3):
        known_BP = torch.where(held_BP, step_BP * size_BP, 0.0)
        right_BP = -gradient_BP / size_BP - (damped_BPP @ known_BP[..., None]).squeeze(-1)
        right_BP = torch.where(held_BP, known_BP, right_BP)
        both_BPP = held_BP[:, :, None] | held_BP[:, None]
        masked_BPP = torch.where(both_BPP, 0.0, damped_BPP) + torch.diag_embed(held_BP.double())
        wanted_BP = torch.linalg.solve(masked_BPP, right_BP) / size_BP
        # A held parameter has been solved as itself over its size: put it back.
        wanted_BP = torch.where(held_BP, step_BP, wanted_BP)
        step_BP = (point_BP + wanted_BP).clamp(0, 1) - point_BP
        out_BP = (step_BP - wanted_BP).abs() > 1e-12
        if not bool(out_BP.any()):
            break
        held_BP = held_BP | out_BP
    scaled_BP = step_BP * size_BP
    bend_B = (scaled_BP * (scaled_BPP @ scaled_BP[..., None]).squeeze(-1)).sum(1)
    return step_BP, -2 * (gradient_BP * step_BP).sum(1) - bend_B
