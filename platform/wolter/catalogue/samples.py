"""Posterior samples in few bits each: the file `samples.parquet` of a release, and its codes.

A record's samples of a parameter lie between their least and greatest, and each is told as one of
256 places between them, even in the parameter's scale: an error of at most 1/510 of the range that
the samples span, a tenth of a percent of a posterior's width. The bytes of a record are the least
and greatest of each parameter (float32, little-endian: P times 2), then S codes of each parameter.

A release keeps one of `KEPT + 1` places (6 bits), and the least and greatest to 1/256 of the range:
an error of at most 1/70 of the range, or 5 % of a posterior's width where there are 16 samples.

Shapes: B records, P parameter, S sample, X bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter.answering.scoring import SampleAxis
from wolter.catalogue.packing import smallest
from wolter.errors import InputError

FILE = "samples.parquet"
AXES = b"wolter.axes"  # key of the schema's metadata: JSON of the axes of each model
LEVELS = 255
KEPT = 63
END = 2.0**-8  # of the range: most that a kept least or greatest is wrong by
ROWS = 4096  # records of a row group, all of which are read to find one


def encode(samples_BSP: NDArray[np.float32], axes: Sequence[SampleAxis]) -> NDArray[np.uint8]:
    """Bytes (B, X) of samples; a sample that is no number is told as the least."""
    scaled_BSP = _scaled(samples_BSP.astype(np.float64), axes)
    low_BP = np.nan_to_num(scaled_BSP, nan=np.inf).min(1)
    high_BP = np.nan_to_num(scaled_BSP, nan=-np.inf).max(1)
    ends_BP2 = np.stack([low_BP, high_BP], -1).astype("<f4")
    low_BP, width_BP = ends_BP2[..., 0].astype(float), np.diff(ends_BP2.astype(float))[..., 0]
    place_BSP = (scaled_BSP - low_BP[:, None]) / np.where(width_BP > 0, width_BP, 1)[:, None]
    code_BSP = np.clip(np.rint(np.nan_to_num(place_BSP) * LEVELS), 0, LEVELS).astype(np.uint8)
    n = len(samples_BSP)
    head_BX = np.ascontiguousarray(ends_BP2).reshape(n, -1).view(np.uint8)
    codes_BX = code_BSP.transpose(0, 2, 1).reshape(n, -1)
    joined: NDArray[np.uint8] = np.concatenate([head_BX, codes_BX], 1)
    return joined


def decode(bytes_BX: NDArray[np.uint8], axes: Sequence[SampleAxis]) -> NDArray[np.float32]:
    """Samples (B, S, P) of bytes."""
    ends_BP2, code_BPS = _parted(bytes_BX, len(axes))
    return _samples(ends_BP2, code_BPS, LEVELS, axes)


def _parted(bytes_BX: NDArray[np.uint8], p: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Least and greatest (B, P, 2), and codes (B, P, S), of bytes."""
    n = len(bytes_BX)
    ends_BP2 = np.ascontiguousarray(bytes_BX[:, : 8 * p]).view("<f4").reshape(n, p, 2)
    return ends_BP2, bytes_BX[:, 8 * p :].reshape(n, p, -1)


def _samples(
    ends_BP2: NDArray[np.float32],
    code_BPS: NDArray[np.uint8],
    levels: int,
    axes: Sequence[SampleAxis],
) -> NDArray[np.float32]:
    low_BP1, high_BP1 = ends_BP2[..., :1].astype(float), ends_BP2[..., 1:].astype(float)
    scaled_BPS = low_BP1 + (high_BP1 - low_BP1) * code_BPS / levels
    values_BSP = scaled_BPS.transpose(0, 2, 1).copy()
    for i, axis in enumerate(axes):
        if axis.scale == "log":
            values_BSP[..., i] = np.exp(values_BSP[..., i])
    found: NDArray[np.float32] = values_BSP.astype(np.float32)
    return found


def _short(ends_BP2: NDArray[np.float32]) -> NDArray[np.float32]:
    """Least and greatest as multiples of a power of two, a small part of the range."""
    with np.errstate(divide="ignore"):
        step_BP = 2.0 ** np.floor(np.log2(2 * END * np.diff(ends_BP2.astype(float))[..., 0]))
    step_BP2 = np.where(step_BP > 0, step_BP, 1)[..., None]
    exact = (step_BP == 0)[..., None]
    short: NDArray[np.float32] = np.where(exact, ends_BP2, np.rint(ends_BP2 / step_BP2) * step_BP2)
    return short.astype(np.float32)


@dataclass(frozen=True)
class Part:
    """Samples of one model.

    Attributes:
        model: name of the model.
        axes: its parameters.
        detection_N: identifiers of the detections.
        bytes_NX: list of bytes of each; see `encode`.
    """

    model: str
    axes: tuple[SampleAxis, ...]
    detection_N: NDArray[np.int64]
    bytes_NX: pa.Array


def write_samples(path: Path, parts: Sequence[Part]) -> None:
    """Write the samples of each model, sorted by the identifiers of the detections."""
    told = {part.model: [asdict(axis) for axis in part.axes] for part in parts}
    schema = pa.schema(
        {
            "detection_id": pa.int64(),
            "model_name": pa.dictionary(pa.int32(), pa.string()),
            "ends": pa.list_(pa.float32()),
            "codes": pa.list_(pa.uint8()),
        },
        metadata={AXES: json.dumps(told).encode()},
    )
    table = pa.concat_tables([_table(part, schema) for part in parts]).unify_dictionaries()
    pq.write_table(table, path, ROWS, **smallest(table))


def _table(part: Part, schema: pa.Schema) -> pa.Table:
    order_N = np.argsort(part.detection_N)
    names = pa.array([part.model] * len(order_N)).dictionary_encode()
    listed = part.bytes_NX.take(pa.array(order_N))
    flat = pc.list_flatten(listed).to_numpy().astype(np.uint8).reshape(len(order_N), -1)
    ends_NP2, code_NPS = _parted(flat, len(part.axes))
    code_NPS = np.rint(code_NPS * (KEPT / LEVELS)).astype(np.uint8)
    lists = [_listed(_short(ends_NP2)), _listed(code_NPS)]
    return pa.Table.from_arrays([pa.array(part.detection_N[order_N]), names, *lists], schema=schema)


def _listed(values: NDArray[Any]) -> pa.Array:
    """An array as lists, one an entry of its first axis."""
    ends = np.arange(len(values) + 1, dtype=np.int32) * (values.size // max(len(values), 1))
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.ravel()))


def read_samples(release: Path, detection_id: int) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Posterior samples of a detection: model -> parameter -> samples (S); empty where none.

    Args:
        release: folder of a release.
        detection_id: identifier of the detection.

    Raises:
        InputError: the release holds no samples.
    """
    path = release / FILE
    if not path.is_file():
        raise InputError(f"release {release.name} holds no posterior samples")
    axes = {
        name: [SampleAxis(**axis) for axis in each]
        for name, each in json.loads(pq.read_schema(path).metadata[AXES]).items()
    }
    found = {}
    rows = pq.read_table(path, filters=[("detection_id", "==", detection_id)])
    for row in rows.to_pylist():
        of = axes[row["model_name"]]
        ends_1P2 = np.array(row["ends"], np.float32).reshape(1, len(of), 2)
        code_1PS = np.array(row["codes"], np.uint8).reshape(1, len(of), -1)
        values_SP = _samples(ends_1P2, code_1PS, KEPT, of)[0]
        found[row["model_name"]] = {axis.name: values_SP[:, i] for i, axis in enumerate(of)}
    return found


def _scaled(samples_BSP: NDArray[np.float64], axes: Sequence[SampleAxis]) -> NDArray[np.float64]:
    scaled_BSP = samples_BSP.copy()
    for i, axis in enumerate(axes):
        if axis.scale == "log":
            scaled_BSP[..., i] = np.log(np.maximum(samples_BSP[..., i], 1e-300))
    return scaled_BSP
