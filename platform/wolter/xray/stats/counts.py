"""Fit statistic of counts with known or measured background: value, gradient, Fisher information.

Shapes: B batch, C channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.xray.stats.likelihood import cstat, wstat

_FLOOR = 1e-25  # counts, as in the statistics
_NO_AREA = 1e-9  # scale that stands for "no background region": the statistic is then C-stat


@dataclass(frozen=True, eq=False)
class Counted:
    """Spectra of one instrument, and their background as known (C-stat) or measured (W-stat).

    Attributes:
        counts_BC: observed counts of source and background; models are computed in their precision.
        exposure_B: s.
        background_BC: without `scale_B`, background counts expected in the source region, which
            are added to the model; with it, the counts of the background region.
        scale_B: expected background in the source region for each count of the background region;
            0 where there is no background.
    """

    counts_BC: Tensor
    exposure_B: Tensor
    background_BC: Tensor
    scale_B: Tensor | None = None

    def __post_init__(self) -> None:
        assert self.counts_BC.shape == self.background_BC.shape
        assert self.exposure_B.shape == self.counts_BC.shape[:1]

    def __len__(self) -> int:
        return len(self.counts_BC)

    def __getitem__(self, rows: Tensor | slice) -> "Counted":
        """Select spectra."""
        scale_B = None if self.scale_B is None else self.scale_B[rows]
        return Counted(
            self.counts_BC[rows], self.exposure_B[rows], self.background_BC[rows], scale_B
        )

    def statistic(self, source_BC: Tensor) -> Tensor:
        """C-stat, or W-stat, of expected source counts: (B), summed in float64.

        Infinite where a model gives no number.
        """
        counts_BC, source_BC = self.counts_BC.double(), source_BC.double()
        background_BC = self.background_BC.double()
        if self.scale_B is None:
            statistic_B = cstat(counts_BC, source_BC + background_BC)
        else:
            statistic_B = wstat(counts_BC, background_BC, source_BC, self._scale_B1())
        return torch.where(statistic_B.isnan(), torch.inf, statistic_B)

    def score(self, source_BC: Tensor) -> tuple[Tensor, Tensor]:
        """Slope of half the statistic and Fisher information, by the source counts expected.

        With total expected counts t = m + b they are 1 - S / t and 1 / t. A measured background
        takes its most likely value b; being profiled out it adds its own variance: with scale s
        the information is 1 / (t + s b).

        Returns:
            slope_BC and information_BC, float64.
        """
        counts_BC, source_BC = self.counts_BC.double(), source_BC.double().clamp(min=0)
        if self.scale_B is None:
            total_BC = (source_BC + self.background_BC).clamp(min=_FLOOR)
            return 1 - counts_BC / total_BC, 1 / total_BC
        scale_B1 = self._scale_B1()
        # In the source region: b solves (1 + s) b^2 + l b - s B m = 0.
        linear_BC = (1 + scale_B1) * source_BC - scale_B1 * (counts_BC + self.background_BC)
        product_BC = scale_B1 * self.background_BC * source_BC
        root_BC = torch.sqrt(linear_BC**2 + 4 * (1 + scale_B1) * product_BC)
        likely_BC = torch.where(
            linear_BC > 0,  # free of cancellation
            2 * product_BC / (linear_BC + root_BC).clamp(min=_FLOOR),
            (root_BC - linear_BC) / (2 * (1 + scale_B1)),
        )
        total_BC = (source_BC + likely_BC).clamp(min=_FLOOR)
        return 1 - counts_BC / total_BC, 1 / (total_BC + scale_B1 * likely_BC)

    def _scale_B1(self) -> Tensor:
        assert self.scale_B is not None
        return self.scale_B.double().clamp(min=_NO_AREA)[:, None]
