"""Batched Nelder-Mead simplex: derivative-free minimisation for models with kinks.

Shapes: B batch, P parameter, V vertex (P + 1). Points are in the unit box of the bounds, float64.
"""

import torch
from torch import Tensor

from wolter.xray.stats.counts import Counted
from wolter.xray.stats.levenberg_marquardt import Optimum, UnitBox

FIRST, AGAIN = 0.1, 0.02  # edges of the first simplex, and of the one that checks its answer
SPREAD = 1e-4  # of the statistic over the vertices, at which a simplex has converged

NEAR = 1e-3  # to a bound, where the bound itself is tried


def simplex(box: UnitBox, data: Counted, start_BP: Tensor, most: int = 4000) -> Optimum:
    """Minimise from points; spectra that have converged leave the batch.

    A simplex may collapse short of the minimum, so a second one starts where the first ended.

    Args:
        box: the model.
        data: the spectra.
        start_BP: points in the unit box.
        most: steps of each simplex.
    """
    first = _descend(box, data, start_BP, FIRST, most)
    found = _descend(box, data, first.point_BP, AGAIN, most)
    # A simplex closes in on a bound without ever reaching it.
    snapped_BP = torch.where(found.point_BP < NEAR, 0.0, found.point_BP)
    snapped_BP = torch.where(snapped_BP > 1 - NEAR, 1.0, snapped_BP)
    snapped_B = box.statistic(snapped_BP, data)
    lower_B = snapped_B <= found.statistic_B + SPREAD
    return Optimum(
        torch.where(lower_B[:, None], snapped_BP, found.point_BP),
        torch.where(lower_B, snapped_B, found.statistic_B),
        found.converged_B,
    )


def _descend(box: UnitBox, data: Counted, start_BP: Tensor, edge: float, most: int) -> Optimum:
    n, p = start_BP.shape
    vertex_BVP = start_BP[:, None].repeat(1, p + 1, 1)
    inward_BP = torch.where(start_BP + edge > 1, -edge, edge)
    vertex_BVP[:, 1:] += torch.diag_embed(inward_BP)
    value_BV = _values(box, data, vertex_BVP)
    point_BP, statistic_B = start_BP.clone(), value_BV[:, 0].clone()
    converged_B = torch.zeros(n, dtype=torch.bool, device=start_BP.device)
    rows = torch.arange(n, device=start_BP.device)
    # Gao and Han 2012: coefficients that keep pace with the number of parameters.
    expand, contract, shrink = 1 + 2 / p, 0.75 - 1 / (2 * p), 1 - 1 / p if p > 1 else 0.5
    for _ in range(most):
        value_BV, order_BV = value_BV.sort(1)
        vertex_BVP = vertex_BVP.gather(1, order_BV[..., None].expand_as(vertex_BVP))
        point_BP[rows], statistic_B[rows] = vertex_BVP[:, 0], value_BV[:, 0]
        done_B = value_BV[:, -1] - value_BV[:, 0] < SPREAD
        converged_B[rows[done_B]] = True
        if bool(done_B.any()):
            left_B = ~done_B
            rows, data = rows[left_B], data[left_B]
            vertex_BVP, value_BV = vertex_BVP[left_B], value_BV[left_B]
        if not len(rows):
            break
        centre_BP, worst_BP = vertex_BVP[:, :-1].mean(1), vertex_BVP[:, -1]
        away_BP = centre_BP - worst_BP
        reflected_BP = (centre_BP + away_BP).clamp(0, 1)
        reflected_B = box.statistic(reflected_BP, data)
        best_B, second_B, worst_B = value_BV[:, 0], value_BV[:, -2], value_BV[:, -1]
        # The second trial depends on the first: further out, halfway out, or halfway in.
        reach_B = torch.where(
            reflected_B < best_B, expand, torch.where(reflected_B < worst_B, contract, -contract)
        )
        trial_BP = (centre_BP + reach_B[:, None] * away_BP).clamp(0, 1)
        middling_B = (reflected_B >= best_B) & (reflected_B < second_B)
        trial_B = torch.full_like(reflected_B, torch.inf)
        tried = torch.nonzero(~middling_B).flatten()
        if len(tried):
            trial_B[tried] = box.statistic(trial_BP[tried], data[tried])
        use_trial_B = trial_B < reflected_B
        new_B = torch.where(use_trial_B, trial_B, reflected_B)
        improved_B = new_B < torch.where(middling_B, second_B, worst_B)
        new_BP = torch.where(use_trial_B[:, None], trial_BP, reflected_BP)
        vertex_BVP[:, -1] = torch.where(improved_B[:, None], new_BP, worst_BP)
        value_BV[:, -1] = torch.where(improved_B, new_B, worst_B)
        stuck = torch.nonzero(~improved_B).flatten()
        if len(stuck):
            base_B1P = vertex_BVP[stuck, :1]
            shrunk_BVP = base_B1P + shrink * (vertex_BVP[stuck, 1:] - base_B1P)
            vertex_BVP[stuck, 1:] = shrunk_BVP
            value_BV[stuck, 1:] = _values(box, data[stuck], shrunk_BVP)
    return Optimum(point_BP, statistic_B, converged_B)


def _values(box: UnitBox, data: Counted, vertex_BVP: Tensor) -> Tensor:
    """The statistic at vertices: (B, V)."""
    n, v, p = vertex_BVP.shape
    repeated = data[torch.arange(n, device=vertex_BVP.device).repeat_interleave(v)]
    return box.statistic(vertex_BVP.reshape(n * v, p), repeated).reshape(n, v)
