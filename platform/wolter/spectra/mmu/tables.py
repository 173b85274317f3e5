"""Tables of the MultimodalUniverse's Chandra spectra: HATS (parquet) and HDF5, in one form.

A table of one form has the columns `low`, `high`, `rate`, `error` (lists: keV and counts/s/keV),
`name` of the source, `file` of the row ("FILE#ROW"), and of `OTHERS` what the file holds, as
numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wolter.errors import InputError, is_utf8

HDF5 = (".hdf5", ".h5")
SUFFIXES = (".parquet", *HDF5)
ROWS = 2048  # of a piece: bounds the memory

# Names of a spectrum's columns: in HATS, within `spectrum`, and in the HDF5 that HATS is made from.
SPECTRUM = {
    "low": ("ene_low_bin", "ene_lo"),
    "high": ("ene_high_bin", "ene_hi"),
    "rate": ("flux",),
    "error": ("flux_error", "flux_err"),
}
OTHERS = (
    "obsid", "obi", "ra", "dec", "flux_aper_b", "flux_significance_b", "hard_hm", "hard_hs",
    "hard_ms", "var_index_b", "var_prob_b",
)  # fmt: skip
_NAMES = ("name", "object_id")
_REMEDY = "give `chandra` tables of the MultimodalUniverse, HATS or HDF5"


def find_tables(files: Sequence[Path]) -> list[Path]:
    """Files that hold rows.

    Of a HATS catalogue (a folder with `hats.properties`) these are its partitions. Its margin, a
    catalogue of its own beside it, repeats rows and is left out, as thumbnails are.
    """
    catalogues = {file.parent: _is_margin(file) for file in files if file.name == "hats.properties"}
    kept = []
    for file in files:
        folder = next((each for each in file.parents if each in catalogues), None)
        is_partition = folder is None or (
            not catalogues[folder] and "Npix=" in str(file.relative_to(folder))
        )
        if file.suffix.lower() in SUFFIXES and is_partition and is_utf8(str(file)):
            kept.append(file)
    return kept


def _is_margin(properties: Path) -> bool:
    words = properties.read_text(encoding="utf-8", errors="replace").split("\n")
    pairs = (line.partition("=") for line in words)
    return any(
        key.strip() == "dataproduct_type" and value.strip() in ("margin", "index", "association")
        for key, _, value in pairs
    )


def check_reader(files: Sequence[Path]) -> None:
    """Check that the library of HDF5 is there if it is needed.

    Raises:
        InputError: it is missing.
    """
    first = next((file for file in files if file.suffix.lower() in HDF5), None)
    if first is not None:
        _h5py(first)


def read_pieces(path: Path) -> Iterator[pa.Table]:
    """Tables of one form with the rows of a file, in order.

    Raises:
        InputError: the file cannot be read, or lacks columns.
    """
    is_hdf5 = path.suffix.lower() in HDF5
    row = 0
    for piece in (_hdf5_pieces if is_hdf5 else _parquet_pieces)(path):
        files = [f"{path}#{row + i}" for i in range(piece.num_rows)]
        row += piece.num_rows
        yield piece.append_column("file", pa.array(files, pa.string()))


def _parquet_pieces(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS):
                yield _of_one_form(path, pa.table(batch))
    except (OSError, pa.ArrowException) as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable parquet file ({told}); {_REMEDY}") from error


def _of_one_form(path: Path, table: pa.Table) -> pa.Table:
    """The columns of a table of HATS, of which `spectrum` may be nested in three ways."""
    flat = {name: table[name].combine_chunks() for name in table.column_names}
    nested = flat.pop("spectrum", None)
    if nested is not None and pa.types.is_struct(nested.type):
        flat |= {f"spectrum.{field.name}": pc.struct_field(nested, field.name)
                 for field in nested.type}  # fmt: skip
    elif isinstance(nested, pa.ListArray | pa.LargeListArray):
        flat |= _lists_of(nested)
    return _chosen(path, flat, len(table))


def _lists_of(rows: Any) -> dict[str, Any]:
    """Lists of a list of structs, by field."""
    if not pa.types.is_struct(rows.type.value_type):
        return {}
    return {
        f"spectrum.{field.name}": type(rows).from_arrays(
            rows.offsets, pc.struct_field(rows.values, field.name)
        )
        for field in rows.type.value_type
    }


def _hdf5_pieces(path: Path) -> Iterator[pa.Table]:
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            sets = {name: each for name, each in file.items() if isinstance(each, h5py.Dataset)}
            rows = _rows_of(path, sets)
            for start in range(0, rows, ROWS):
                stop = min(start + ROWS, rows)
                flat = {name: _arrow(each[start:stop]) for name, each in sets.items() if each.shape}
                yield _chosen(path, flat, stop - start)
            if not rows:
                _chosen(path, sets, 0)
    except (OSError, RuntimeError, pa.ArrowException) as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable HDF5 file ({told}); {_REMEDY}") from error


def _rows_of(path: Path, sets: Mapping[str, Any]) -> int:
    """Number of rows, of which every data set must have as many."""
    lengths = {name: len(each) for name, each in sets.items() if each.shape}
    if len(set(lengths.values())) > 1:
        shortest, longest = (by(lengths, key=lengths.__getitem__) for by in (min, max))
        raise InputError(
            f"{path}: {lengths[shortest]} rows of {shortest} and {lengths[longest]} of {longest}; "
            "make the file again"
        )
    return next(iter(lengths.values()), 0)


def _arrow(values: Any) -> Any:
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "O" and len(values) and isinstance(values[0], bytes):
        values = [value.decode("utf-8", "replace") for value in values]
    elif values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    elif values.ndim > 1 or values.dtype.kind == "O":
        values = list(values)
    return pa.array(values)


def _chosen(path: Path, flat: dict[str, Any], rows: int) -> pa.Table:
    """The columns of one form among all columns of a file.

    Raises:
        InputError: a column of spectra is missing.
    """
    columns: dict[str, Any] = {}
    for name, words in SPECTRUM.items():
        known = [f"spectrum{mark}{word}" for word in words for mark in ("_", ".")]
        found = next((each for each in known if each in flat), None)
        if found is None:
            raise InputError(f"{path}: no column {known[0]} or {known[-1]}; {_REMEDY}")
        columns[name] = flat[found]
    named = next((flat[name] for name in _NAMES if name in flat), None)
    if rows and named is not None:
        columns["name"] = pc.cast(named, pa.string())
    else:
        columns["name"] = pa.nulls(rows, pa.string())
    for name in OTHERS:
        if name in flat and rows:
            columns[name] = pc.cast(flat[name], pa.float64())
    return pa.table(columns) if rows else pa.table({name: [] for name in columns})


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: HDF5 is read with h5py, which is not installed; install it with: pip install "
            "'wolter[mmu]', or give the HATS form"
        ) from error
    return h5py
