"""Write a release of a catalogue from Arrow tables: all of it, or nothing."""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter import config as configs
from wolter.catalogue import release as releases
from wolter.catalogue.columns import Table
from wolter.catalogue.release import Release
from wolter.data.integrity import sha256_of


def write_release(
    about: Release,
    rows: Mapping[str, pa.Table],
    latents_NL: NDArray[np.float32] | None = None,
    root: Path | None = None,
    more: Callable[[Path], None] | None = None,
) -> Path:
    """Write a release; return its folder. Does not make it current.

    Args:
        about: description; its tables say how the rows are kept, its `rows` are counted here.
        rows: rows by name of the table, in the order in which they are to be kept.
        latents_NL: latents of the sources, in the order of the rows of the table `source`; NaN
            where there is none.
        root: see `wolter.catalogue.release.folder`.
        more: writes further files into the folder that it is given.

    Raises:
        InputError: the name is taken, or none.
    """
    place = releases.folder(root)
    place.mkdir(parents=True, exist_ok=True)
    with locked(place):
        releases.check_new(about.name, root)
        partial = place / f".{about.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # of a process that died
        partial.mkdir()
        _write(partial, about, rows, latents_NL, more)
        partial.rename(place / about.name)
    return place / about.name


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Let one process at a time write releases into a folder."""
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(
    partial: Path,
    about: Release,
    rows: Mapping[str, pa.Table],
    latents_NL: NDArray[np.float32] | None,
    more: Callable[[Path], None] | None,
) -> None:
    write_database(partial / releases.DATABASE, about.tables, rows)
    if latents_NL is not None:
        np.save(partial / releases.LATENTS, latents_NL.astype(np.float32))
    counted = configs.to_dict(about) | {"rows": {t.name: len(rows[t.name]) for t in about.tables}}
    (partial / releases.RELEASE).write_text(json.dumps(counted, indent=1))
    if more is not None:
        more(partial)
    write_checksums(partial)


def write_checksums(path: Path) -> None:
    """Write the SHA-256 of every file below a folder, in the form of sha256sum."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{sha256_of(file)}  {file.relative_to(path)}\n" for file in files]
    (path / releases.CHECKSUMS).write_text("".join(lines))


def differing(path: Path) -> list[tuple[str, str]]:
    """Files of a release that are not as written, and why: missing, changed or not listed."""
    listed = {}
    for line in (path / releases.CHECKSUMS).read_text().splitlines():
        sha256, _, file = line.partition("  ")
        listed[file] = sha256
    there = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    found = [(file, "missing") for file in sorted(listed.keys() - there)]
    found += [(file, "not listed") for file in sorted(there - {releases.CHECKSUMS} - listed.keys())]
    same = sorted(there & listed.keys())
    return found + [(f, "its SHA-256 differs") for f in same if sha256_of(path / f) != listed[f]]


def write_database(path: Path, tables: tuple[Table, ...], rows: Mapping[str, pa.Table]) -> None:
    """Write tables into a DuckDB file, in the order of their rows."""
    with duckdb.connect(str(path)) as database:
        for table in tables:
            database.register("arriving", rows[table.name].select(table.schema.names))
            database.execute(f'CREATE TABLE "{table.name}" AS SELECT * FROM arriving')
            database.unregister("arriving")
