"""Profile-likelihood intervals: parameter values where the refitted statistic has risen by 1.

Shapes: B batch, P parameter, S side (low, high), N = B x S x P searches.
"""

import torch
from torch import Tensor

from wolter.xray.stats.counts import Counted
from wolter.xray.stats.levenberg_marquardt import minimise
from wolter.xray.stats.unit_box import UnitBox

RISE = 1.0  # 68.3 % for one parameter
CLOSE = 0.02  # of the rise: 1 % of the interval's half width
_FARTHEST = 3.0  # factor between two tries
_TRIES = 20


def profile(
    box: UnitBox, data: Counted, point_BP: Tensor, statistic_B: Tensor, covariance_BPP: Tensor
) -> Tensor:
    """Profile-likelihood limits of every parameter, in one batch.

    The root of the rise is nearly linear in the distance, so each try scales the distance by it;
    where that leads out of what is known to hold the limit, the middle of this is tried. Where the
    statistic has not risen by 1 at a bound, the bound is the limit; where it leaps by more than
    that, as between two minima, the place of the leap.

    Args:
        box: the model.
        data: the spectra.
        point_BP: optima in the unit box.
        statistic_B: the statistic there.
        covariance_BPP: there, in units of the box: where to look first.

    Returns:
        limit_BSP in the unit box, low and high; float64.
    """
    n, p = point_BP.shape
    device = point_BP.device
    # One search a row: spectrum, side, parameter.
    spectrum_N, side_N, which_N = (
        index.flatten()
        for index in torch.meshgrid(
            *(torch.arange(k, device=device) for k in (n, 2, p)), indexing="ij"
        )
    )
    sign_N = (2 * side_N - 1).double()
    best_N = point_BP[spectrum_N, which_N]
    room_N = torch.where(side_N == 1, 1 - best_N, best_N)
    sigma_N = covariance_BPP[spectrum_N, which_N, which_N].sqrt()
    distance_N = torch.where(sigma_N > 0, sigma_N, 0.05).clamp(max=1).minimum(room_N)
    # The others follow along the covariance.
    follow_NP = covariance_BPP[spectrum_N, which_N] / sigma_N.clamp(min=1e-12)[:, None] ** 2
    follow_NP = follow_NP.nan_to_num(0.0)  # where the covariance is infinite
    limit_N = best_N + sign_N * distance_N
    start_NP = point_BP[spectrum_N].clone()
    inner_N, outer_N = torch.zeros_like(room_N), torch.full_like(room_N, torch.inf)
    rows = torch.nonzero(room_N > 0).flatten()
    for number in range(_TRIES):
        if not len(rows):
            break
        offset = sign_N[rows] * distance_N[rows]
        tried_NP = (start_NP[rows] + offset[:, None] * follow_NP[rows]).clamp(0, 1)
        one = torch.arange(len(rows), device=device)
        tried_NP[one, which_N[rows]] = (best_N[rows] + offset).clamp(0, 1)
        free_NP = torch.ones_like(tried_NP, dtype=torch.bool)
        free_NP[one, which_N[rows]] = False
        found = minimise(box, data[spectrum_N[rows]], tried_NP, free_NP, most=30)
        rise_N = (found.statistic_B - statistic_B[spectrum_N[rows]]).clamp(min=0.0)
        limit_N[rows] = tried_NP[one, which_N[rows]]
        beyond_N = (distance_N[rows] >= room_N[rows]) & (rise_N < RISE)
        going_N = ((rise_N - RISE).abs() > CLOSE * RISE) & ~beyond_N
        factor_N = (RISE / rise_N.clamp(min=1e-3)).sqrt().clamp(1 / _FARTHEST, _FARTHEST)
        # Between which distances the limit lies.
        below_N, here_N = rise_N < RISE, distance_N[rows]
        inner_N[rows] = torch.where(below_N, inner_N[rows].maximum(here_N), inner_N[rows])
        outer_N[rows] = torch.where(below_N, outer_N[rows], outer_N[rows].minimum(here_N))
        near_N, far_N = inner_N[rows], outer_N[rows]
        going_N &= far_N - near_N > CLOSE / 2 * far_N.minimum(room_N[rows])
        # Now and then a stride that does not trust the rise: it may creep, or turn in circles.
        stride_N = torch.where(far_N.isinf(), _FARTHEST * here_N, (near_N + far_N) / 2)
        next_N = here_N * factor_N
        trusted_N = (next_N > near_N) & (next_N < far_N) & (number % 3 < 2)
        distance_N[rows] = torch.where(trusted_N, next_N, stride_N).minimum(room_N[rows])
        rows = rows[going_N]
    return limit_N.reshape(n, 2, p)
