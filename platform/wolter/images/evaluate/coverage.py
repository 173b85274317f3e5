"""Coverage of intervals by pixel brightness, true or predicted.

Correct intervals hold their nominal share of the truths among pixels of equal predicted brightness.
Among pixels of equal true brightness no interval can: at the extremes, predictions lie on one side.

Shapes: B batch, H and W rows and columns, L bins of the logarithm of brightness.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wolter.images.evaluate.detection import Array

FAINTEST, BRIGHTEST, BINS = 1e-12, 1.0, 1200  # ct/s a pixel, and bins of 2 % between
PARTS = 10  # deciles


@dataclass
class Coverage:
    """Pixels, and those whose true rate lies in its interval, by brightness.

    Attributes:
        pixels_L: number of pixels.
        inside: level -> number of pixels inside the interval (L).
    """

    pixels_L: Array = field(default_factory=lambda: np.zeros(BINS))
    inside: dict[str, Array] = field(default_factory=dict)

    def add(
        self,
        rate_BHW: Tensor,
        truth_BHW: Tensor,
        valid_BHW: Tensor,
        limits: dict[str, tuple[Tensor, Tensor]],
    ) -> None:
        """Count the valid pixels of a batch by a rate, and their intervals by level."""
        rate, truth = rate_BHW[valid_BHW], truth_BHW[valid_BHW]
        unit = (rate.clamp(min=FAINTEST).log() - np.log(FAINTEST)) / np.log(BRIGHTEST / FAINTEST)
        bins = (unit * BINS).long().clamp(0, BINS - 1)
        self.pixels_L += torch.bincount(bins, minlength=BINS).double().numpy()
        for level, (low_BHW, high_BHW) in limits.items():
            inside = (low_BHW[valid_BHW] <= truth) & (truth <= high_BHW[valid_BHW])
            counted = torch.bincount(bins, inside.double(), BINS).numpy()
            self.inside[level] = self.inside.get(level, 0.0) + counted

    def deciles(self) -> list[dict[str, Any]]:
        """Coverage by level in tenths of the pixels, faint to bright, with their range of rates."""
        total = self.pixels_L.sum()
        if not total or not self.inside:
            return []
        edges = FAINTEST * (BRIGHTEST / FAINTEST) ** (np.arange(BINS + 1) / BINS)
        part_L = (PARTS * (np.cumsum(self.pixels_L) - self.pixels_L / 2) / total).astype(int)
        rows = []
        for part in range(PARTS):
            own = np.flatnonzero((part_L == part) & (self.pixels_L > 0))
            if len(own):
                n = self.pixels_L[own].sum()
                shares = {level: float(each[own].sum() / n) for level, each in self.inside.items()}
                low, high = float(edges[own[0]]), float(edges[own[-1] + 1])
                rows.append({"rate_low": low, "rate_high": high, "n": int(n), "inside": shares})
        return rows
