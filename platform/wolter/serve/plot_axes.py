"""Axes of a picture in SVG: places of values, and ticks with their labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PLAIN = (1e-3, 1e4)  # labels of a logarithmic axis beyond these are powers of ten
FEW = 3  # major ticks, below which a logarithmic axis has some between powers of ten
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """Values along an axis of a picture.

    Attributes:
        low, high: ends of the axis.
        start, stop: their places, pixels.
        kind: in which the axis is even.
    """

    low: float
    high: float
    start: float
    stop: float
    kind: Literal["linear", "log"] = "linear"

    def place(self, values: Array | float) -> Array:
        """Places (pixels) of values; those beyond the axis are at its ends."""
        inside = np.clip(np.asarray(values, float), self.low, self.high)
        low, high = self.low, self.high
        if self.kind == "log":
            inside, low, high = np.log(inside), math.log(low), math.log(high)
        placed: Array = self.start + (inside - low) / (high - low) * (self.stop - self.start)
        return placed

    @property
    def ticks(self) -> list[float]:
        """Values with a label."""
        if self.kind == "linear":
            return _even(self.low, self.high)
        powers = _of_powers(self.low, self.high, (1,))
        if len(powers) >= FEW:
            step = math.ceil(len(powers) / (2 * FEW))
            return powers[::step]
        some = _of_powers(self.low, self.high, (1, 2, 5))
        return some if len(some) > 1 else _of_powers(self.low, self.high, range(1, 10))

    @property
    def small_ticks(self) -> list[float]:
        """Values with a short line and no label."""
        return [] if self.kind == "linear" else _of_powers(self.low, self.high, range(2, 10))

    def label(self, value: float) -> str:
        """Text of a tick."""
        if self.kind == "linear" or PLAIN[0] <= value <= PLAIN[1]:
            return f"{value:.10g}".replace("-", "\N{MINUS SIGN}")
        power = math.floor(math.log10(value) + 1e-9)
        first = round(value / 10.0**power)
        told = f"10{str(power).translate(_SUPERSCRIPTS)}"
        return told if first == 1 else f"{first}·{told}"


def _of_powers(low: float, high: float, firsts: Sequence[int]) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [first * 10.0**power for power in powers for first in firsts]
    return [value for value in every if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]


def _even(low: float, high: float) -> list[float]:
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
