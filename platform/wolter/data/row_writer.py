"""Rows of ingested files as shards, and files without a record as `rejects.parquet`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wolter.data.integrity import encode
from wolter.data.record_kinds import Spec
from wolter.data.shards import (
    REJECTS,
    Manifest,
    Shard,
    ShardDataset,
    tensor_column,
    write_manifest,
    write_shard,
)
from wolter.data.split import name_keys
from wolter.errors import InputError
from wolter.files import write_atomically

FILES_PER_TASK = 64
ROWS_PER_SHARD = 32_768
REJECT_SCHEMA = pa.schema({"file": pa.string(), "reason": pa.string()})


def list_files(sources: Sequence[Path], wanted: str = "PHA files") -> list[Path]:
    """All files of the given files and folders, sorted, hidden ones left out.

    Raises:
        InputError: a source does not exist, or there is no file at all.
    """
    found: set[Path] = set()
    for source in sources:
        if source.is_dir():
            for folder, _, names in os.walk(source):
                found.update(Path(folder, name) for name in names if not name.startswith("."))
        elif source.exists():
            found.add(source)
        else:
            raise InputError(f"{source}: no such file or folder; check the path")
    if not found:
        raise InputError(f"{', '.join(map(str, sources))}: no files there; give {wanted}")
    return sorted(file.absolute() for file in found)


def folder_of(files: Sequence[Path]) -> Path:
    """The innermost folder that holds all files, by which names of files are short and differ."""
    return Path(os.path.commonpath([file.parent for file in files]))


def in_blocks(data: Any, n: int) -> Any:
    """Split a Ray dataset of `n` files into blocks of `FILES_PER_TASK`."""
    return data.repartition(-(-n // FILES_PER_TASK))


class RowWriter:
    """Writer of rows into shards and of rejected files, holding one shard in memory."""

    def __init__(self, out: Path, rows_per_shard: int = ROWS_PER_SHARD) -> None:
        """Write into a folder that is there."""
        self.out, self.rows_per_shard = out, rows_per_shard
        self.shards: list[Shard] = []
        self.waiting: list[pa.Table] = []
        self.rejects: list[tuple[str, str]] = []

    def reject(self, table: pa.Table) -> None:
        """Note the files of a table and its reasons."""
        pairs = zip(table["file"].to_pylist(), table["reason"].to_pylist(), strict=True)
        self.rejects.extend(pairs)

    def add(self, table: pa.Table) -> None:
        """Add rows; those with a reason are rejected.

        Rows of one `parent`, or else of one `source_id`, fall into one split.
        """
        import pyarrow.compute as pc  # slow, and not needed to predict

        good = pc.equal(table["reason"], "")
        self.reject(table.filter(pc.invert(good)))
        kept = table.filter(good).drop_columns(["reason"])
        by = "parent" if "parent" in kept.column_names else "source_id"
        keys = name_keys(kept[by].to_pylist())
        self.waiting.append(kept.append_column("split_key", pa.array(keys)))
        while sum(part.num_rows for part in self.waiting) >= self.rows_per_shard:
            self._write()

    def _write(self) -> None:
        table = _joined(self.waiting)
        rows = self.rows_per_shard
        self.shards.append(write_shard(self.out, len(self.shards), table[:rows]))
        self.waiting = [table[rows:]]

    def finish(self, kind: str, spec: Spec, config: dict[str, Any]) -> ShardDataset:
        """Write the remaining rows, the rejects and the manifest."""
        if any(part.num_rows for part in self.waiting):
            self._write()
        columns = {"file": [f for f, _ in self.rejects], "reason": [why for _, why in self.rejects]}
        write_atomically(self.out / REJECTS, encode(pa.table(columns, REJECT_SCHEMA)))
        manifest = Manifest(
            kind=kind,
            spec=spec,
            config=config,
            seed=0,
            response_sha256="",
            shards=tuple(self.shards),
            rejects=len(self.rejects),
        )
        return write_manifest(self.out, manifest)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Rows of all tables; tensors that only some of them have are NaN in the others."""
    tables = [table for table in tables if table.num_rows]  # of no rows, columns may be missing
    schema = pa.unify_schemas([table.schema for table in tables])
    whole = []
    for table in tables:
        for field in schema:
            if field.name not in table.column_names:
                values = np.full((len(table), *field.type.shape), np.nan, np.float32)
                table = table.append_column(field.name, tensor_column(values))
        whole.append(table.select(schema.names))
    return pa.concat_tables(whole)
