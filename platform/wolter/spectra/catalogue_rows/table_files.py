"""Columns of a table file: CSV, parquet, VOTable or FITS."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError

Columns = dict[str, NDArray[Any]]
_UNITS = ("erg / (s cm2)", "deg")


def read_columns(path: Path) -> Columns:
    """Read the columns of a table; empty cells are None or NaN.

    Energy fluxes and angles that a VOTable or FITS file gives in another unit are converted to
    erg/s/cm^2 and deg.

    Args:
        path: .csv, .parquet, .vot or .xml (VOTable), .fits; the first table of a file.

    Raises:
        InputError: the suffix is unknown, or the file is missing, unreadable or without rows.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise InputError(
            f"{path}: no table format has the suffix {path.suffix!r}; use one of "
            f"{', '.join(_READERS)}"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        columns = read(path)
    except Exception as error:  # each library has its own errors of broken files
        first = str(error).partition("\n")[0]
        raise InputError(f"{path}: no readable table ({first})") from error
    if not columns or not len(next(iter(columns.values()))):
        raise InputError(f"{path}: a table without rows")
    return columns


def _csv(path: Path) -> Columns:
    from pyarrow import csv

    return _from_arrow(
        csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    )


def _parquet(path: Path) -> Columns:
    import pyarrow.parquet as pq

    return _from_arrow(pq.read_table(path))


def _from_arrow(table: Any) -> Columns:
    return {name: np.array(table[name].to_pylist(), object) for name in table.column_names}


def _votable(path: Path) -> Columns:
    return _astropy(path, "votable")


def _fits(path: Path) -> Columns:
    return _astropy(path, "fits")


def _astropy(path: Path, form: str) -> Columns:
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # archives break the standard in small ways
        table = Table.read(path, format=form)
    return {name: np.array(_values(table[name]), object) for name in table.colnames}


def _values(column: Any) -> list[Any]:
    """Values of a column, None where masked; fluxes and angles in `_UNITS`."""
    values, factor = column.tolist(), _factor(column.unit)
    if factor == 1:
        return list(values)
    return [None if value is None else value * factor for value in values]


def _factor(unit: Any) -> float:
    """Factor by which a column becomes one of `_UNITS`; 1 where its unit is none of their kind."""
    from astropy.units import Unit

    for wanted in _UNITS:
        try:
            return float(unit.to(Unit(wanted)))
        except (AttributeError, ValueError, TypeError):  # no unit, or another kind
            continue
    return 1.0


_READERS: Mapping[str, Callable[[Path], Columns]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".vot": _votable,
    ".xml": _votable,
    ".fits": _fits,
}
