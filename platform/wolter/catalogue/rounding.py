"""Numbers with few bits, which compress well and are read as any others."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

FLOAT32 = 23  # bits of a mantissa


def to_bits(values: Any, bits: int) -> NDArray[np.float32]:
    """Numbers (float32) rounded to `bits` of their mantissas, a relative error of 2^-bits / 2.

    What is not finite stays.
    """
    drop = np.uint32(FLOAT32 - bits)
    plain = np.ascontiguousarray(values, np.float32)
    half = np.uint32(1) << (drop - np.uint32(1))
    rounded = ((plain.view(np.uint32) + half) >> drop << drop).view(np.float32)
    return np.where(np.isfinite(plain), rounded, plain).astype(np.float32)


def short_numbers(table: pa.Table, bits: int) -> pa.Table:
    """Table whose columns of float32 numbers are rounded as `to_bits` does; nulls stay."""
    for at, field in enumerate(table.schema):
        if field.type == pa.float32():
            column = table.column(at).combine_chunks()
            values = to_bits(column.to_numpy(zero_copy_only=False), bits)
            rounded = pa.array(values, mask=column.is_null().to_numpy(zero_copy_only=False))
            table = table.set_column(at, field, rounded)
    return table
