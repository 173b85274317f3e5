"""Result tables as parquet, CSV, VOTable or FITS, with units and descriptions."""

import io
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wolter.data.integrity import encode
from wolter.data.out_paths import check_out
from wolter.data.row_writer import REJECT_SCHEMA
from wolter.errors import InputError, is_utf8, printable
from wolter.files import make_folder, write_atomically

if TYPE_CHECKING:
    from astropy.table import Table


def write_table(table: "Table", path: Path) -> None:
    """Write a table atomically.

    Args:
        table: columns of numbers, text, or one vector a row, with units and descriptions.
        path: `.parquet`, `.csv`, `.vot` or `.xml` (VOTable), `.fits`.

    Raises:
        InputError: the suffix is unknown, the format cannot hold the table, or the folder is not
            writable.
    """
    vectors = any(table[name].ndim > 1 for name in table.colnames)
    write, stream = _WRITERS[check_suffix(path, vectors)], io.BytesIO()
    write(table, stream)
    write_atomically(make_folder(path.parent) / path.name, stream.getvalue())


def check_table(
    path: Path, inputs: Iterable[Path | str | None] = (), vectors: bool = False
) -> Path:
    """Check the path and format of a table before any work.

    Args:
        path: path of the table; what cannot be read goes beside it.
        inputs: files that are read; see `wolter.data.out_paths.check_out`.
        vectors: True if the table has columns of vectors.

    Returns:
        The path of what cannot be read.

    Raises:
        InputError: see `check_suffix` and `check_out`.
    """
    check_suffix(path, vectors)
    inputs = list(inputs)
    check_out(path, inputs)
    return check_out(path.with_name(f"{path.stem}.rejects.parquet"), inputs)


def check_suffix(path: Path, vectors: bool = False) -> str:
    """Check the suffix of a table file.

    Args:
        path: path of the table.
        vectors: True if the table has columns of vectors.

    Raises:
        InputError: no format has this suffix, or it cannot hold vectors.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise InputError(
            f"{path}: no table format has the suffix {suffix!r}; use one of {', '.join(_WRITERS)}"
        )
    if vectors and suffix == ".csv":
        raise InputError(f"{path}: CSV holds no vectors; use .parquet, .fits or .vot")
    return suffix


def write_rejects(rejects: Sequence[tuple[str, str]], path: Path) -> None:
    """Write (file, reason) of what could not be read; without rejects, remove an older file."""
    if not rejects:
        path.unlink(missing_ok=True)
        return
    files, reasons = zip(*rejects, strict=True)
    names = [file if is_utf8(file) else printable(file) for file in files]
    data = encode(pa.table({"file": names, "reason": reasons}, REJECT_SCHEMA))
    write_atomically(make_folder(path.parent) / path.name, data)


def vo_unit(text: str) -> Any:
    """A parameter's unit for astropy; None where there is none, or none that standards can say."""
    from astropy.units import Unit

    # XSPEC's blackbody norm takes distances in tens of kpc.
    plain = text.split(" at ")[0].replace("1e39 erg s^-1 (10 kpc)^-2", "1e37 erg s^-1 kpc^-2")
    try:
        unit = Unit(plain) if plain else None
    except ValueError:
        return None
    # FITS and VOTable know no scale but powers of ten, and none without a unit.
    if (
        unit is None
        or not math.log10(unit.scale).is_integer()
        or not (unit.bases or unit.scale == 1)
    ):
        return None
    return unit


def _write_parquet(table: "Table", stream: io.BytesIO) -> None:
    fields, arrays = [], []
    for name in table.colnames:
        column = table[name]
        values = np.asarray(column)
        array = pa.array(values.tolist(), pa.string()) if values.dtype.kind == "U" else None
        if array is None:
            array = pa.array(values.ravel())
        if values.ndim == 2:
            array = pa.FixedSizeListArray.from_arrays(array, values.shape[1])
        about = {"unit": _unit_text(column.unit), "description": column.description or ""}
        fields.append(pa.field(name, array.type, metadata={k: v for k, v in about.items() if v}))
        arrays.append(array)
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=pa.schema(fields)), stream, compression="zstd"
    )


def _unit_text(unit: Any) -> str:
    return "" if unit is None else str(unit.to_string())


def _write_csv(table: "Table", stream: io.BytesIO) -> None:
    text = io.StringIO()
    table.write(text, format="ascii.csv")
    stream.write(text.getvalue().encode())


def _write_votable(table: "Table", stream: io.BytesIO) -> None:
    from astropy.io.votable import from_table
    from astropy.units import UnitsWarning

    document = from_table(table)
    document.get_first_table().format = "binary2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)  # erg is deprecated, and what XSPEC uses
        document.to_xml(stream)


def _write_fits(table: "Table", stream: io.BytesIO) -> None:
    from astropy.io import fits

    hdu = fits.table_to_hdu(table)
    for number, name in enumerate(table.colnames, start=1):
        hdu.header.comments[f"TTYPE{number}"] = (table[name].description or "")[:47]
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)


_WRITERS: Mapping[str, Callable[["Table", io.BytesIO], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".vot": _write_votable,
    ".xml": _write_votable,
    ".fits": _write_fits,
}
