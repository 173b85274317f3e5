"""Smoothing of counts spectra where counts are few."""

import torch
from torch import Tensor


def smooth_background(counts_C: Tensor, min_counts: float = 25.0) -> Tensor:
    """Smooth, positive estimate of the expected counts behind an observed background.

    Each channel takes the mean of the narrowest window centred on it that holds `min_counts`, so
    lines with many counts keep their shape and empty regions become smooth.

    Args:
        counts_C: observed counts of the background.
        min_counts: counts a window must hold; 25 gives 20 % scatter.

    Returns:
        Expected counts (C), float64, positive, with the total of the observed ones (an empty
        background gets one count, spread evenly).
    """
    counts_C = torch.as_tensor(counts_C, dtype=torch.float64)
    n = len(counts_C)
    if float(counts_C.sum()) <= 0:
        return torch.full_like(counts_C, 1.0 / n)
    total_C1 = torch.cat([counts_C.new_zeros(1), counts_C.cumsum(0)])
    channel_C = torch.arange(n)

    def window(half_C: Tensor) -> tuple[Tensor, Tensor]:
        first_C, stop_C = (channel_C - half_C).clamp(min=0), (channel_C + half_C + 1).clamp(max=n)
        return total_C1[stop_C] - total_C1[first_C], stop_C - first_C

    # Bisection for the narrowest half width; the widest window holds the whole spectrum.
    too_narrow_C, enough_C = torch.full_like(channel_C, -1), torch.full_like(channel_C, n)
    while bool((enough_C - too_narrow_C > 1).any()):
        half_C = (enough_C + too_narrow_C) // 2
        holds_C = window(half_C)[0] >= min_counts
        enough_C = torch.where(holds_C, half_C, enough_C)
        too_narrow_C = torch.where(holds_C, too_narrow_C, half_C)
    held_C, width_C = window(enough_C)
    smooth_C = held_C / width_C
    return smooth_C * (counts_C.sum() / smooth_C.sum())
