"""Prior distributions of model parameters, and their maps to unit normals and to the unit box.

Shapes: B spectrum, P parameter. Bounds are of all spectra (P) or of each (..., P).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PriorKind = Literal["uniform", "log", "normal"]

NORMAL_REACH = 3.0  # standard deviations between the mean of a normal prior and its bounds


@dataclass(frozen=True, eq=False)
class Prior:
    """Independent priors of parameters between bounds.

    `uniform` is constant between the bounds. `log` is constant in the logarithm (log-uniform).
    `normal` has its mean in the middle of the bounds, which are `NORMAL_REACH` standard deviations
    away and truncate it.

    Attributes:
        low_P: lower bounds.
        high_P: upper bounds.
        kinds: kinds of the P priors; all are uniform where it is empty.
    """

    low_P: Tensor
    high_P: Tensor
    kinds: tuple[PriorKind, ...] = ()

    def to(self, dtype: torch.dtype) -> "Prior":
        """The prior with bounds of another floating type."""
        return Prior(self.low_P.to(dtype), self.high_P.to(dtype), self.kinds)

    def scaled(self, factor_P: Tensor) -> "Prior":
        """The prior of parameters that are multiplied by positive factors (..., P)."""
        return Prior(self.low_P * factor_P, self.high_P * factor_P, self.kinds)

    def at(self, position_P: Tensor) -> Tensor:
        """Parameters (..., P) at positions in the range: 0 the lower bound, 1 the upper one.

        Positions of log-uniform parameters are even in the logarithm; they end a range's length
        beyond the bounds, where the exponential of a network's first answers would overflow.
        """
        value_P = self.low_P + (self.high_P - self.low_P) * position_P
        for i in self._columns("log"):
            low, high = self.low_P[..., i], self.high_P[..., i]
            value_P[..., i] = low * (high / low) ** position_P[..., i].clamp(-1, 2)
        return value_P

    def position(self, parameters_P: Tensor) -> Tensor:
        """Positions (..., P) of parameters in the range: the inverse of `at`."""
        position_P = (parameters_P - self.low_P) / (self.high_P - self.low_P)
        for i in self._columns("log"):
            low, high = self.low_P[..., i], self.high_P[..., i]
            position_P[..., i] = (parameters_P[..., i] / low).log() / (high / low).log()
        return position_P

    def slope(self, parameters_P: Tensor) -> Tensor:
        """Change of parameters with their position (..., P): the range, or its local equivalent."""
        slope_P = (self.high_P - self.low_P).expand(parameters_P.shape)
        if columns := self._columns("log"):
            slope_P = slope_P.clone()
            for i in columns:
                ratio = self.high_P[..., i] / self.low_P[..., i]
                slope_P[..., i] = parameters_P[..., i] * ratio.log()
        return slope_P

    def quantile(self, probability_P: Tensor) -> Tensor:
        """Parameters (..., P) at cumulative probabilities: uniform numbers become draws."""
        if columns := self._columns("normal"):
            probability_P = probability_P.clone()
            tail = float(torch.special.ndtr(torch.tensor(-NORMAL_REACH, dtype=torch.float64)))
            for i in columns:
                inside = tail + (1 - 2 * tail) * probability_P[..., i]
                position = (1 + torch.special.ndtri(inside) / NORMAL_REACH) / 2
                probability_P[..., i] = position.clamp(0, 1)
        return self.at(probability_P)

    def physical(self, normal_P: Tensor) -> Tensor:
        """Parameters (..., P) of normal quantiles."""
        return self.quantile(torch.special.ndtr(normal_P))

    def normal(self, parameters_P: Tensor) -> Tensor:
        """Normal quantiles (..., P) of parameters, those at a bound a little inside."""
        probability_P = self.position(parameters_P)
        for i in self._columns("normal"):
            tail = float(torch.special.ndtr(torch.tensor(-NORMAL_REACH, dtype=torch.float64)))
            inside = torch.special.ndtr((2 * probability_P[..., i] - 1) * NORMAL_REACH)
            probability_P[..., i] = (inside - tail) / (1 - 2 * tail)
        normal_P: Tensor = torch.special.ndtri(probability_P.clamp(1e-6, 1 - 1e-6))
        return normal_P

    def _columns(self, kind: PriorKind) -> list[int]:
        return [i for i, each in enumerate(self.kinds) if each == kind]
