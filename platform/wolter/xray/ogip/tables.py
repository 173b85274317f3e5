"""OGIP FITS files: find tables and columns whatever their names, turn faults into one line."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray.ogip import units
from wolter.xray.ogip.opening import open_fits, open_tables

__all__ = [
    "Array", "beside", "column", "column_minimum", "columns", "edges", "number", "open_fits",
    "open_tables", "scaled", "text", "vector", "whole_number", "with_columns",
]  # fmt: skip

Array = NDArray[np.float64]

# Files that name no file say so in one of these ways.
_NO_NAME = {"", "none", "null", "n/a", "unknown"}
# Beyond this no whole number of a header or of a column means anything.
_LARGEST_WHOLE = 2**31


def columns(hdu: Any) -> list[str]:
    """Names of a table's columns, in capitals; a damaged one is empty."""
    return [(name or "").upper() for name in hdu.columns.names]


def with_columns(tables: list[Any], *names: str) -> list[Any]:
    """The tables that have all the named columns: HDU names and classes differ between missions."""
    return [hdu for hdu in tables if set(names) <= set(columns(hdu))]


def column(path: Path, hdu: Any, name: str) -> Array:
    """A numeric column as float64, with shape (rows,) or (rows, n).

    Raises:
        InputError: the column is not numeric or has a variable length.
    """
    values = np.asarray(hdu.data[name])
    if values.dtype.kind not in "iuf":
        raise InputError(
            f"{path}: column {name} of {hdu.name or 'the table'} is not numeric; correct its TFORM"
        )
    return values.astype(np.float64)


def vector(path: Path, hdu: Any, name: str) -> Array:
    """A numeric column of one number a row, as float64 (rows,).

    Raises:
        InputError: the column is not numeric, or holds several numbers a row.
    """
    values = column(path, hdu, name)
    if values.ndim != 1:
        raise InputError(f"{path}: column {name} holds {values[:1].size} numbers a row; expected 1")
    return values


def scaled(path: Path, hdu: Any, name: str, kind: units.Quantity) -> Array:
    """A column of energies in keV (`kind="energy"`) or areas in cm^2 (`kind="area"`), (rows,).

    Raises:
        InputError: its unit is of another quantity, or as `vector`.
    """
    unit = str(hdu.columns[name].unit or "").strip()
    factor = units.factor(unit, kind)
    if factor is None:
        raise InputError(
            f"{path}: column {name} has unit {unit!r}; expected {units.EXPECTED[kind]}"
        )
    return vector(path, hdu, name) * factor


def number(path: Path, header: Any, key: str) -> float | None:
    """A keyword as a number, also where it is written as text; None without keyword or value.

    Raises:
        InputError: its value is no number.
    """
    value = header.get(key)
    if isinstance(value, str):
        text_value = value.strip()
        if not text_value:
            return None
        try:
            value = float(text_value.upper().replace("D", "E"))
        except ValueError:
            value = text_value
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: {key} {value!r} is not a number; correct the keyword")
    try:
        return float(value)
    except OverflowError as error:
        raise InputError(f"{path}: {key} is too large; correct the keyword") from error


def whole_number(path: Path, header: Any, key: str) -> int | None:
    """A keyword as a whole number; None without keyword or value.

    Raises:
        InputError: its value is not a whole number of at most 31 bits.
    """
    value = number(path, header, key)
    if value is None:
        return None
    if not abs(value) < _LARGEST_WHOLE or value != round(value):
        raise InputError(f"{path}: {key} {value:g} is not a whole number; correct the keyword")
    return int(value)


def column_minimum(path: Path, hdu: Any, name: str) -> int | None:
    """TLMIN of a column: the number of the first channel, or None where it is not given."""
    return whole_number(path, hdu.header, f"TLMIN{columns(hdu).index(name) + 1}")


def text(header: Any, key: str) -> str:
    """A header word as text; empty when missing or one of the ways to say NONE."""
    value = str(header.get(key, "")).strip()
    return "" if value.lower() in _NO_NAME else value


def edges(path: Path, low: Array, high: Array, what: str, *, gaps: bool = False) -> Array:
    """Join bins given as low and high bounds into n + 1 ascending edges (keV).

    Bins of no width are kept: standard responses hold some.

    Args:
        path: path of the file, for messages.
        low: bounds of the bins, and so
        high: in the same order.
        what: they are, for messages.
        gaps: whether bins may leave gaps or overlap, which then belong to the bin before.

    Raises:
        InputError: bins are empty, not finite, out of order, or leave gaps.
    """
    if len(low) == 0:
        raise InputError(f"{path}: no {what}; fetch it again")
    joined = np.append(low, high[-1])
    if not np.isfinite(joined).all() or not np.isfinite(high).all():
        raise InputError(f"{path}: {what} are not finite numbers; make it again")
    steps = np.diff(joined)
    if (steps < 0).any():
        first = int(np.argmax(steps < 0))
        raise InputError(
            f"{path}: {what} do not ascend at row {first + 1} ({joined[first]:g} keV); make it "
            "again"
        )
    apart = np.abs(high[:-1] - low[1:]) > 1e-3 * steps[:-1] + 1e-5 * high[:-1]
    if not gaps and apart.any():
        first = int(np.argmax(apart))
        raise InputError(
            f"{path}: {what} leave a gap or overlap after row {first + 1}; make it again"
        )
    return joined


def beside(path: Path, name: str) -> Path | None:
    """Find the file that a header names, beside `path`, with or without .gz; None if missing.

    What follows in brackets names an extension or rows of it, unless a file is called so.
    """
    for named in (name.strip(), name.split("[")[0].split("{")[0].strip()):
        plain = named.removesuffix(".gz")
        for candidate in (named, f"{named}.gz", plain):
            for place in (path.parent / candidate, path.parent / Path(candidate).name):
                if _is_file(place):
                    return place
    return None


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except (OSError, ValueError):  # a name that is too long or holds a null byte
        return False
