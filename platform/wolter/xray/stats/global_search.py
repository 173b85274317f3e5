"""Global search for lower minima: scan of one parameter with the others adapted.

A line at the wrong energy is fitted away, and with its norm at the bound nothing pulls it back: the
classical failure of spectral fits that start far off. What gives it away is the slope of the
statistic by that norm with the line elsewhere. Shapes: B batch, P parameter.
"""

import torch
from torch import Tensor

from wolter.xray.stats.counts import Counted
from wolter.xray.stats.levenberg_marquardt import Optimum, linearise, minimise
from wolter.xray.stats.quadratic import box_step
from wolter.xray.stats.unit_box import UnitBox

PLACES = 16  # along the range of each parameter
_LOWER = 1e-2  # of the statistic: what makes another minimum the better one
_ROWS = 1024  # points at once: bounds the memory


def escape(box: UnitBox, data: Counted, found: Optimum, rounds: int = 3) -> Optimum:
    """Search for lower minima from the best fits, until none is found.

    Fits that ended well are searched as well: nothing at a local minimum tells that it is one.

    Args:
        box: the model.
        data: the spectra.
        found: the minima.
        rounds: searches at most; each begins from the best minimum of the one before.

    Returns:
        Minima at most as high.
    """
    point_BP, statistic_B = found.point_BP.clone(), found.statistic_B.clone()
    converged_B = found.converged_B.clone()
    rows = torch.arange(len(data), device=point_BP.device)
    for _ in range(rounds):
        if not len(rows):
            break
        few = data[rows]
        other = minimise(box, few, _elsewhere(box, few, point_BP[rows]))
        lower_B = other.statistic_B < statistic_B[rows] - _LOWER
        # One as low that has converged is the better of two.
        ended_B = other.converged_B & ~converged_B[rows]
        ended_B &= other.statistic_B <= statistic_B[rows]
        won = torch.nonzero(lower_B | ended_B).flatten()
        point_BP[rows[won]], statistic_B[rows[won]] = other.point_BP[won], other.statistic_B[won]
        converged_B[rows[won]] = other.converged_B[won]
        rows = rows[lower_B]
    return Optimum(point_BP, statistic_B, converged_B)


def _elsewhere(box: UnitBox, data: Counted, point_BP: Tensor) -> Tensor:
    """Most promising start away from a minimum, by one step of all other parameters."""
    n, p = point_BP.shape
    device = point_BP.device
    places_K = (torch.arange(PLACES, device=device).double() + 0.5) / PLACES
    size = max(1, _ROWS // n)
    best_BP = point_BP.clone()
    lowest_B = point_BP.new_full((n,), torch.inf)
    for parameter in range(p):
        for first in range(0, PLACES, size):
            some_K = places_K[first : first + size]
            k = len(some_K)
            rows = torch.arange(n, device=device).repeat_interleave(k)
            there_NP = point_BP[rows]
            there_NP[:, parameter] = some_K.repeat(n)
            promised_N, there_NP = _promise(box, data[rows], there_NP, parameter)
            far_BK = (some_K - point_BP[:, parameter, None]).abs() >= 0.5 / PLACES
            promised_BK = torch.where(far_BK, promised_N.reshape(n, k), torch.inf)
            promised_B, which_B = promised_BK.min(1)
            better_B = promised_B < lowest_B
            chosen_BP = there_NP[torch.arange(n, device=device) * k + which_B]
            best_BP = torch.where(better_B[:, None], chosen_BP, best_BP)
            lowest_B = torch.where(better_B, promised_B, lowest_B)
    return best_BP


def _promise(
    box: UnitBox, data: Counted, point_BP: Tensor, parameter: int
) -> tuple[Tensor, Tensor]:
    """The statistic after one step of all but one parameter, and where it leads."""
    slopes = linearise(box, data, point_BP, box.expected(point_BP, data))
    free_BP = torch.ones_like(point_BP, dtype=torch.bool)
    free_BP[:, parameter] = False
    there_BP, _ = box_step(point_BP, *slopes, free_BP, point_BP.new_zeros(len(data)))
    return box.statistic(there_BP, data), there_BP
