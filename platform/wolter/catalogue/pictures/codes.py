"""Layers of pictures in few bytes: counts as they are, rates in 255 steps of asinh.

Code 0 is a pixel that was not exposed. Code 1 + n is n counts. Codes 1 to 255 of rates are even in
asinh(rate / softening), from 0 to the highest of the layer, whose softening is `SOFT` of it: a rate
is wrong by 2.4 % at most, or by 2.5e-7 of the highest.

Shapes: H and W rows and columns.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from wolter.answering.sky_picture import Layer

SOFT = 1e-5  # of the highest rate: below it codes are even in the rate
STEPS = 254
MOST_COUNTS = 2**16 - 2

Codes = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Coded:
    """A layer as codes.

    Attributes:
        codes_HW: see the module.
        highest: highest rate of the layer, or of what it was cut from; 0 where it holds counts.
    """

    codes_HW: Codes
    highest: float = 0.0

    @classmethod
    def of(cls, layer: Layer, values_HW: NDArray[np.float32]) -> Self:
        """Code a layer; what is NaN was not exposed."""
        seen_HW = np.isfinite(values_HW)
        known_HW = np.where(seen_HW, values_HW, 0).astype(np.float64)
        if layer.counts:
            codes_HW = np.clip(np.rint(known_HW), 0, MOST_COUNTS)
            return cls(np.where(seen_HW, codes_HW + 1, 0).astype(np.uint16))
        highest = float(np.float32(known_HW.max(initial=0)))
        codes_HW = np.zeros_like(known_HW)
        if highest > 0:
            shares_HW = np.clip(known_HW / (SOFT * highest), 0, 1 / SOFT)
            codes_HW = np.rint(np.arcsinh(shares_HW) * (STEPS / np.arcsinh(1 / SOFT)))
        return cls(np.where(seen_HW, codes_HW + 1, 0).astype(np.uint16), highest)

    def values(self, layer: Layer) -> NDArray[np.float32]:
        """The layer (H, W); NaN where nothing was exposed."""
        above_HW = self.codes_HW.astype(np.float64) - 1
        if not layer.counts:
            stretched_HW = np.sinh(np.maximum(above_HW, 0) * (np.arcsinh(1 / SOFT) / STEPS))
            above_HW = SOFT * self.highest * stretched_HW
        return np.where(self.codes_HW > 0, above_HW, np.nan).astype(np.float32)

    def cut(self, row: int, column: int, shape: tuple[int, int]) -> "Coded":
        """Rows and columns from a first one; what lies outside was not exposed."""
        cut_HW = np.zeros(shape, np.uint16)
        height, width = self.codes_HW.shape
        top, left = max(row, 0), max(column, 0)
        bottom, right = min(row + shape[0], height), min(column + shape[1], width)
        if top < bottom and left < right:
            inside_HW = self.codes_HW[top:bottom, left:right]
            cut_HW[top - row : bottom - row, left - column : right - column] = inside_HW
        return Coded(cut_HW, self.highest)

    @property
    def seen(self) -> bool:
        """True if any pixel was exposed."""
        return bool(self.codes_HW.any())

    def to_bytes(self, layer: Layer) -> bytes:
        """One byte a pixel, or two (little-endian) where a code needs them.

        Rates are smooth: each is the difference from the pixel below, which compresses better.
        """
        kind = np.uint8 if int(self.codes_HW.max(initial=0)) < 2**8 else np.dtype("<u2")
        codes_HW = self.codes_HW.astype(kind)
        if not layer.counts:
            codes_HW = np.diff(codes_HW, axis=0, prepend=codes_HW.dtype.type(0))
        return codes_HW.tobytes()

    @classmethod
    def from_bytes(cls, layer: Layer, data: bytes, highest: float, shape: tuple[int, int]) -> Self:
        """The layer of `to_bytes`."""
        kind = np.uint8 if len(data) == shape[0] * shape[1] else np.dtype("<u2")
        codes_HW = np.frombuffer(data, kind).reshape(shape)
        if not layer.counts:
            codes_HW = np.cumsum(codes_HW, axis=0, dtype=kind)
        return cls(codes_HW.astype(np.uint16), highest)
