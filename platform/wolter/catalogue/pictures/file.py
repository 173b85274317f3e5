"""Pictures of the sources of a release: the file `pictures.parquet`.

A row is a picture of a source: of which observation and model, where its pixels lie on the sky,
and its layers as codes (`wolter.catalogue.pictures.codes`). The rows are those of the table
`picture` of the database, in its order, by which they are found.

Shapes: H and W rows and columns of a layer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter.answering.sky_picture import Layer
from wolter.catalogue import tables
from wolter.catalogue.pictures.codes import Coded
from wolter.catalogue.pictures.scored import LAYERS, SCHEMA, from_rows
from wolter.catalogue.store import Snapshot, quoted
from wolter.xray.imaging.tangent_plane import NUMBERS, TangentPlane

FILE = "pictures.parquet"
MODELS = b"wolter.picture_layers"  # key of the schema's metadata: JSON of the layers by model
ROWS = 1024  # of a row group, all of which are read to find one
_WORD = pa.dictionary(pa.int32(), pa.string())
KEPT = pa.schema(
    [
        *(
            pa.field(column.name, _WORD if column.textual else column.arrow)
            for column in tables.PICTURE.columns
        ),
        ("rows", pa.int16()),
        ("columns", pa.int16()),
        *((name, pa.float64()) for name in NUMBERS),
        SCHEMA.field(LAYERS),
    ]
)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a source.

    Attributes:
        number: see `Listed`.
        facts: its row of the table `picture`, by the names of the columns.
        plane: sky coordinates of a layer of scale 1.
        layers: what they are, and their codes.
    """

    number: int
    facts: Mapping[str, Any]
    plane: TangentPlane
    layers: tuple[tuple[Layer, Coded], ...]

    def plane_of(self, layer: Layer) -> TangentPlane:
        """Sky coordinates of the pixels of a layer."""
        return self.plane.finer(layer.scale)

    def values(self, layer: Layer) -> NDArray[np.float32]:
        """Pixels of a layer (H, W), the first row at the bottom; NaN where nothing was exposed."""
        coded = next(coded for own, coded in self.layers if own == layer)
        return coded.values(layer)


def schema(layers: Mapping[str, Sequence[Layer]]) -> pa.Schema:
    """Schema of the file.

    Args:
        layers: of each model, by its name.
    """
    told = {model: [asdict(layer) for layer in each] for model, each in layers.items()}
    return KEPT.with_metadata({MODELS: json.dumps(told).encode()})


@dataclass(frozen=True)
class Listed:
    """A picture of a source, without its pixels.

    Attributes:
        number: among those of the source, from 0: those of the longest exposure come first.
        row: of the file.
        facts: its row of the table `picture`, by the names of the columns.
        layers: what it holds.
    """

    number: int
    row: int
    facts: Mapping[str, Any]
    layers: tuple[Layer, ...]


def listed(snapshot: Snapshot, ids: Sequence[int]) -> dict[int, list[Listed]]:
    """Pictures of sources by their identifiers; those without any are left out.

    Args:
        snapshot: an open release.
        ids: identifiers of sources.
    """
    path = snapshot.path / FILE
    if not path.is_file() or not ids:
        return {}
    names = ", ".join(quoted(column.name) for column in tables.PICTURE.columns)
    sql = (
        f"SELECT rowid AS at, {names} FROM {tables.PICTURE.name} "
        "WHERE source_id IN (SELECT unnest(?::BIGINT[])) ORDER BY exposure_s DESC, rowid"
    )
    layers, found = _layers(path), dict[int, list[Listed]]()
    for facts in snapshot.query(sql, [list(ids)]).to_pylist():
        own = found.setdefault(facts["source_id"], [])
        row = facts.pop("at")
        own.append(Listed(len(own), row, facts, layers[facts["model_name"]]))
    return found


def read(snapshot: Snapshot, pictures: Sequence[Listed]) -> list[Picture]:
    """Pixels of pictures, in their order."""
    found: dict[int, Mapping[str, Any]] = {}
    rows = [each.row for each in pictures]
    if not rows:
        return []
    with pq.ParquetFile(snapshot.path / FILE) as parquet:
        for group in sorted({row // ROWS for row in rows}):
            part = parquet.read_row_group(group, columns=["rows", "columns", *NUMBERS, LAYERS])
            own = [row for row in rows if row // ROWS == group]
            taken = part.take(pa.array([row % ROWS for row in own])).to_pylist()
            found |= dict(zip(own, taken, strict=True))
    return [_picture(each, found[each.row]) for each in pictures]


def _picture(of: Listed, kept: Mapping[str, Any]) -> Picture:
    codes = from_rows(kept[LAYERS], of.layers, (kept["rows"], kept["columns"]))
    layers = tuple(zip(of.layers, codes, strict=True))
    return Picture(of.number, of.facts, TangentPlane.from_numbers(kept), layers)


def _layers(path: Path) -> dict[str, tuple[Layer, ...]]:
    """Layers of the pictures of each model."""
    told = json.loads(pq.read_schema(path).metadata[MODELS])
    return {model: tuple(Layer(**each) for each in of) for model, of in told.items()}
