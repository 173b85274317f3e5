"""Rows of one split as Arrow tables. Torch-free, so that Ray Data's reading tasks start quickly."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from wolter.data.integrity import read_shard
from wolter.data.split import split_bounds


def select(table: pa.Table, split: str, columns: Sequence[str]) -> pa.Table:
    """Rows of a split, with those of the columns that the table has."""
    import pyarrow.compute as pc  # slow, and not needed to predict

    low, high = split_bounds(split)
    keep = pc.and_(pc.greater_equal(table["split_key"], low), pc.less(table["split_key"], high))
    return table.select([name for name in columns if name in table.column_names]).filter(keep)


def read_selected(file: Path | str, split: str, columns: Sequence[str]) -> pa.Table:
    """Read the rows of a split and only the given columns from a verified shard."""
    return select(read_shard(file, ["split_key", *columns]), split, columns)


def read_numbered(
    rows: Mapping[str, Any], files: Sequence[str], split: str, columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Ray Data task: read the shards whose numbers are given."""
    for index in rows["id"]:
        yield read_selected(files[int(index)], split, columns)
