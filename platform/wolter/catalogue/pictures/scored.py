"""Store of pictures: what each version of a model made of each shard, kept between builds.

`pictures-LAYOUT/MODEL/VERSION/SHA256.parquet`, in the folder of scored records
(`wolter.catalogue.scored.folder`), holds a row for each record of the shard with that SHA-256:
where it lies (`PLACES`) and its layers as codes, null where it gives no picture. Files are written
whole or not at all, and never changed.
"""

import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter.answering.sky_picture import PLACES, Layer
from wolter.catalogue.pictures.codes import Coded
from wolter.files import make_folder, write_atomically

LAYOUT = 1  # of the files
ROWS = 16  # records of a row group, all of which are read to find one
LAYER = pa.struct([("codes", pa.binary()), ("highest", pa.float32())])
LAYERS = "layers"
SCHEMA = pa.schema([*PLACES, (LAYERS, pa.list_(LAYER))])


def file_of(store: Path, model: str, version: str, sha256: str) -> Path:
    """File of a shard's pictures.

    Args:
        store: see `wolter.catalogue.scored.folder`.
        model: name of the model.
        version: version of the model.
        sha256: of the shard.
    """
    words = (urllib.parse.quote(word, safe="") for word in (model, version))
    return store.joinpath(f"pictures-{LAYOUT}", *words, f"{sha256}.parquet")


def write(
    file: Path,
    places: pa.Table,
    layers: Sequence[Layer],
    pictures: Sequence[Mapping[str, NDArray[np.float32]] | None],
) -> None:
    """Keep the pictures of a shard.

    Args:
        file: see `file_of`.
        places: where the records lie; see `PLACES`.
        layers: of each picture.
        pictures: layers by name; None of records without a picture.
    """
    assert places.schema.equals(PLACES), places.schema
    listed = [
        None
        if picture is None
        else [as_row(layer, Coded.of(layer, picture[layer.name])) for layer in layers]
        for picture in pictures
    ]
    table = places.append_column(LAYERS, pa.array(listed, SCHEMA.field(LAYERS).type))
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, ROWS, compression="zstd", write_page_checksum=True)
    make_folder(file.parent)
    write_atomically(file, memoryview(buffer.getvalue()).tobytes())


def read_places(file: Path) -> pa.Table:
    """Where the records of a shard lie; see `PLACES`."""
    return pq.read_table(file, columns=PLACES.names).cast(PLACES)


def read_layers(
    file: Path, rows: Sequence[int], layers: Sequence[Layer]
) -> dict[int, tuple[Coded, ...]]:
    """Layers of some records of a shard, by their rows."""
    found: dict[int, tuple[Coded, ...]] = {}
    with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
        for group in sorted({row // ROWS for row in rows}):
            part = parquet.read_row_group(group, columns=["rows", "columns", LAYERS]).to_pylist()
            for row in rows:
                if row // ROWS == group:
                    each = part[row % ROWS]
                    shape = each["rows"], each["columns"]
                    found[row] = from_rows(each[LAYERS], layers, shape)
    return found


def as_row(layer: Layer, coded: Coded) -> dict[str, bytes | float]:
    """A layer as a value of the type `LAYER`."""
    return {"codes": coded.to_bytes(layer), "highest": coded.highest}


def from_rows(
    kept: Sequence[Mapping[str, bytes | float]], layers: Sequence[Layer], shape: tuple[int, int]
) -> tuple[Coded, ...]:
    """Layers of the values of `as_row`.

    Args:
        kept: one of each layer.
        layers: what they are.
        shape: rows and columns of a layer of scale 1.
    """
    return tuple(
        Coded.from_bytes(
            layer,
            bytes(each["codes"]),  # type: ignore[arg-type]  # bytes of all that is kept
            float(each["highest"]),
            (shape[0] * layer.scale, shape[1] * layer.scale),
        )
        for each, layer in zip(kept, layers, strict=True)
    )
