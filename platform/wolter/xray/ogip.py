"""OGIP FITS files: find tables and columns whatever their names, turn faults into one line."""

import gzip
import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError

Array = NDArray[np.float64]

_KEV = {"": 1.0, "kev": 1.0, "ev": 1e-3, "mev": 1e3, "gev": 1e6}
_CM2 = {"": 1.0, "cm2": 1.0, "cm**2": 1.0, "cm^2": 1.0, "m2": 1e4, "m**2": 1e4, "m^2": 1e4}
# Files that name no file say so in one of these ways.
_NO_NAME = {"", "none", "null", "n/a", "unknown"}


@contextmanager
def open_fits(path: Path) -> Iterator[Any]:
    """Open a FITS file (gzip or not) and yield all its HDUs.

    Raises:
        InputError: missing, empty, truncated or not FITS; also when the body of the `with` block
            meets damaged data.
    """
    from astropy.io import fits
    from astropy.units import UnitsWarning
    from astropy.utils.exceptions import AstropyUserWarning

    content = _content(path)
    with warnings.catch_warnings():
        # Real headers hold non-standard cards and units such as "cm2" or "channel"; only the
        # figures matter here. A file cut short must not pass for a whole one.
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        warnings.simplefilter("ignore", UnitsWarning)
        warnings.filterwarnings("ignore", "Unexpected extra padding", AstropyUserWarning)
        warnings.filterwarnings("error", "File may have been truncated", AstropyUserWarning)
        warnings.filterwarnings("error", "Error validating header", AstropyUserWarning)
        try:
            with fits.open(io.BytesIO(content)) as hdus:
                yield hdus
        except InputError:
            raise
        except (OSError, ValueError, TypeError, KeyError, IndexError, fits.VerifyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{path}: not a whole FITS file ({reason}); fetch it again") from error
        except AstropyUserWarning as error:
            raise InputError(f"{path}: truncated FITS file; fetch it again") from error


@contextmanager
def open_tables(path: Path) -> Iterator[list[Any]]:
    """Open a FITS file (gzip or not) and yield its binary tables as a list of HDUs.

    Raises:
        InputError: as `open_fits`, and without a binary table.
    """
    from astropy.io import fits

    with open_fits(path) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
        if not tables:
            raise InputError(f"{path}: no binary table in this FITS file; is it the right file?")
        yield tables


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked: astropy would take a gzip file cut short for a shorter one."""
    try:
        content = path.read_bytes()
        packed = content.startswith(b"\x1f\x8b")
        content = gzip.decompress(content) if packed else content
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: truncated or damaged gzip file; fetch it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not content:
        raise InputError(f"{path}: empty file; fetch it again")
    return content


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
    if values.dtype.kind not in "iufb":
        raise InputError(f"{path}: column {name} of {hdu.name or 'the table'} is not numeric")
    return values.astype(np.float64)


def scaled(path: Path, hdu: Any, name: str, kind: str) -> Array:
    """A column of energies in keV (`kind="energy"`) or areas in cm^2 (`kind="area"`)."""
    unit = (hdu.columns[name].unit or "").strip()
    table = _KEV if kind == "energy" else _CM2
    factor = table.get(unit.lower())
    if factor is None:
        raise InputError(
            f"{path}: column {name} has unit {unit!r}; expected one of {_names(table)}"
        )
    return column(path, hdu, name) * factor


def _names(table: dict[str, float]) -> str:
    return ", ".join(name for name in table if name)


def column_minimum(hdu: Any, name: str) -> int | None:
    """TLMIN of a column: the number of the first channel, or None where it is not given."""
    value = hdu.header.get(f"TLMIN{columns(hdu).index(name) + 1}")
    return None if value is None or isinstance(value, str) else int(value)


def text(header: Any, key: str) -> str:
    """A header word as text; empty when missing or one of the ways to say NONE."""
    value = str(header.get(key, "")).strip()
    return "" if value.lower() in _NO_NAME else value


def edges(path: Path, low: Array, high: Array, what: str, *, strict: bool = True) -> Array:
    """Join bins given as low and high bounds into n + 1 ascending edges (keV).

    Raises:
        InputError: bins are empty, not finite, out of order, or leave gaps.
    """
    if len(low) == 0:
        raise InputError(f"{path}: no {what}")
    joined = np.append(low, high[-1])
    if not np.isfinite(joined).all():
        raise InputError(f"{path}: {what} are not finite numbers")
    steps = np.diff(joined)
    if (steps < 0).any() or (strict and (steps == 0).any()):
        first = int(np.argmax(steps < 0 if (steps < 0).any() else steps == 0))
        raise InputError(f"{path}: {what} do not ascend at row {first + 1} ({joined[first]:g} keV)")
    gaps = np.abs(high[:-1] - low[1:]) > 1e-3 * np.maximum(steps[:-1], 1e-12) + 1e-5 * high[:-1]
    if strict and gaps.any():
        first = int(np.argmax(gaps))
        raise InputError(f"{path}: {what} leave a gap or overlap after row {first + 1}")
    return joined


def beside(path: Path, name: str) -> Path | None:
    """The file that `path` names in a header: beside it, with or without .gz, or None."""
    name = name.split("[")[0].split("{")[0].strip()
    named = Path(name)
    plain = named.with_suffix("") if named.suffix == ".gz" else named
    for candidate in (named, named.with_name(named.name + ".gz"), plain):
        for place in (path.parent / candidate, path.parent / candidate.name):
            if place.is_file():
                return place
    return None
