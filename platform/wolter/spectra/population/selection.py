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

    def draw(rows: Tensor, brighter: float) -> Detections:
        source_BC, region_BC, scales_B = expected_BC, background_BC, scale_B
        if len(rows) < len(expected_BC):
            source_BC, region_BC, scales_B = expected_BC[rows], background_BC[rows], scale_B[rows]
        factor_B = factors(rows) * brighter
        factor_B1 = factor_B[:, None]
        counts = poisson_counts(
            source_BC * factor_B1,
            region_BC * factor_B1 if longer else region_BC,
            scales_B,
            generator,
        )
        return Detections(factor_B, *counts)

    rows = torch.arange(len(expected_BC))
    found = again = draw(rows, 1.0)
    for each in range(1, _ROUNDS):
        ratio_B = signal_to_noise(again.counts_BC, again.background_BC, scale_B[rows])
        rows = rows[ratio_B < significance]
        if len(rows) == 0:
            break
        again = draw(rows, _BRIGHTER**each)
        found.factor_B[rows] = again.factor_B
        found.counts_BC[rows], found.background_BC[rows] = again.counts_BC, again.background_BC
    return found


def steep_counts(
    low: float, high: float, slope: float, n: int, generator: torch.Generator
) -> Tensor:
    """Draw expected counts (B) between two bounds, of N(> counts) ~ counts^-slope."""
    share = 1 - (low / high) ** slope
    unit_B = torch.rand(n, generator=generator)
    counts_B: Tensor = low * (1 - unit_B * share) ** (-1 / slope)
    return counts_B
