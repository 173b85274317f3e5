"""Quick looks of a release: the file `quick_looks.parquet`, one row a detection that has one.

Expected counts have few bits of mantissa (`BITS`): an error of 0.2 % of the model at most, of 0.8 %
of its band and of the background, so that a row takes about 100 bytes. They are read as any other
numbers of a parquet file. See `wolter.answering.quick_look`.

Shapes: B records, N detections.
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
from wolter.catalogue.rounding import to_bits

FILE = "quick_looks.parquet"
AXES = b"wolter.look_axes"  # key of the schema's metadata: JSON of the axis by model
BITS = {"background": 6, "model": 8, "model_low": 6, "model_high": 6}
ROWS = 4096  # records of a row group, all of which are read to find one

_LIST = pa.list_(pa.float32())
MODEL_LISTS = ("model", "model_low", "model_high")
LISTS = ("edges", "counts", "background", *MODEL_LISTS)
"""Lists of numbers of a look; those of the model are null where the look lacks them."""
LOOK = pa.struct([("exposure_s", pa.float32()), *((name, _LIST) for name in LISTS)])
"""Type of a look among estimates."""
_WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema([("detection_id", pa.int64()), ("model_name", _WORD), ("reason", _WORD), *LOOK])


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
    missing = pa.array([look is None for look in looks])
    arrays: list[pa.Array] = [
        pa.array([None if look is None else look.exposure_s for look in looks], pa.float32())
    ]
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


def write(path: Path, parts: Sequence[Part]) -> None:
    """Write the looks, one for each detection, sorted by the identifiers of the detections.

    Args:
        path: of the file.
        parts: of each model; of several looks at a detection one is kept: of a usable estimate
            before others, and of a posterior before others.
    """
    whole = pa.concat_tables(list(map(_table, parts)))
    unusable_N = pc.not_equal(whole["reason"].cast(pa.string()), "").to_numpy()
    no_band_N = whole["model_low"].is_null().to_numpy()
    order_N = np.lexsort((no_band_N, unusable_N, whole["detection_id"].to_numpy()))
    _, first = np.unique(whole["detection_id"].to_numpy()[order_N], return_index=True)
    told = {part.model: asdict(part.axis) for part in parts}
    schema = SCHEMA.with_metadata({AXES: json.dumps(told).encode()})
    kept = whole.take(pa.array(order_N[first])).unify_dictionaries().cast(schema)
    pq.write_table(
        kept,
        path,
        ROWS,
        compression="zstd",
        compression_level=9,
        **packing(schema),
    )


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
    axes = axes_of(path)
    rows = pq.read_table(path, filters=[("detection_id", "in", list(detections))])
    return {row["detection_id"]: _seen(row, axes) for row in rows.to_pylist()}


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


def _seen(row: Mapping[str, Any], axes: Mapping[str, LookAxis]) -> Seen:
    seen = [np.array(row[name], float) for name in LISTS[:3]]
    expected = [None if row[name] is None else np.array(row[name], float) for name in LISTS[3:]]
    look = QuickLook(seen[0], seen[1], seen[2], row["exposure_s"], *expected)
    name, reason = row["model_name"], "" if look.model_G is None else row["reason"]
    return Seen(row["detection_id"], name, reason, axes[name], look)
