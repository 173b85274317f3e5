"""Shard datasets: a folder with `dataset.json` and `part-NNNNN.parquet`.

A shard's content depends only on (config, seed, index). Writing is atomic (temporary file, then
rename), every shard has its SHA-256 in a side file until the manifest is complete, and a run that
finds a verified shard skips it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from wolter import __version__
from wolter import config as configs
from wolter.data.integrity import (
    AGAIN,
    MANIFEST,
    encode,
    missing,
    read_shard,
    sha256_of,
    verify_all,
)
from wolter.data.record_kinds import Spec, kind_of, record_kind
from wolter.data.schema import SCHEMA_VERSION, RecordBatch
from wolter.errors import InputError
from wolter.files import write_atomically

REJECTS = "rejects.parquet"


@dataclass(frozen=True)
class Shard:
    """One parquet file of a dataset."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of `dataset.json`.

    `labels` says how the labels of observed records were estimated; true ones need no word.
    `sha256` is of all the others, as `manifest_sha256` gives it; older data sets have none.
    """

    kind: str
    spec: Spec
    config: dict[str, Any]
    seed: int
    response_sha256: str
    shards: tuple[Shard, ...]
    rejects: int = 0
    labels: str = ""
    schema_version: int = SCHEMA_VERSION
    code_version: str = __version__
    sha256: str = ""

    @property
    def rows(self) -> int:
        """Number of records."""
        return sum(shard.rows for shard in self.shards)


@dataclass(frozen=True)
class ShardDataset:
    """An opened dataset folder."""

    path: Path
    manifest: Manifest
    files: tuple[Path, ...] = field(repr=False, default=())

    @property
    def spec(self) -> Any:
        """Description of the records, for model families."""
        return self.manifest.spec

    def sha256(self) -> str:
        """Hash of the manifest: names the exact data of a run."""
        return sha256_of(self.path / MANIFEST)

    def read(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one shard, verified, as an Arrow table; see `read_shard`."""
        return read_shard(self.files[index], columns)


def shard_name(index: int) -> str:
    """File name of shard `index`."""
    return f"part-{index:05d}.parquet"


def claim_folder(path: Path, claim: Mapping[str, Any]) -> None:
    """Claim a folder for one config and seed, so that no other run mixes its shards in.

    Raises:
        InputError: the folder holds shards made from something else.
    """
    text = json.dumps(claim, sort_keys=True).encode()
    note = path / ".claim.json"
    if not note.exists():
        write_atomically(note, text)
    elif note.read_bytes() != text:
        raise InputError(
            f"{path}: holds shards of another config or seed; remove it or choose another --out"
        )


def tensor_column(values: np.ndarray) -> pa.ExtensionArray:
    """Arrow `fixed_shape_tensor` column of an array whose first axis is the row."""
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))


def to_table(batch: RecordBatch, extra: Mapping[str, Any]) -> pa.Table:
    """Arrow table of a batch: tensors for vectors, plain columns for scalars and `extra`."""
    columns: dict[str, Any] = dict(extra)
    for name, attribute in kind_of(batch).columns.items():
        value: Tensor | None = getattr(batch, attribute)
        if value is not None:
            array = value.numpy()
            columns[name] = array if array.ndim == 1 else tensor_column(array)
    return pa.table(columns)


def to_batch(columns: Mapping[str, Any], kind: str) -> Any:
    """Batch of a mapping from column name to numpy array (as Ray Data and `read_batch` give)."""
    values = {}
    for name, attribute in record_kind(kind).columns.items():
        if name in columns:
            array = columns[name]
            if array.dtype == object:  # Ray hands ragged-capable tensors over as objects
                array = np.stack(list(array))
            values[attribute] = torch.from_numpy(np.array(array, dtype=np.float32))
    return record_kind(kind).batch(**values)


def table_to_numpy(table: pa.Table) -> dict[str, np.ndarray]:
    """Columns of a table as numpy arrays, tensor columns with their full shape."""
    arrays = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        is_tensor = isinstance(column.type, pa.FixedShapeTensorType)
        arrays[name] = (
            column.to_numpy_ndarray() if is_tensor else column.to_numpy(zero_copy_only=False)
        )
    return arrays


def write_shard(folder: Path, index: int, table: pa.Table) -> Shard:
    """Write one shard atomically, with its checksum beside it for resumption."""
    data = encode(table)
    shard = Shard(shard_name(index), table.num_rows, hashlib.sha256(data).hexdigest())
    write_atomically(folder / shard.name, data)
    write_atomically(folder / f".{shard.name}.json", json.dumps(asdict(shard)).encode())
    return shard


def finished_shard(folder: Path, index: int) -> Shard | None:
    """Verified shard of an earlier run; None if it is missing or damaged."""
    name = shard_name(index)
    record = folder / f".{name}.json"
    if not record.exists() or not (folder / name).exists():
        return None
    try:
        shard = configs.load(Shard, record)
    except InputError:  # a damaged record is none
        return None
    return shard if sha256_of(folder / name) == shard.sha256 else None


def write_manifest(folder: Path, manifest: Manifest) -> ShardDataset:
    """Write `dataset.json`, which makes the dataset complete, and open it."""
    values = configs.to_dict(manifest)
    values["sha256"] = manifest_sha256(values)
    write_atomically(folder / MANIFEST, f"{json.dumps(values, indent=2)}\n".encode())
    return open_dataset(folder)


def manifest_sha256(values: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's values without its own hash, independent of order and spacing."""
    others = {name: value for name, value in values.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def open_dataset(path: Path | str, verify: bool = False) -> ShardDataset:
    """Open a dataset folder.

    Args:
        path: the folder.
        verify: also recompute every checksum.

    Raises:
        InputError: the folder holds no finished dataset, its manifest is damaged, a shard is
            missing, or a checksum differs.
    """
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder}: no {MANIFEST} there; make one with `wolter simulate` or `wolter ingest`"
        )
    manifest = configs.load(Manifest, folder / MANIFEST)
    if manifest.schema_version != SCHEMA_VERSION:
        raise InputError(
            f"{folder / MANIFEST}: schema version {manifest.schema_version}, this wolter reads "
            f"{SCHEMA_VERSION}; make the dataset again"
        )
    values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if manifest.sha256 and manifest.sha256 != manifest_sha256(values):
        raise InputError(f"{folder / MANIFEST}: its SHA-256 is not the one noted in it; {AGAIN}")
    files = tuple(folder / shard.name for shard in manifest.shards)
    for file in files:
        if not file.is_file():
            raise missing(file)
    if verify:
        verify_all(files)
    return ShardDataset(folder, manifest, files)
