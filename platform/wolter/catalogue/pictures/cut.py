"""Cut pictures of sources out of what models made of tiles of the sky, into a parquet file."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wolter.answering.sky_picture import Layer, plane_of
from wolter.catalogue import tables
from wolter.catalogue.pictures import scored
from wolter.catalogue.pictures.codes import Coded
from wolter.catalogue.pictures.file import ROWS, schema
from wolter.catalogue.pictures.match import Matched, match
from wolter.catalogue.score import ModelRef
from wolter.xray.imaging.tangent_plane import TangentPlane

HALF_ARCSEC = 60.0  # from the source to the edge of its picture, to a pixel
SHORTEST, LONGEST = 3, 64  # pixels of a layer of scale 1 from the source to the edge


@dataclass(frozen=True)
class Made:
    """What a model made of shards.

    Attributes:
        ref: the model.
        layers: of its pictures.
        files: of the store, one a shard, each once; see `wolter.catalogue.pictures.scored`.
    """

    ref: ModelRef
    layers: tuple[Layer, ...]
    files: tuple[Path, ...]


def cut_pictures(path: Path, made: Sequence[Made], source: pa.Table, release: str) -> pa.Table:
    """Write the pictures of sources into a file; return their rows of the table `picture`.

    Args:
        path: of the file; see `wolter.catalogue.pictures.file`.
        made: what each model made.
        source: rows of the table `source`.
        release: name of the release.
    """
    of = schema({each.ref.name: each.layers for each in made})
    told: list[pa.Table] = []
    with pq.ParquetWriter(path, of, compression="zstd", compression_level=9) as writer:
        waiting: list[dict[str, Any]] = []

        def flush() -> None:
            part = pa.Table.from_pylist(waiting, of)
            writer.write_table(part, ROWS)
            told.append(part.select(tables.PICTURE.schema.names))
            waiting.clear()

        for each in made:
            for row in _rows(each, source, release):
                waiting.append(row)
                if len(waiting) == ROWS:
                    flush()
        if waiting:
            flush()
    empty = tables.PICTURE.schema.empty_table()
    return pa.concat_tables([empty, *(part.cast(tables.PICTURE.schema) for part in told)])


def _rows(made: Made, source: pa.Table, release: str) -> Iterator[dict[str, Any]]:
    """Rows of the file for the pictures of a model."""
    if not made.files:
        return
    parts = [scored.read_places(file) for file in made.files]
    good = [np.flatnonzero(np.array(part["reason"].to_pylist()) == "") for part in parts]
    places = pa.concat_tables(
        [part.take(pa.array(rows)) for part, rows in zip(parts, good, strict=True)]
    )
    if not len(places):
        return
    shard_N = np.repeat(np.arange(len(parts)), [len(rows) for rows in good])
    row_N = np.concatenate(good)
    found = match(places, *(source[name].to_numpy() for name in ("ra", "dec")))
    ids = source["source_id"].to_pylist()
    for shard in np.unique(shard_N[found.record_K]).tolist():
        pairs = np.flatnonzero(shard_N[found.record_K] == shard)
        records = np.unique(found.record_K[pairs])
        told = dict(zip(records.tolist(), places.take(pa.array(records)).to_pylist(), strict=True))
        wanted = row_N[records].tolist()
        layers: dict[int, tuple[Coded, ...]] = {}
        for pair in pairs.tolist():
            record = int(found.record_K[pair])
            row = int(row_N[record])
            if row not in layers:  # some at once: a shard's may not all fit
                following = wanted[wanted.index(row) :][: scored.ROWS]
                layers = scored.read_layers(made.files[shard], following, made.layers)
            place = told[record]
            cut = _cut(place, found, pair, made.layers, layers[row])
            if cut is not None:
                plane, size, codes = cut
                yield {
                    **_facts(place, ids[int(found.source_K[pair])], made.ref, release),
                    "offset": float(found.offset_K[pair]),
                    "rows": size,
                    "columns": size,
                    **plane.numbers,
                    scored.LAYERS: [
                        scored.as_row(*each) for each in zip(made.layers, codes, strict=True)
                    ],
                }


def _facts(place: Mapping[str, Any], source_id: int, ref: ModelRef, release: str) -> dict[str, Any]:
    names = ("observation_id", "instrument", "t_start", "t_stop", "exposure_s")
    told = {name: place[name] for name in names}
    numbers = ("t_start", "t_stop", "exposure_s")
    unknown = {name: None for name in numbers if not math.isfinite(told[name])}
    return {
        "source_id": source_id,
        **told,
        **unknown,
        "model_name": ref.name,
        "model_version": ref.version,
        "release": release,
    }


def _cut(
    place: Mapping[str, Any],
    found: Matched,
    pair: int,
    layers: Sequence[Layer],
    codes: Sequence[Coded],
) -> tuple[TangentPlane, int, list[Coded]] | None:
    """Plane, rows and codes of the square around a source; None where nothing of it was exposed."""
    plane = plane_of(place)
    half = min(max(round(HALF_ARCSEC / plane.pixel_arcsec), SHORTEST), LONGEST)
    size = 2 * half + 1
    # Between two pixels it is the next, whatever rounding leaves of a half.
    middles = (round(float(at[pair]), 6) for at in (found.row_K, found.column_K))
    top, left = (math.floor(middle + 0.5) - half for middle in middles)
    cut = [
        coded.cut(top * layer.scale, left * layer.scale, (size * layer.scale,) * 2)
        for layer, coded in zip(layers, codes, strict=True)
    ]
    return (plane.cut(top, left), size, cut) if any(each.seen for each in cut) else None
