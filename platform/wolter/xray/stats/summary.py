"""Point estimates and intervals of posterior samples.

Shapes: B batch, P parameter, S sample.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_LEVELS = {"_lolim95": 0.025, "_lolim": 0.16, "_hilim": 0.84, "_upper": 0.95, "_hilim95": 0.975}


def summarise(
    samples_BSP: Tensor, names: Sequence[str], weights_BS: Tensor | None = None
) -> dict[str, Tensor]:
    """Estimates (B) of every parameter.

    Args:
        samples_BSP: posterior samples.
        names: names of the parameters.
        weights_BS: weights of the samples, adding up to 1; equal ones where None.

    Returns:
        `<name>`, the mean, which has the least squared error; `<name>_mfe`, the median weighted by
        1/value, which has the least fractional error; the 68 % interval `_lolim`, `_hilim`; the
        95 % interval `_lolim95`, `_hilim95`; and the one-sided 95 % upper limit `_upper`.
    """
    n = samples_BSP.shape[1]
    if weights_BS is None:
        weights_BS = samples_BSP.new_full((1, 1), 1 / n).expand(samples_BSP.shape[:2])
    values: dict[str, Tensor] = {}
    for name, samples_BS in zip(names, samples_BSP.unbind(2), strict=True):
        values[name] = (samples_BS * weights_BS).sum(1)
        sorted_BS, order_BS = samples_BS.sort(1)
        sorted_weights_BS = weights_BS.gather(1, order_BS)
        fractional_BS = sorted_weights_BS / sorted_BS.abs().clamp_min(1e-30)
        values[f"{name}_mfe"] = _quantiles(sorted_BS, fractional_BS, (0.5,))[:, 0]
        limits_BQ = _quantiles(sorted_BS, sorted_weights_BS, tuple(_LEVELS.values()))
        for suffix, limit_B in zip(_LEVELS, limits_BQ.unbind(1), strict=True):
            values[name + suffix] = limit_B
    return values


def widths(values: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """Widths (B, P) of the 68 % intervals of a summary."""
    return torch.stack([values[f"{name}_hilim"] - values[f"{name}_lolim"] for name in names], 1)


def _quantiles(sorted_BS: Tensor, weights_BS: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Weighted quantiles (B, Q), interpolated between the middles of the weights."""
    cumulated_BS = weights_BS.cumsum(1)
    total_B1 = cumulated_BS[:, -1:]
    middle_BS = ((cumulated_BS - weights_BS / 2) / total_B1).contiguous()
    at_BQ = middle_BS.new_tensor(levels).expand(len(middle_BS), -1).contiguous()
    right_BQ = torch.searchsorted(middle_BS, at_BQ).clamp(1, middle_BS.shape[1] - 1)
    low_BQ, high_BQ = middle_BS.gather(1, right_BQ - 1), middle_BS.gather(1, right_BQ)
    share_BQ = ((at_BQ - low_BQ) / (high_BQ - low_BQ).clamp_min(1e-30)).clamp(0, 1)
    return torch.lerp(sorted_BS.gather(1, right_BQ - 1), sorted_BS.gather(1, right_BQ), share_BQ)
