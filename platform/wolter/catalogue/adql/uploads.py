"""Read uploaded VOTables, in the process of their query."""

import re
import warnings
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
import pyarrow as pa

from wolter.catalogue.adql.names import UPLOADS
from wolter.catalogue.columns import Column, DataType, Table
from wolter.errors import InputError, printable

MOST_COLUMNS = 500
DEEPEST = 40
_KINDS: dict[str, DataType] = {
    "i1": "short", "u1": "short", "b1": "short", "i2": "short", "i4": "int", "u2": "int",
    "i8": "long", "u4": "long", "f4": "float", "f8": "double",
}  # fmt: skip


def read(file: Path, name: str, most_rows: int) -> tuple[Table, pa.Table]:
    """The first table of a VOTable: its description and its rows.

    Args:
        file: the document.
        name: name of the table in the schema tap_upload.
        most_rows: most rows.

    Raises:
        InputError: it is no VOTable, is too large, or refers to what is elsewhere.
    """
    from astropy.io import votable
    from astropy.io.votable.exceptions import VOWarning

    said = f"{UPLOADS}.{name}"
    _check(file, said, most_rows)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VOWarning)
            document = votable.parse(file, verify="ignore")
        table = document.get_first_table()
    except MemoryError:
        raise
    except Exception as error:
        line = printable(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise InputError(f"{said}: not a VOTable that can be read ({line[:200]})") from error
    if len(table.array) > most_rows:
        raise InputError(f"{said}: {len(table.array)} rows; the most is {most_rows}")
    columns, arrays, taken = [], [], set[str]()
    for field in table.fields:
        column = _name(field.name or field.ID or "column", taken)
        array = _array(np.ma.asarray(table.array[field.ID]))
        text: DataType = "char" if field.datatype == "char" else "text"
        kind = text if pa.types.is_string(array.type) else _KINDS[_code(array)]
        told = field.datatype in ("char", "unicodeChar") or kind != text
        about = printable(str(field.description or ""))[:500]
        unit = printable(str(field.unit or ""))[:100]
        columns.append(
            Column(
                column,
                about,
                kind,
                unit,
                printable(str(field.ucd or "")),
                utype=printable(str(field.utype or "")),
                xtype=printable(str(field.xtype or "")) if told else "",  # of numbers, now text
            )
        )
        arrays.append(array.cast(columns[-1].arrow))
    if not columns:
        raise InputError(f"{said}: has no columns")
    described = Table(name, "Uploaded table.", tuple(columns), ())
    return described, pa.Table.from_arrays(arrays, schema=described.schema)


def _check(file: Path, said: str, most_rows: int) -> None:
    """Look at a document's elements alone, before anything is built of them."""
    parser = expat.ParserCreate()
    depth = rows = columns = tables = 0

    def refuse(line: str) -> None:
        raise InputError(f"{said}: {line}")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, rows, columns, tables
        local = name.rsplit(":", 1)[-1]
        depth += 1
        rows += local == "TR"
        columns += local == "FIELD"
        tables += local == "TABLE"
        if depth > DEEPEST:
            refuse(f"elements are nested more than {DEEPEST} deep")
        if rows > most_rows:
            refuse(f"more than {most_rows} rows")
        if columns > MOST_COLUMNS:
            refuse(f"more than {MOST_COLUMNS} columns")
        if tables > 1:
            refuse("more than one table; send each by itself")
        if local == "STREAM":
            if any(key.rsplit(":", 1)[-1] == "href" for key in attributes):
                refuse("its data are elsewhere; send them inside the document")
            if attributes.get("encoding", "base64") != "base64":
                refuse("a STREAM is base64; save it without compression")
        if local == "FITS":
            refuse("has FITS inside; save it as TABLEDATA or BINARY2")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def entity(*_: object) -> None:
        refuse("has XML entities; save it without them")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.EntityDeclHandler = entity
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        with file.open("rb") as stream:
            parser.ParseFile(stream)
    except expat.ExpatError as error:
        raise InputError(f"{said}: not XML ({error}); send a VOTable") from error
    if not tables:
        refuse("has no table; send a VOTable")


def _name(name: str, taken: set[str]) -> str:
    plain = re.sub(r'["\x00-\x1f]', "_", name).strip()[:128] or "column"
    found, number = plain, 1
    while found.lower() in taken:
        number += 1
        found = f"{plain}_{number}"
    taken.add(found.lower())
    return found


def _array(values: np.ma.MaskedArray) -> pa.Array:
    """Values with nulls; vectors and complex numbers as text."""
    mask = np.ma.getmaskarray(values)
    code = values.dtype.kind + str(values.dtype.itemsize)
    if values.ndim == 1 and code in _KINDS:
        plain = values.filled(0)
        return pa.array(plain.astype(np.int16) if code == "b1" else plain, mask=mask)
    lost = np.atleast_1d(mask.reshape(len(values), -1).all(1)) if len(values) else np.empty(0)
    texts = [None if gone else _text(value) for value, gone in zip(values, lost, strict=True)]
    return pa.array(texts, pa.string())


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = " ".join(map(str, value.ravel()))
    return str(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


def _code(array: pa.Array) -> str:
    dtype = np.dtype(array.type.to_pandas_dtype())
    return f"{dtype.kind}{dtype.itemsize}"
