"""Tiles of real image pairs as rows of a shard, with their place on the sky.

A tile has sky coordinates of its own, `crval1` to `cd2_2` (`wolter.xray.imaging.tangent_plane`);
NaN where the header tells none and has no pointing by which detector coordinates could be turned.

Shapes: B tiles, H and W rows and columns of an image.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.images.pairs import Pair
from wolter.images.reading import own_background
from wolter.images.schema import ImageBatch
from wolter.images.shards import image_table
from wolter.images.tiles import cut, tile_starts
from wolter.xray.imaging.tangent_plane import NUMBERS, TangentPlane
from wolter.xray.instruments.pointing import celestial
from wolter.xray.ogip import tables

# What a pixel of a shard can hold, photons and expected background.
MOST_PHOTONS = float(np.iinfo(np.uint16).max)
MOST_BACKGROUND = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Tiling:
    """Tiling of images: rows and columns of a tile, least overlap, target pixels a side."""

    tile: int = 128
    overlap: int = 32
    scale: int = 1


def pair_table(pair: Pair, index: int, tiling: Tiling, words: Mapping[str, str]) -> pa.Table:
    """Rows of the tiles in which input and target have exposure.

    Args:
        pair: pair of images; those smaller than a tile are padded with pixels that saw nothing.
        index: counts the pairs of the input's file.
        tiling: how to cut.
        words: columns of their own.

    Raises:
        InputError: a pixel holds more than a shard can, or no tile has exposure on both sides.
    """
    taken, target = pair.input, pair.target
    background_HW = own_background(taken)
    most = float(max(taken.counts_HW.max(), target.counts_HW.max()))
    if most > MOST_PHOTONS or float(background_HW.max()) > MOST_BACKGROUND:
        raise InputError(f"{taken.file}: {most:.0f} photons in a pixel; use smaller pixels")
    size, scale = tiling.tile, tiling.scale
    rows, columns = (max(side, size) for side in taken.counts_HW.shape)
    whole = ImageBatch(
        counts_BHW=_padded(taken.counts_HW, rows, columns),
        exposure_BHW=_padded(taken.exposure_HW, rows, columns),
        background_BHW=_padded(background_HW, rows, columns),
        target_BHW=_padded(target.counts_HW, rows * scale, columns * scale),
        target_exposure_BHW=_padded(target.exposure_HW, rows * scale, columns * scale),
    )
    starts = [tile_starts(side, size, tiling.overlap) for side in (rows, columns)]
    tiles = {(r, c): cut(whole, r, c, size, scale) for r, c in product(*starts)}
    used = {corner: tile for corner, tile in tiles.items() if _exposed(tile)}
    if not used:
        raise InputError(f"{taken.file}: input and target have no exposure in common")
    names = [tables.text(taken.header, key) for key in ("TELESCOP", "INSTRUME", "FILTER")]
    each = {
        **words,
        "file": taken.file,
        "target_file": target.file,
        "pair": index,
        "reason": "",
        "instrument": "/".join(names) if any(names) else "",
        "exposure_s": taken.exposure_s,
        "target_exposure_s": target.exposure_s,
        "remarks": "; ".join(dict.fromkeys((*taken.remarks, *target.remarks))),
    }
    sky = celestial(taken.header)
    planes = [
        None if sky is None else TangentPlane.of(sky, *corner, (size, size)) for corner in used
    ]
    each |= {
        "observation_id": tables.text(taken.header, "OBS_ID"),
        "t_start": pair.t_start,
        "t_stop": pair.t_stop,
        "pixel_arcsec": taken.pixel_arcsec,
    }
    return _table(ImageBatch.concatenate(list(used.values())), each, list(used), planes)


def no_pair(file: str, reason: str, tiling: Tiling, words: Mapping[str, str]) -> pa.Table:
    """One row, of the columns of `pair_table`, with the reason why a file gives no pair."""
    nothing_BHW = torch.zeros(1, tiling.tile, tiling.tile)
    fine_BHW = torch.zeros(1, tiling.tile * tiling.scale, tiling.tile * tiling.scale)
    empty = ImageBatch(nothing_BHW, nothing_BHW, nothing_BHW, fine_BHW, fine_BHW)
    texts = {"file": file, "target_file": "", "pair": 0, "reason": reason, "instrument": ""}
    numbers = {"exposure_s": 0.0, "target_exposure_s": 0.0}
    told = {"remarks": "", "observation_id": ""}
    unknown = dict.fromkeys(("t_start", "t_stop", "pixel_arcsec"), math.nan)
    return _table(empty, {**words, **texts, **numbers, **told, **unknown}, [(0, 0)], [None])


def _table(
    batch: ImageBatch,
    each: Mapping[str, Any],
    corners: list[tuple[int, int]],
    planes: list[TangentPlane | None],
) -> pa.Table:
    """Rows of tiles, with plain columns of what all have in common, and of where each lies."""
    extra = {key: [value] * len(corners) for key, value in each.items()}
    places = dict(zip(("row", "column"), map(list, zip(*corners, strict=True)), strict=True))
    sky = {
        name: [math.nan if plane is None else plane.numbers[name] for plane in planes]
        for name in NUMBERS
    }
    return image_table(batch, {**extra, **places, **sky})


def _exposed(tile: ImageBatch) -> bool:
    assert tile.target_exposure_BHW is not None
    return bool(tile.exposure_BHW.any() and tile.target_exposure_BHW.any())


def _padded(image_HW: Tensor, rows: int, columns: int) -> Tensor:
    """A batch (1, rows, columns) of an image, with nothing after its last row and column."""
    height, width = image_HW.shape
    return torch.nn.functional.pad(image_HW, (0, columns - width, 0, rows - height))[None]
