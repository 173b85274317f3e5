"""Unit box of a fit: parameters between bounds, each in units of its range.

Shapes: B batch, C channel, P parameter. Points are in [0, 1], float64, so that one small step suits
every parameter and norms of any size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.xray.stats.counts import Counted

Model = Callable[[Tensor, Tensor], Tensor]
"""(parameters_BP, exposure_B) -> expected source counts (B, C): a `Forward` or an emulator."""


@dataclass(frozen=True, eq=False)
class UnitBox:
    """A model on the unit box of its bounds; it is never evaluated outside them.

    Attributes:
        model: expected source counts.
        low_P: lowest values, float64.
        high_P: highest values, float64.
    """

    model: Model
    low_P: Tensor
    high_P: Tensor

    @classmethod
    def of(cls, model: Model, bounds_2P: Tensor) -> "UnitBox":
        """From the lowest and the highest values of the parameters."""
        low_P, high_P = bounds_2P.double()
        return cls(model, low_P, high_P)

    @property
    def width_P(self) -> Tensor:
        """Ranges of the parameters."""
        return self.high_P - self.low_P

    def enter(self, parameters_BP: Tensor) -> Tensor:
        """Points of parameters; those outside the bounds are moved to them.

        The middle stands for what is not a number, as a network may answer to a spectrum that is
        unlike all that it was trained on.
        """
        point_BP = (parameters_BP.double() - self.low_P) / self.width_P
        return point_BP.nan_to_num(nan=0.5).clamp(0, 1)

    def leave(self, point_BP: Tensor) -> Tensor:
        """Parameters of points, float64."""
        # Rounding of the sum must not leave the bounds.
        return (self.low_P + self.width_P * point_BP).clamp(self.low_P, self.high_P)

    def given(self, point_BP: Tensor, data: Counted) -> Tensor:
        """Parameters of points as the model is given them: in its precision, rounded inwards."""
        dtype = data.counts_BC.dtype
        low_P, high_P = (bound_P.to(dtype) for bound_P in (self.low_P, self.high_P))
        low_P = torch.where(low_P.double() < self.low_P, low_P.nextafter(high_P), low_P)
        high_P = torch.where(high_P.double() > self.high_P, high_P.nextafter(low_P), high_P)
        return self.leave(point_BP).to(dtype).clamp(low_P, high_P)

    def seen(self, point_BP: Tensor, data: Counted) -> Tensor:
        """Points as the model sees them, after rounding."""
        return (self.given(point_BP, data).double() - self.low_P) / self.width_P

    def expected(self, point_BP: Tensor, data: Counted) -> Tensor:
        """Expected source counts (B, C)."""
        return self.model(self.given(point_BP, data), data.exposure_B)

    def statistic(self, point_BP: Tensor, data: Counted) -> Tensor:
        """The statistic at points: (B), float64."""
        return data.statistic(self.expected(point_BP, data))
