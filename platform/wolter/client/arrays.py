"""What the client sends as arrays, and the tables that it is answered with."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import requests
from safetensors.numpy import save

from wolter.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

ARRAYS = "application/x-safetensors"  # media type of arrays, in a format that holds no code
RECORD = "file"  # column that names the records; arrays have none, and are counted


def rows_of(arrays: Mapping[str, Any]) -> int:
    """Number of rows of arrays by name.

    Raises:
        InputError: they have none, or not the same number.
    """
    rows = {name: len(each) if np.ndim(each) else 0 for name, each in arrays.items()}
    if len(set(rows.values())) != 1 or not min(rows.values()):
        told = ", ".join(f"{n} of {name}" for name, n in rows.items()) or "none"
        raise InputError(
            f"rows: {told}; give as many of each, and in `shared` what all records have"
        )
    return int(next(iter(rows.values())))


def body_of(arrays: Mapping[str, Any]) -> bytes:
    """The body of a request with arrays by name."""
    made: bytes = save({name: np.ascontiguousarray(each) for name, each in arrays.items()})
    return made


def table_of(response: requests.Response) -> "pa.Table":
    """The table of an answer in parquet."""
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(response.content))


def joined(tables: "Sequence[pa.Table]") -> "pa.Table":
    """Tables of pieces as one, whose records are counted from 0."""
    import pyarrow as pa

    whole = pa.concat_tables(tables)
    numbers = pa.array([str(i) for i in range(len(whole))])
    at = whole.schema.get_field_index(RECORD)
    return whole.set_column(at, whole.schema.field(at), numbers)
