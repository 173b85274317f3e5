"""Frames of image pairs cut into tiles that overlap.

Shapes: B batch, H and W rows and columns of the input.
"""

import math
from typing import Any

from torch import Tensor

from wolter.images.schema import ImageBatch


def tile_starts(size: int, tile: int, overlap: int) -> list[int]:
    """First pixels of tiles along one side, evenly spread; tile 0 is the whole side."""
    if not tile or tile >= size:
        return [0]
    n = math.ceil((size - overlap) / (tile - overlap))
    return [round(i * (size - tile) / (n - 1)) for i in range(n)]


def cut(pair: ImageBatch, row: int, column: int, size: int, scale: int) -> ImageBatch:
    """One tile of every row of a batch, at input pixels (row, column) and the same sky."""

    def window(name: str, value: Tensor) -> Tensor:
        k = scale if "target" in name else 1
        rows, columns = (slice(at * k, (at + size) * k) for at in (row, column))
        return value[:, rows, columns]

    columns: dict[str, Any] = {
        name: None if value is None else window(name, value) for name, value in vars(pair).items()
    }
    return ImageBatch(**columns)
