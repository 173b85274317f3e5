"""Detection of a component: rise of C-stat in a fit without it.

Shapes: B batch, P parameter.
"""

import torch
from torch import Tensor

from wolter.xray.stats.counts import Counted
from wolter.xray.stats.levenberg_marquardt import Model, UnitBox, minimise

# Rise of the statistic from the best fit to that without a component, above which the component is
# detected. A norm of 0 is at the edge of what is allowed, and a component's other parameters mean
# nothing there (Protassov et al. 2002, ApJ 571, 545), so that no chi-squared tells the threshold:
# `wolter bench detection` measures how many of the spectra without a component are above.
DETECTED = 7.0


def rise_without(
    model: Model, data: Counted, best_BP: Tensor, bounds_2P: Tensor, norm: int
) -> Tensor:
    """Rise of the statistic (B) with a norm fixed at 0 and all other parameters refitted.

    Args:
        model: expected source counts of parameters and exposures.
        data: the spectra.
        best_BP: best fits of the spectra.
        bounds_2P: lowest and highest values of the fits.
        norm: index of the norm.

    Returns:
        The statistic without the component less that of the best fit; negative where the fit is
        better without it.
    """
    low_P, high_P = bounds_2P.double().clone()
    best_B = UnitBox.of(model, bounds_2P).statistic(
        UnitBox.of(model, bounds_2P).enter(best_BP), data
    )
    low_P[norm] = 0.0
    box = UnitBox.of(model, torch.stack([low_P, high_P]))
    start_BP = box.enter(best_BP)
    middle_BP = torch.full_like(start_BP, 0.5)
    free_BP = torch.ones_like(start_BP, dtype=torch.bool)
    free_BP[:, norm] = False
    without = []
    for each_BP in (start_BP, middle_BP):
        each_BP[:, norm] = 0.0
        without.append(minimise(box, data, each_BP, free_BP).statistic_B)
    return torch.stack(without).amin(0) - best_B
