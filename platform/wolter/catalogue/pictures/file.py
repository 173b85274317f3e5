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

from wolter.answering.picturing import Layer
from wolter.catalogue import tables
from wolter.catalogue.pictures.codes import Coded
from wolter.catalogue.pictures.scored import LAYERS, SCHEMA, from_rows
from wolter.catalogue.store import Snapshot
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
        number: among those of the source, from 0, in the order of `pictures_of`.
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


def pictures_of(snapshot: Snapshot, source_id: int) -> list[Picture]:
    """Pictures of a source, those of the longest exposure first; none where there are none.

    Args:
        snapshot: an open release.
        source_id: identifier of the source.
    """
    path = snapshot.path / FILE
    if not path.is_file():
        return []
    names = ", ".join(f'"{column.name}"' for column in tables.PICTURE.columns)
    sql = (
        f"SELECT rowid AS at, {names} FROM {tables.PICTURE.name} WHERE source_id = ? "
        "ORDER BY exposure_s DESC, rowid"
    )
    facts = snapshot.query(sql, [source_id]).to_pylist()
    at = [row.pop("at") for row in facts]
    layers, kept = _rows(path, at)
    return [
        Picture(
            number,
            row,
            TangentPlane.from_numbers(own),
            tuple(
                zip(
                    layers[row["model_name"]],
                    from_rows(
                        own[LAYERS], layers[row["model_name"]], (own["rows"], own["columns"])
                    ),
                    strict=True,
                )
            ),
        )
        for number, (row, own) in enumerate(zip(facts, kept, strict=True))
    ]


def _rows(
    path: Path, at: Sequence[int]
) -> tuple[dict[str, tuple[Layer, ...]], list[Mapping[str, Any]]]:
    """Layers by model, and some rows of the file."""
    found: dict[int, Mapping[str, Any]] = {}
    columns = ["rows", "columns", *NUMBERS, LAYERS]
    with pq.ParquetFile(path) as parquet:
        told = json.loads(parquet.schema_arrow.metadata[MODELS])
        for group in sorted({row // ROWS for row in at}):
            part = parquet.read_row_group(group, columns=columns)
            own = [row for row in at if row // ROWS == group]
            taken = part.take(pa.array([row % ROWS for row in own])).to_pylist()
            found |= dict(zip(own, taken, strict=True))
    layers = {model: tuple(Layer(**each) for each in of) for model, of in told.items()}
    return layers, [found[row] for row in at]
