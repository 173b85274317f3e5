"""Quick looks of a release: one a detection, as bins of its source in the HATS collection.

The file `quick_looks.parquet` tells of each detection that has one in which file of the collection
it is, at which row, and of which model. Expected counts have few bits of mantissa (`BITS`): an
error of 0.4 % of the model at most, of 0.8 % of its band and of the background. Exposures have one
of 0.03 %. See `wolter.answering.quick_look`.

Shapes: B records, M sources, N detections.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter.answering.quick_look import LookAxis, QuickLook
from wolter.catalogue.nested import COLUMN, LISTS, look_of
from wolter.catalogue.packing import smallest
from wolter.catalogue.rounding import to_bits

FILE = "quick_looks.parquet"
AXES = b"wolter.look_axes"  # key of the schema's metadata: JSON of the axis by model
EXPOSURE_BITS = 11
BITS = {"background": 6, "model": 7, "model_low": 6, "model_high": 6}
ROWS = 4096  # records of a row group, all of which are read to find one

_LIST = pa.list_(pa.float32())
LOOK = pa.struct([("exposure_s", pa.float32()), *((name, _LIST) for name in LISTS)])
"""Type of a look among estimates."""
_WORD = pa.dictionary(pa.int32(), pa.string())
_TOLD = [("detection_id", pa.int64()), ("model_name", _WORD), ("reason", _WORD)]
SCHEMA = pa.schema([*_TOLD, *LOOK])
INDEX = pa.schema([*_TOLD, ("file", _WORD), ("row", pa.int32())])


@dataclass(frozen=True)
class Seen:
    """Quick look at a detection.

    Attributes:
        detection_id: identifier of the detection.
        model: name of the model whose expectation it shows.
        reason: why the model's estimate must not be used as it stands; empty where it may, and
            where the model expects nothing.
        axis: what its bins are along.
        look: the look.
    """

    detection_id: int
    model: str
    reason: str
    axis: LookAxis
    look: QuickLook


@dataclass(frozen=True)
class Part:
    """Quick looks of one model.

    Attributes:
        model: name of the model.
        axis: what the bins are along.
        detection_N: identifiers of the detections.
        reason_N: why the estimate must not be used as it stands; empty where it may.
        looks_N: looks, of the type `LOOK`; null where there is none.
    """

    model: str
    axis: LookAxis
    detection_N: NDArray[np.int64]
    reason_N: pa.StringArray
    looks_N: pa.StructArray


def encode(looks: Sequence[QuickLook | None]) -> pa.StructArray:
    """Looks (B) as an Arrow array of the type `LOOK`."""
    missing = pa.array([look is None for look in looks], pa.bool_())
    exposure_B = to_bits([0 if look is None else look.exposure_s for look in looks], EXPOSURE_BITS)
    arrays: list[pa.Array] = [pa.array(exposure_B)]
    for name, own in zip(LISTS, _ATTRIBUTES, strict=True):
        arrays.append(
            _lists([None if look is None else getattr(look, own) for look in looks], name)
        )
    return pa.StructArray.from_arrays(arrays, fields=list(LOOK), mask=missing)


_ATTRIBUTES = ("edges_G1", "counts_G", "background_G", "model_G", "low_G", "high_G")


def _lists(values: Sequence[NDArray[np.float64] | None], name: str) -> pa.Array:
    sizes = [0 if each is None else len(each) for each in values]
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))
    known = [each for each in values if each is not None]
    flat = np.concatenate(known) if known else np.empty(0)
    data = pa.array(to_bits(flat, BITS[name]) if name in BITS else flat.astype(np.float32))
    missing = pa.array([each is None for each in values])
    return pa.ListArray.from_arrays(offsets, data, type=_LIST, mask=missing)


def chosen(parts: Sequence[Part]) -> pa.Table:
    """One look at each detection, in the order of the identifiers of the detections: `SCHEMA`.

    Args:
        parts: of each model; of several looks at a detection that of a usable estimate comes before
            others, and that of a posterior before others.
    """
    whole = pa.concat_tables(list(map(_table, parts)))
    unusable_N = pc.not_equal(whole["reason"].cast(pa.string()), "").to_numpy()
    no_band_N = whole["model_low"].is_null().to_numpy()
    order_N = np.lexsort((no_band_N, unusable_N, whole["detection_id"].to_numpy()))
    _, first = np.unique(whole["detection_id"].to_numpy()[order_N], return_index=True)
    told = {part.model: asdict(part.axis) for part in parts}
    schema = SCHEMA.with_metadata({AXES: json.dumps(told).encode()})
    return whole.take(pa.array(order_N[first])).unify_dictionaries().cast(schema)


def write_index(path: Path, looks: pa.Table, files: Sequence[str], row_N: pa.Array) -> None:
    """Write where looks are.

    Args:
        path: of the index.
        looks: see `chosen`.
        files: of each look, below the folder of the release.
        row_N: row of its source in that file.
    """
    columns = [looks[name] for name, _ in _TOLD]
    columns += [pa.array(files, pa.string()).dictionary_encode(), row_N]
    index = pa.table(columns, INDEX.with_metadata(looks.schema.metadata))
    pq.write_table(index, path, ROWS, **smallest(index))


def packing(schema: pa.Schema) -> dict[str, Any]:
    """Arguments of a parquet writer: rounded numbers byte by byte, all others by a dictionary."""
    leaves = [
        (f"{field.name}.{own.name}.list.element", own.name)
        for field in schema
        if pa.types.is_struct(field.type)
        for own in field.type
    ]
    leaves += [(f"{f.name}.list.element", f.name) for f in schema if pa.types.is_list(f.type)]
    leaves += [(f.name, f.name) for f in schema if not pa.types.is_nested(f.type)]
    return {
        "use_dictionary": [path for path, name in leaves if name not in BITS],
        "column_encoding": {path: "BYTE_STREAM_SPLIT" for path, name in leaves if name in BITS},
    }


def _table(part: Part) -> pa.Table:
    names = pa.array([part.model] * len(part.detection_N)).dictionary_encode()
    reasons = part.reason_N.dictionary_encode()
    columns = [pa.array(part.detection_N), names, reasons, *part.looks_N.flatten()]
    return pa.Table.from_arrays(columns, schema=SCHEMA).filter(part.looks_N.is_valid())


def read(release: Path, detections: Sequence[int]) -> dict[int, Seen]:
    """Quick looks by the identifiers of detections; those without one are left out.

    Args:
        release: folder of a release.
        detections: identifiers.
    """
    path = release / FILE
    if not path.is_file() or not detections:
        return {}
    axes, found = axes_of(path), {}
    rows = pq.read_table(path, filters=[("detection_id", "in", list(detections))]).to_pylist()
    for file in sorted({row["file"] for row in rows}):
        own = [row for row in rows if row["file"] == file]
        nests = _nests(release / file, [row["row"] for row in own])
        for row, nest in zip(own, nests, strict=True):
            look = look_of(nest, row["detection_id"])
            name, reason = row["model_name"], "" if look.model_G is None else row["reason"]
            found[row["detection_id"]] = Seen(row["detection_id"], name, reason, axes[name], look)
    return found


def _nests(file: Path, rows: Sequence[int]) -> list[Mapping[str, Any]]:
    """Bins of the sources at some rows of a file."""
    found: dict[int, Mapping[str, Any]] = {}
    with pq.ParquetFile(file) as parquet:
        groups = range(parquet.num_row_groups)
        ends = np.cumsum([parquet.metadata.row_group(group).num_rows for group in groups])
        of = np.searchsorted(ends, rows, side="right")
        for group in sorted(set(of.tolist())):
            column = parquet.read_row_group(group, columns=[COLUMN])[COLUMN]
            first = ends[group - 1] if group else 0
            found |= {
                row: column[int(row - first)].as_py()
                for row, at in zip(rows, of, strict=True)
                if at == group
            }
    return [found[row] for row in rows]


def known(release: Path, detections: Sequence[int]) -> set[int]:
    """Those of some detections that have a quick look."""
    path = release / FILE
    if not path.is_file() or not detections:
        return set()
    wanted = [("detection_id", "in", list(detections))]
    rows = pq.read_table(path, columns=["detection_id"], filters=wanted)
    return set(rows["detection_id"].to_pylist())


def axes_of(path: Path) -> dict[str, LookAxis]:
    """Axis of the looks of each model, by its name."""
    told = json.loads(pq.read_schema(path).metadata[AXES])
    return {name: LookAxis(**each) for name, each in told.items()}
