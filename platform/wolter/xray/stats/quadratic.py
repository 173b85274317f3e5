"""Box-constrained quadratic minimisation by active sets, and its convergence measures.

Shapes: B batch, P parameter. The quadratic is that of a Poisson statistic about a point x: by a
step s it changes by 2 g s + s F s, with the slope g of half the statistic and its Fisher
information F.
"""

import torch
from torch import Tensor

_RIDGE = 1e-8  # keeps a degenerate pair of parameters solvable


def at_bound(point_BP: Tensor, gradient_BP: Tensor) -> Tensor:
    """Mask of parameters at a bound whose gradient points outwards."""
    return ((point_BP <= 0) & (gradient_BP > 0)) | ((point_BP >= 1) & (gradient_BP < 0))


def box_step(
    point_BP: Tensor, gradient_BP: Tensor, fisher_BPP: Tensor, free_BP: Tensor, damping_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Damped step inside the box, and the fall of the quadratic (B), >= 0.

    A primal active-set method (Nocedal & Wright 2006, section 16.5): each round goes to the minimum
    over the parameters that are free, or until the first of them meets its bound and is held there.
    When none does, one whose gradient points inwards is let go. Each round can only lower the
    quadratic, so that the fall of the step that is taken is never negative.

    Args:
        point_BP: x, in the unit box.
        gradient_BP: g.
        fisher_BPP: F.
        free_BP: False for parameters that stay where they are.
        damping_B: added to the diagonal, in units of it (Marquardt).

    Returns:
        Where the step ends (B, P), in the box and at bounds exactly, and the fall.
    """
    size_BP = _size(fisher_BPP)
    scaled_BPP = fisher_BPP / (size_BP[:, :, None] * size_BP[:, None])
    damped_BPP = scaled_BPP + torch.diag_embed((damping_B + _RIDGE)[:, None].expand_as(size_BP))
    slope_BP = gradient_BP / size_BP
    there_BP = point_BP.clone()
    active_BP = free_BP & ~at_bound(point_BP, gradient_BP)
    for _ in range(3 * point_BP.shape[1]):
        moved_BP = (there_BP - point_BP) * size_BP
        downhill_BP = -slope_BP - (damped_BPP @ moved_BP[..., None]).squeeze(-1)
        way_BP = _solve(damped_BPP, downhill_BP, active_BP) / size_BP
        room_BP = torch.where(way_BP > 0, 1 - there_BP, there_BP)
        reach_BP = torch.where(way_BP.abs() > 0, room_BP / way_BP.abs(), torch.inf)
        share_B1 = reach_BP.amin(1, keepdim=True).clamp(max=1)
        hit_BP = active_BP & (reach_BP <= share_B1) & (reach_BP < 1)
        there_BP = (there_BP + share_B1 * way_BP).clamp(0, 1)
        there_BP = torch.where(hit_BP, (way_BP > 0).double(), there_BP)
        # At the minimum over those that are free: is there one to be let go?
        moved_BP = (there_BP - point_BP) * size_BP
        downhill_BP = -slope_BP - (damped_BPP @ moved_BP[..., None]).squeeze(-1)
        held_BP = free_BP & ~active_BP & ~hit_BP & ~at_bound(there_BP, -downhill_BP)
        pull_BP = torch.where(held_BP, downhill_BP.abs(), 0.0)
        strongest_BP = pull_BP == pull_BP.amax(1, keepdim=True)
        release_BP = held_BP & strongest_BP & (pull_BP > 1e-9) & ~hit_BP.any(1, keepdim=True)
        active_BP = (active_BP & ~hit_BP) | release_BP
        if not bool((hit_BP | release_BP).any()):
            break
    step_BP = (there_BP - point_BP) * size_BP
    bend_B = (step_BP * (scaled_BPP @ step_BP[..., None]).squeeze(-1)).sum(1)
    return there_BP, (-2 * (slope_BP * step_BP).sum(1) - bend_B).clamp(min=0)


def remaining(
    point_BP: Tensor, gradient_BP: Tensor, fisher_BPP: Tensor, free_BP: Tensor
) -> tuple[Tensor, Tensor]:
    """Distance from the minimum: projected gradient and expected fall; both (B), >= 0.

    The projected gradient is the longest way that a free parameter alone would go in the box, in
    its standard errors given the others: |clamp(x - g / F) - x| sqrt(F).
    """
    size_BP = _size(fisher_BPP)
    alone_BP = (point_BP - gradient_BP / size_BP**2).clamp(0, 1) - point_BP
    alone_BP = torch.where(free_BP, alone_BP.abs() * size_BP, 0.0)
    undamped_B = point_BP.new_zeros(len(point_BP))
    _, fall_B = box_step(point_BP, gradient_BP, fisher_BPP, free_BP, undamped_B)
    return alone_BP.amax(1), fall_B


def _size(fisher_BPP: Tensor) -> Tensor:
    size_BP = fisher_BPP.diagonal(dim1=1, dim2=2)
    return torch.where(size_BP > 0, size_BP, 1.0).sqrt()


def _solve(matrix_BPP: Tensor, right_BP: Tensor, active_BP: Tensor) -> Tensor:
    """The solution over the active parameters; 0 for the others."""
    both_BPP = active_BP[:, :, None] & active_BP[:, None]
    matrix_BPP = torch.where(both_BPP, matrix_BPP, 0.0) + torch.diag_embed((~active_BP).double())
    way_BP: Tensor = torch.linalg.solve(matrix_BPP, torch.where(active_BP, right_BP, 0.0))
    return way_BP
