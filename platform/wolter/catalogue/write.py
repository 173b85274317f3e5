"""Write a release of a catalogue from Arrow tables: all of it, or nothing."""

import json
import shutil
from collections.abc import Mapping
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
from wolter.errors import InputError


def write_release(
    about: Release,
    rows: Mapping[str, pa.Table],
    latents_NL: NDArray[np.float32] | None = None,
    root: Path | None = None,
) -> Path:
    """Write a release; return its folder. Does not make it current.

    Args:
        about: description; its tables say how the rows are kept, its `rows` are counted here.
        rows: rows by name of the table, in the order in which they are to be kept.
        latents_NL: latents of the sources, in the order of the rows of the table `source`; NaN
            where there is none.
        root: see `wolter.catalogue.release.folder`.

    Raises:
        InputError: the name is taken, or none.
    """
    place = releases.folder(root)
    if not releases.NAME.fullmatch(about.name):
        raise InputError(f"release {about.name[:64]!r}: use letters, digits, dots, - and _")
    if (place / about.name).exists():
        raise InputError(f"{place / about.name}: exists, and is never changed; use a new name")
    partial = place / f".{about.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_database(partial / releases.DATABASE, about.tables, rows)
    if latents_NL is not None:
        np.save(partial / releases.LATENTS, latents_NL.astype(np.float32))
    counted = configs.to_dict(about) | {"rows": {t.name: len(rows[t.name]) for t in about.tables}}
    (partial / releases.RELEASE).write_text(json.dumps(counted, indent=1))
    write_checksums(partial)
    partial.rename(place / about.name)
    return place / about.name


def write_checksums(path: Path) -> None:
    """Write the SHA-256 of every file below a folder, in the form of sha256sum."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{sha256_of(file)}  {file.relative_to(path)}\n" for file in files]
    (path / releases.CHECKSUMS).write_text("".join(lines))


def write_database(path: Path, tables: tuple[Table, ...], rows: Mapping[str, pa.Table]) -> None:
    """Write tables into a DuckDB file, in the order of their rows."""
    with duckdb.connect(str(path)) as database:
        for table in tables:
            database.register("arriving", rows[table.name].select(table.schema.names))
            database.execute(f'CREATE TABLE "{table.name}" AS SELECT * FROM arriving')
            database.unregister("arriving")
