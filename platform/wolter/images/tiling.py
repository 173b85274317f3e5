"""Tiled inference on images of any size, with overlapping tiles.

Shapes: B batch, H and W rows and columns of the input, S H and S W those of the answer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor, nn

from wolter.errors import InputError
from wolter.family import Family
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.registry.checkpoint import Model

TILE = 416  # pixels along a side, without the margin, as of whole frames


@dataclass(frozen=True)
class Tiled:
    """Ability to answer for an image in tiles.

    Attributes:
        receptive_field: `(module) -> pixels`: how far from a pixel of the input the answer at its
            place depends on others.
    """

    receptive_field: Callable[[nn.Module], int]


@dataclass(frozen=True)
class BackgroundInRate:
    """Ability of families whose rates may include the background.

    Attributes:
        included: `(config, spec) -> bool`: whether they do, of a config and images of a spec.
    """

    included: Callable[[Any, ImageSpec], bool]


Predict = Callable[[ImageBatch], dict[str, Tensor]]


def in_tiles(
    predict: Predict,
    batch: ImageBatch,
    scale: int,
    margin: int,
    tile: int = TILE,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Tensor]:
    """Apply `predict` to whole images in overlapping tiles.

    The same as `predict(batch)` but for rounding, if no pixel of an answer depends on input pixels
    that are further off than `margin`. Memory grows with the tile and, slowly, with the answer.

    Args:
        predict: gives maps (B, S H, S W) of inputs (B, H, W).
        batch: inputs; targets are not looked at.
        scale: rows and columns of an answer for one of the input, S.
        margin: input pixels to add on each side of a tile, and to cut off from its answer.
        tile: rows and columns of a tile without its margin.
        progress: is told after each tile which part is done, 0 to 1.
    """
    rows, columns = batch.counts_BHW.shape[1:]
    whole: dict[str, Tensor] = {}
    tiles = list(product(_spans(rows, tile), _spans(columns, tile)))
    for done, (top, left) in enumerate(tiles, 1):
        (y0, y1), (x0, x1) = _widen(top, margin, rows), _widen(left, margin, columns)
        piece = ImageBatch(
            batch.counts_BHW[:, y0:y1, x0:x1],
            batch.exposure_BHW[:, y0:y1, x0:x1],
            batch.background_BHW[:, y0:y1, x0:x1],
        )
        inner = [
            slice(scale * (start - edge), scale * (stop - edge))
            for (start, stop), edge in ((top, y0), (left, x0))
        ]
        outer = [slice(scale * start, scale * stop) for start, stop in (top, left)]
        for name, value in predict(piece).items():
            if name not in whole:
                whole[name] = value.new_empty((len(batch), scale * rows, scale * columns))
            whole[name][:, outer[0], outer[1]] = value[:, inner[0], inner[1]]
        if progress is not None:
            progress(done / len(tiles))
    return whole


@torch.inference_mode()
def enhance(
    family: Family,
    module: nn.Module,
    batch: ImageBatch,
    scale: int,
    tile: int = TILE,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Tensor]:
    """Predictions of a family for whole images, in tiles, on the module's device.

    Args:
        family: family of the module.
        module: trained.
        batch: whole images; the answer lies on their device.
        scale: rows and columns of an answer for one of the input, as in the module's spec.
        tile: see `in_tiles`.
        progress: see `in_tiles`.

    Raises:
        InputError: the family does not answer for images.
    """
    tiled = family.ability(Tiled)
    if tiled is None:
        raise InputError(f"{family.name} does not enhance images; choose superres")
    module.eval()
    device, home = next(module.parameters()).device, batch.counts_BHW.device

    def predict(piece: ImageBatch) -> dict[str, Tensor]:
        found = family.predict(module, piece.to(device))
        return {name: value.to(home) for name, value in found.items()}

    return in_tiles(predict, batch, scale, tiled.receptive_field(module), tile, progress)


def enlarged(image_HW: Tensor, scale: int) -> Tensor:
    """Every pixel of (H, W) as `scale` times as many along each side."""
    return image_HW.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


def holds_background(model: Model) -> bool:
    """True if a model's rates include the background."""
    ability = model.family.ability(BackgroundInRate)
    return ability is not None and ability.included(model.config, model.card.spec)


def _spans(size: int, tile: int) -> Iterator[tuple[int, int]]:
    """Pixels 0 to `size` in nearly equal parts of at most `tile`."""
    parts = -(-size // tile)
    edges = [round(size * i / parts) for i in range(parts + 1)]
    yield from pairwise(edges)


def _widen(span: tuple[int, int], margin: int, size: int) -> tuple[int, int]:
    return max(span[0] - margin, 0), min(span[1] + margin, size)
