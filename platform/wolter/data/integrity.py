"""Integrity of parquet shards: page checksums and SHA-256 verification.

Every page carries a CRC-32, which is verified whenever it is read. Page headers and the footer have
none: a shard's SHA-256 is compared with the manifest's once per process, before it is first read.
Torch-free, for Ray Data's reading tasks.
"""

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from wolter.errors import InputError

MANIFEST = "dataset.json"
AGAIN = "run the command that made the dataset again, which writes it anew"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def encode(table: pa.Table) -> bytes:
    """The bytes of a parquet file with page checksums; the same for the same table."""
    # The least and greatest of a tensor's values help no reader to skip pages, and take time.
    scalars = [field.name for field in table.schema if not pa.types.is_nested(_stored(field.type))]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_statistics=scalars,
        write_page_checksum=True,
    )
    return memoryview(sink.getvalue()).tobytes()


def _stored(kind: pa.DataType) -> pa.DataType:
    """The type that is written for an extension of it."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def read_shard(file: Path | str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a verified shard: of the given columns those that it has, in their order; of None, all.

    Raises:
        InputError: it is missing, or its bytes are not those that were written.
    """
    with _opened(Path(file)) as parquet:
        names = parquet.schema_arrow.names
        present = names if columns is None else [name for name in columns if name in names]
        return parquet.read(present).select(present)


def read_schema(file: Path | str) -> pa.Schema:
    """Columns and types of a verified shard.

    Raises:
        InputError: it is missing, or its bytes are not those that were written.
    """
    with _opened(Path(file)) as parquet:
        return parquet.schema_arrow


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    verify(file)
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            yield parquet
    # Arrow's words for what decayed since; names that are no UTF-8 end in a ValueError.
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{file}: damaged ({reason}); {AGAIN}") from error


def verify(file: Path) -> None:
    """Compare a shard's SHA-256 with the manifest beside it, once per process and state of both.

    Raises:
        InputError: it is missing, or its bytes are not those that were written.
    """
    try:
        now, manifest = file.stat(), (file.parent / MANIFEST).stat()
    except FileNotFoundError as error:
        raise missing(Path(error.filename)) from error
    state = now.st_ino, now.st_size, now.st_mtime_ns
    _verify(file, state, manifest.st_mtime_ns)


def verify_all(files: Sequence[Path]) -> None:
    """Verify shards, several at a time: hashing runs at 1 to 2 GB/s on a core."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in pool.map(verify, files):
            pass


def missing(file: Path) -> InputError:
    """The error of a file that is not there."""
    return InputError(f"{file}: missing; {AGAIN}")


@functools.lru_cache(maxsize=2**16)
def _verify(file: Path, _state: tuple[int, ...], written_ns: int) -> None:
    expected = _recorded(file.parent / MANIFEST, written_ns).get(file.name)
    if sha256_of(file) != expected:
        raise InputError(f"{file}: its SHA-256 differs from the one in {MANIFEST}; {AGAIN}")


@functools.lru_cache(maxsize=64)
def _recorded(manifest: Path, _written_ns: int) -> dict[str, str]:
    """SHA-256 of every shard by its name."""
    try:
        shards = json.loads(manifest.read_text(encoding="utf-8"))["shards"]
        return {shard["name"]: shard["sha256"] for shard in shards}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{manifest}: not a manifest of shards ({error!r}); {AGAIN}") from error
