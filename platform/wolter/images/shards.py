"""Arrow columns of image pairs, in compact types.

Photons are unsigned 16-bit integers. Noise-free counts are float16: exact to 1 part in 2048 above
6e-5 counts, and to 3e-8 counts below. Exposure maps are float32 of 12 bits (1 part in 4096), whose
zeros compress. Reading gives float32 (`wolter.data.shards.to_batch`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.data.record_kinds import record_kind
from wolter.data.shards import tensor_column
from wolter.images.schema import ImageBatch

_PHOTONS, _EXPOSURES = ("counts", "target"), ("exposure", "target_exposure")
_MANTISSA_BITS = 23


def image_table(batch: ImageBatch, extra: Mapping[str, Any]) -> pa.Table:
    """Arrow table of a batch, with the plain columns `extra` first."""
    columns: dict[str, Any] = dict(extra)
    for name, attribute in record_kind("images").columns.items():
        value = getattr(batch, attribute)
        if value is not None:
            columns[name] = tensor_column(_compact(name, value.numpy()))
    return pa.table(columns)


def _compact(name: str, values: NDArray[np.float32]) -> NDArray[Any]:
    if name in _EXPOSURES:
        return round_mantissa(values, 12)
    if name not in _PHOTONS:
        assert float(values.max(initial=0)) <= np.finfo(np.float16).max, f"{name}: too bright"
        return values.astype(np.float16)
    if np.isnan(values).any():  # photons that were not taken
        return values
    assert float(values.max(initial=0)) <= np.iinfo(np.uint16).max, f"{name}: too many photons"
    return values.astype(np.uint16)


def round_mantissa(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Float32 values rounded to so many bits after the leading one (halves away from zero)."""
    dropped = np.uint32(_MANTISSA_BITS - bits + 1)
    raw = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (raw + (np.uint32(1) << (dropped - np.uint32(1)))) >> dropped << dropped
    return rounded.view(np.float32)
