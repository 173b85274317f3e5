"""Posterior samples in one byte each: the file `samples.parquet` of a release, and its codes.

A record's samples of a parameter lie between their least and greatest, and each is told as one of
256 places between them, even in the parameter's scale: an error of at most 1/510 of the range that
the samples span, a tenth of a percent of a posterior's width. The bytes of a record are the least
and greatest of each parameter (float32, little-endian: P times 2), then S codes of each parameter.

Shapes: B records, P parameter, S sample, X bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter.answering.scoring import SampleAxis
from wolter.errors import InputError

FILE = "samples.parquet"
AXES = b"wolter.axes"  # key of the schema's metadata: JSON of the axes of each model
LEVELS = 255
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
    n, p = len(bytes_BX), len(axes)
    head = np.ascontiguousarray(bytes_BX[:, : 8 * p]).view("<f4").reshape(n, p, 2)
    code_BPS = bytes_BX[:, 8 * p :].reshape(n, p, -1)
    low_BP1, high_BP1 = head[..., :1].astype(float), head[..., 1:].astype(float)
    scaled_BPS = low_BP1 + (high_BP1 - low_BP1) * code_BPS / LEVELS
    values_BSP = scaled_BPS.transpose(0, 2, 1).copy()
    for i, axis in enumerate(axes):
        if axis.scale == "log":
            values_BSP[..., i] = np.exp(values_BSP[..., i])
    found: NDArray[np.float32] = values_BSP.astype(np.float32)
    return found


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
            "samples": pa.list_(pa.uint8()),
        },
        metadata={AXES: json.dumps(told).encode()},
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in parts:
            order = np.argsort(part.detection_N)
            names = pa.array([part.model] * len(order)).dictionary_encode()
            coded = part.bytes_NX.take(pa.array(order)).cast(pa.list_(pa.uint8()))
            columns = [pa.array(part.detection_N[order]), names, coded]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), ROWS)


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
        values_SP = decode(np.array(row["samples"], np.uint8)[None], of)[0]
        found[row["model_name"]] = {axis.name: values_SP[:, i] for i, axis in enumerate(of)}
    return found


def _scaled(samples_BSP: NDArray[np.float64], axes: Sequence[SampleAxis]) -> NDArray[np.float64]:
    scaled_BSP = samples_BSP.copy()
    for i, axis in enumerate(axes):
        if axis.scale == "log":
            scaled_BSP[..., i] = np.log(np.maximum(samples_BSP[..., i], 1e-300))
    return scaled_BSP
