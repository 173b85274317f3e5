"""Distributions of the quantities of a class of sources, in words of a table.

    {"nh": log(0.01, 0.3), "slope": normal(1.9, 0.2), "bb_norm": flux(log(0.05, 0.6))}

Shapes: B sources.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

Of = Literal["value", "ratio", "flux", "width"]


@dataclass(frozen=True)
class Draw:
    """Distribution of one quantity.

    Attributes:
        low, high: bounds.
        shape: uniform, uniform in the logarithm, or normal in either, cut at the bounds.
        mean, sigma: of a normal one; sigma of the logarithm is in dex.
        of: what is drawn. "value": the parameter. Of a norm, relative to the first component of the
            model: "ratio": its norm over that one's; "flux": its unabsorbed energy flux in 0.5-7
            keV over that one's; "width": equivalent width, keV.
    """

    low: float
    high: float
    shape: Literal["uniform", "log", "normal", "lognormal"] = "uniform"
    mean: float = 0.0
    sigma: float = 0.0
    of: Of = "value"

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw values (B)."""
        low, high, mean = self._bounds
        unit_B = torch.rand(n, generator=generator)
        if self.shape in ("normal", "lognormal"):  # between the cuts, by the inverse distribution
            below, above = self._cuts
            share_B = (below + (above - below) * unit_B.double()).clamp(1e-12, 1 - 1e-12)
            value_B: Tensor = (mean + self.sigma * torch.special.ndtri(share_B)).float()
        else:
            value_B = low + (high - low) * unit_B
        value_B = torch.pow(10.0, value_B) if self._logarithmic else value_B
        return value_B.clamp(self.low, self.high)

    @property
    def _logarithmic(self) -> bool:
        return self.shape in ("log", "lognormal")

    @property
    def _bounds(self) -> tuple[float, float, float]:
        """Bounds and mean; their logarithms where these are what is drawn."""
        if not self._logarithmic:
            return self.low, self.high, self.mean
        mean = math.log10(self.mean) if self.shape == "lognormal" else 0.0
        return math.log10(self.low), math.log10(self.high), mean

    @cached_property
    def _cuts(self) -> tuple[float, float]:
        """Shares of a normal distribution below either bound."""
        low, high, mean = self._bounds
        ends = torch.tensor([(low - mean) / self.sigma, (high - mean) / self.sigma])
        below, above = torch.special.ndtr(ends.double()).tolist()
        return below, above

    def __str__(self) -> str:
        """The distribution in the words of the table."""
        words = {
            "uniform": f"{self.low:g} to {self.high:g}",
            "log": f"{self.low:g} to {self.high:g}, log",
            "normal": f"{self.mean:g} +- {self.sigma:g}",
            "lognormal": f"{self.mean:g} +- {self.sigma:g} dex",
        }[self.shape]
        return words if self.of == "value" else f"{self.of} {words}"


def uniform(low: float, high: float) -> Draw:
    """Uniform between two bounds."""
    return Draw(low, high)


def log(low: float, high: float) -> Draw:
    """Uniform in the logarithm."""
    return Draw(low, high, "log")


def normal(mean: float, sigma: float, low: float = -math.inf, high: float = math.inf) -> Draw:
    """Normal; cut at 3 sigma where no bound is given."""
    return Draw(max(low, mean - 3 * sigma), min(high, mean + 3 * sigma), "normal", mean, sigma)


def lognormal(median: float, dex: float, low: float = 0.0, high: float = math.inf) -> Draw:
    """Normal in the logarithm; cut at 3 sigma where no bound is given."""
    factor = 10 ** (3 * dex)
    return Draw(max(low, median / factor), min(high, median * factor), "lognormal", median, dex)


def ratio(draw: Draw) -> Draw:
    """Norm over the first component's."""
    return replace(draw, of="ratio")


def flux(draw: Draw) -> Draw:
    """Unabsorbed energy flux in 0.5-7 keV over the first component's."""
    return replace(draw, of="flux")


def width(draw: Draw) -> Draw:
    """Equivalent width in keV, against the first component."""
    return replace(draw, of="width")
