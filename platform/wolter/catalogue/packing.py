"""Encodings of the columns of a parquet file, chosen by what they take on disk."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LARGE = 50_000  # rows
LEVELS = (9, 19)  # of zstd: a large table is worth five times the work, a small one is waited for
ROWS = 65_536  # that are tried
# Bytes of numbers apart, few bits for what is between the least and the greatest, words without
# what they share with the word before: encodings that old readers of parquet know.
SPLIT = {
    "FLOAT": "BYTE_STREAM_SPLIT",
    "DOUBLE": "BYTE_STREAM_SPLIT",
    "INT64": "DELTA_BINARY_PACKED",
}


def smallest(table: pa.Table, rows: int = ROWS) -> dict[str, Any]:
    """Arguments of a parquet writer under which each column takes the least bytes.

    A column is kept by a dictionary or as `SPLIT` says: both are tried on the first rows.

    Args:
        table: that is written.
        rows: that are tried: those of a row group where it has fewer.
    """
    first = table.slice(0, rows)
    by_dictionary = _leaves(first, use_dictionary=True)
    split = {path: SPLIT[kind] for path, (kind, _) in by_dictionary.items() if kind in SPLIT}
    others = [path for path in by_dictionary if path not in split]
    apart = _leaves(first, use_dictionary=others, column_encoding=split)
    encodings = {
        path: how for path, how in split.items() if apart[path][1] < by_dictionary[path][1]
    }
    kept = [path for path in by_dictionary if path not in encodings]
    return {
        "compression": "zstd",
        "compression_level": LEVELS[len(table) >= LARGE],
        "use_dictionary": kept,
        "column_encoding": encodings,
    }


def _leaves(table: pa.Table, **how: Any) -> Mapping[str, tuple[str, int]]:
    """Physical type and bytes of each column of a table as a parquet file, by its path."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, len(table) or 1, compression="zstd", compression_level=1, **how)
    group = pq.read_metadata(pa.BufferReader(buffer.getvalue())).row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    return {c.path_in_schema: (c.physical_type, c.total_compressed_size) for c in columns}
