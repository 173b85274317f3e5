"""Selection of records by significance, as of a catalogue of detected sources.

Shapes: B sources, C channel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.spectra.schema import poisson_counts

_ROUNDS = 300
_BRIGHTER = 1.03  # factor on the expected counts, round by round


@dataclass(frozen=True)
class Detections:
    """Counts of detected sources.

    Attributes:
        factor_B: factor on the expected counts.
        counts_BC: of source and background.
        background_BC: of the background's region.
    """

    factor_B: Tensor
    counts_BC: Tensor
    background_BC: Tensor


def signal_to_noise(counts_BC: Tensor, background_BC: Tensor, scale_B: Tensor) -> Tensor:
    """Net counts over their error, of all channels: (C - s B) / sqrt(C + s^2 B)."""
    counts_B, background_B = counts_BC.sum(1), background_BC.sum(1)
    variance_B = counts_B + scale_B**2 * background_B
    return (counts_B - scale_B * background_B) / variance_B.clamp(min=1).sqrt()


def detect(
    expected_BC: Tensor,
    background_BC: Tensor,
    scale_B: Tensor,
    significance: float,
    factors: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    longer: bool = False,
) -> Detections:
    """Draw counts of sources until each is a significant detection.

    Factor and noise of a source that is not significant are drawn again. The expected counts grow
    by 3 % a round, so that a source before a bright background is found in the end.

    Args:
        expected_BC: counts of the source.
        background_BC: counts of the background in the source's region.
        scale_B: area of the source's region over the background's.
        significance: least signal-to-noise ratio; 0: the first draw counts.
        factors: draws factors on the expected counts of the sources of these indices.
        generator: source of randomness.
        longer: a factor is on the exposure, so that the background grows as well.
    """
    factor_B = torch.empty(len(expected_BC))
    counts_BC, region_BC = torch.empty_like(expected_BC), torch.empty_like(expected_BC)
    rows = torch.arange(len(expected_BC))
    for each in range(_ROUNDS):
        factor_B[rows] = factors(rows) * _BRIGHTER**each
        factor = factor_B[rows, None]
        counts_BC[rows], region_BC[rows] = poisson_counts(
            expected_BC[rows] * factor,
            background_BC[rows] * factor if longer else background_BC[rows],
            scale_B[rows],
            generator,
        )
        ratio_B = signal_to_noise(counts_BC[rows], region_BC[rows], scale_B[rows])
        rows = rows[ratio_B < significance]
        if len(rows) == 0:
            break
    return Detections(factor_B, counts_BC, region_BC)


def steep_counts(
    low: float, high: float, slope: float, n: int, generator: torch.Generator
) -> Tensor:
    """Draw expected counts (B) between two bounds, of N(> counts) ~ counts^-slope."""
    share = 1 - (low / high) ** slope
    unit_B = torch.rand(n, generator=generator)
    counts_B: Tensor = low * (1 - unit_B * share) ** (-1 / slope)
    return counts_B
