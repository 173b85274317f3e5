"""Poisson fit statistics, as XSPEC defines them: C-stat and W-stat.

Both are -2 ln(likelihood) less that of a perfect model, so that in many counts they are distributed
as chi-squared. Shape suffixes: B batch, C channel.
"""

import torch
from torch import Tensor

# Expected counts below this are taken as this, so that counts where none is expected give a finite
# penalty and gradient.
_FLOOR = 1e-25


def cstat(counts_BC: Tensor, expected_BC: Tensor) -> Tensor:
    """C-stat of Poisson counts: 2 sum(m - S + S ln(S / m)).

    Cash (1979, ApJ 228, 939) in the form of XSPEC and Sherpa.

    Args:
        counts_BC: S, observed counts (..., C).
        expected_BC: m, expected counts of source and background together (..., C).

    Returns:
        The statistic (...); differentiable in the expected counts.
    """
    expected_BC = expected_BC.clamp(min=_FLOOR)
    deviance_BC = expected_BC - counts_BC + _xlogy_ratio(counts_BC, expected_BC)
    return 2 * deviance_BC.sum(-1)


def wstat(
    counts_BC: Tensor,
    background_BC: Tensor,
    expected_source_BC: Tensor,
    scale: Tensor | float,
) -> Tensor:
    """W-stat: Poisson counts with a Poisson background whose model is profiled out per channel.

    Appendix B of the XSPEC manual, with all its cases of zero counts.

    Args:
        counts_BC: S, observed counts of source and background in the source region (..., C).
        background_BC: B, observed counts in the background region (..., C).
        expected_source_BC: expected counts of the source alone (..., C).
        scale: expected background counts in the source region over those in the background region
            (ratio of exposure x BACKSCAL x AREASCAL): one number, one a spectrum (...), or one a
            channel (..., C) with as many dimensions as the counts.

    Returns:
        The statistic (...); differentiable in the expected counts.
    """
    source_BC = expected_source_BC.clamp(min=_FLOOR)
    scale_BC = torch.as_tensor(scale, dtype=source_BC.dtype, device=source_BC.device)
    if 0 < scale_BC.ndim < source_BC.ndim:
        scale_BC = scale_BC.unsqueeze(-1)

    # The most likely background in both regions together, free of cancellation.
    both_BC = source_BC * (1 + 1 / scale_BC)
    excess_BC = both_BC - counts_BC - background_BC
    # With background counts the root is of a positive number; else its gradient is not used.
    product_BC = torch.where(background_BC > 0, 4 * background_BC * both_BC, 1.0)
    root_BC = torch.sqrt(excess_BC**2 + product_BC)
    total_BC = torch.where(
        excess_BC > 0,
        product_BC / (2 * (excess_BC.clamp(min=0) + root_BC)),
        (root_BC - excess_BC) / 2,
    )
    general_BC = (
        source_BC
        + total_BC
        - counts_BC
        - background_BC
        + _xlogy_ratio(counts_BC, source_BC + total_BC * (scale_BC / (1 + scale_BC)))
        + _xlogy_ratio(background_BC, total_BC / (1 + scale_BC))
    )
    # No counts in the background region: the most likely background is zero, or makes up for a
    # source model that is too faint.
    faint_BC = counts_BC * torch.log1p(1 / scale_BC) - source_BC / scale_BC
    bright_BC = source_BC - counts_BC + _xlogy_ratio(counts_BC, source_BC)
    is_faint_BC = source_BC < counts_BC * (scale_BC / (1 + scale_BC))
    no_background_BC = torch.where(is_faint_BC, faint_BC, bright_BC)
    no_counts_BC = source_BC + background_BC * torch.log1p(scale_BC)

    deviance_BC = torch.where(background_BC > 0, general_BC, no_background_BC)
    return 2 * torch.where(counts_BC > 0, deviance_BC, no_counts_BC).sum(-1)


def _xlogy_ratio(counts_BC: Tensor, expected_BC: Tensor) -> Tensor:
    """Counts n ln(n / m), 0 for n = 0, with a finite gradient."""
    safe_BC = torch.where(counts_BC > 0, counts_BC, 1.0)
    return counts_BC * torch.log(safe_BC / expected_BC)
