"""Leaving local minima: one parameter is moved across its range, the others follow.

A line at the wrong energy is fitted away, and with its norm at the bound nothing pulls it back: the
classical failure of spectral fits that start far off. What gives it away is the slope of the
statistic by that norm with the line elsewhere. Shapes: B batch, P parameter.
"""

import torch
from torch import Tensor

from wolter.xray.counting import Counted
from wolter.xray.marquardt import Box, Optimum, linearise, minimise, newton_step, pressed

PLACES = 16  # along the range of each parameter


def escape(box: Box, data: Counted, found: Optimum, rounds: int = 2) -> Optimum:
    """Search for lower minima than those found; only fits at a bound or not converged are doubted.

    Args:
        box: the model.
        data: the spectra.
        found: the minima.
        rounds: searches; each begins from the best minimum of the one before.

    Returns:
        Minima at most as high.
    """
    point_BP, statistic_B = found.point_BP.clone(), found.statistic_B.clone()
    converged_B = found.converged_B.clone()
    at_bound_B = ((point_BP <= 0) | (point_BP >= 1)).any(1)
    doubted = torch.nonzero(at_bound_B | ~converged_B).flatten()
    for _ in range(rounds):
        if not len(doubted):
            break
        few = data[doubted]
        other = minimise(box, few, _elsewhere(box, few, point_BP[doubted]))
        lower_B = other.statistic_B < statistic_B[doubted] - 1e-2
        won, rows = torch.nonzero(lower_B).flatten(), doubted[lower_B]
        point_BP[rows], statistic_B[rows] = other.point_BP[won], other.statistic_B[won]
        converged_B[rows] = other.converged_B[won]
        doubted = rows
    return Optimum(point_BP, statistic_B, converged_B)


def _elsewhere(box: Box, data: Counted, point_BP: Tensor) -> Tensor:
    """The most promising start away from a minimum, judged by one step of all other parameters."""
    best_BP = point_BP.clone()
    lowest_B = point_BP.new_full((len(data),), torch.inf)
    for parameter in range(point_BP.shape[1]):
        for place in (torch.arange(PLACES) + 0.5) / PLACES:
            there_BP = point_BP.clone()
            there_BP[:, parameter] = place
            source_BC = box.expected(there_BP, data)
            gradient_BP, fisher_BPP = linearise(box, data, there_BP, source_BC)
            held_BP = pressed(there_BP, gradient_BP)
            held_BP[:, parameter] = True
            step_BP, _ = newton_step(
                there_BP, gradient_BP, fisher_BPP, held_BP, torch.zeros_like(lowest_B)
            )
            there_BP = (there_BP + step_BP).clamp(0, 1)
            promised_B = box.statistic(there_BP, data)
            near_B = (place - point_BP[:, parameter]).abs() < 0.5 / PLACES
            better_B = (promised_B < lowest_B) & ~near_B
            best_BP[better_B] = there_BP[better_B]
            lowest_B = torch.where(better_B, promised_B, lowest_B)
    return best_BP
