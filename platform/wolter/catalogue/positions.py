"""Tables of positions: where records or sources are on the sky, given beside their files.

A row names a record by `file` (its path, or its name alone) or `source_id` (the source's identity
in the dataset), and gives `ra`, `dec` (deg, ICRS) and, if known, `pos_err` (arcsec), `source`
(equal for detections of one source), and `identifications` (CATALOGUE:NAME; CATALOGUE:NAME).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wolter.errors import InputError

GIVEN_ARCSEC = 1.0  # error of a given position where none is told


@dataclass(frozen=True)
class Position:
    """A row of a table of positions; see the module."""

    ra: float
    dec: float
    pos_err: float = GIVEN_ARCSEC
    source: str = ""
    identifications: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Positions:
    """A table of positions.

    Attributes:
        by_file: row by path or name of a file.
        by_source: row by the source's identity in the dataset.
    """

    by_file: dict[str, Position] = field(default_factory=dict)
    by_source: dict[str, Position] = field(default_factory=dict)

    def of(self, record: str, source: str) -> Position | None:
        """The row of a record; None where there is none."""
        for key in (record, Path(record).name):
            if key in self.by_file:
                return self.by_file[key]
        return self.by_source.get(source)


def read_positions(path: Path) -> Positions:
    """Read a table of positions: .parquet, .csv, .vot, .xml or .fits.

    Raises:
        InputError: the file cannot be read, lacks a column, or a value is none.
    """
    columns = _read(path)
    keys = [name for name in ("file", "source_id") if name in columns]
    lacking = [name for name in ("ra", "dec") if name not in columns]
    if lacking or not keys:
        wanted = ", ".join(lacking or ["file or source_id"])
        raise InputError(f"{path}: no column {wanted}; it has {', '.join(columns)}")
    found = Positions()
    for i in range(len(columns["ra"])):
        row = {name: values[i] for name, values in columns.items()}
        position = _position(path, i, row)
        for key, places in zip(keys, (found.by_file, found.by_source), strict=False):
            name = str(row[key])
            into = found.by_source if key == "source_id" else places
            if into.setdefault(name, position) != position:
                raise InputError(f"{path}: row {i + 1}: {name} has two positions; leave one")
    return found


def _position(path: Path, i: int, row: dict[str, Any]) -> Position:
    try:
        ra, dec = float(row["ra"]), float(row["dec"])
        pos_err = float(row.get("pos_err", GIVEN_ARCSEC))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: row {i + 1}: ra, dec or pos_err is no number") from error
    pos_err = pos_err if np.isfinite(pos_err) else GIVEN_ARCSEC
    if not (0 <= ra <= 360 and -90 <= dec <= 90 and pos_err > 0):
        raise InputError(
            f"{path}: row {i + 1}: ra {ra:g}, dec {dec:g}, pos_err {pos_err:g}: give ra in 0 to "
            "360, dec in -90 to 90 (deg) and pos_err above 0 (arcsec)"
        )
    told = str(row.get("identifications") or "")
    pairs = [tuple(map(str.strip, each.split(":", 1))) for each in told.split(";") if each.strip()]
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise InputError(
                f"{path}: row {i + 1}: identifications {told[:64]!r}: give CATALOGUE:NAME; ..."
            )
    source = str(row.get("source") or "")
    return Position(ra % 360, dec, pos_err, source, tuple((a, b) for a, b in pairs))


def _read(path: Path) -> dict[str, list[Any]]:
    """Columns of a table by lower-case name."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            return {name.lower(): table[name].to_pylist() for name in table.column_names}
        from astropy.table import Table

        kinds = {".csv": "ascii.csv", ".vot": "votable", ".xml": "votable", ".fits": "fits"}
        if path.suffix not in kinds:
            raise InputError(f"{path}: give .parquet, .csv, .vot or .fits")
        read = Table.read(path, format=kinds[path.suffix])
        return {name.lower(): _plain(read[name]) for name in read.colnames}
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        if isinstance(error, InputError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: no table that can be read ({reason})") from error


def _plain(column: Any) -> list[Any]:
    values = (
        column.filled("") if column.dtype.kind in "US" and hasattr(column, "filled") else column
    )
    return [each.decode() if isinstance(each, bytes) else each for each in values.tolist()]
