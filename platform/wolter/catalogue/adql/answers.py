"""Rows of an answer and what their columns are."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from wolter.catalogue.adql.translate import Translation
from wolter.catalogue.columns import ARROW, Column, DataType
from wolter.errors import InputError

_DATATYPES: Mapping[pa.DataType, DataType] = MappingProxyType(
    {ARROW[name]: name for name in ("short", "int", "long", "float", "double", "text", "doubles")}
)

_TEXTS = (
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_dictionary,
    pa.types.is_date,
    pa.types.is_time,
)


def described(rows: pa.Table, translation: Translation) -> tuple[pa.Table, list[Column]]:
    """Rows in the types of VOTable, and descriptions of their columns.

    Args:
        rows: what the database gives.
        translation: says which columns of tables they are.

    Raises:
        InputError: a column holds what no answer can.
    """
    told = translation.fields
    known = told if told is not None and len(told) == rows.num_columns else None
    arrays, columns, taken = [], [], set[str]()
    for index, field in enumerate(rows.schema):
        source = known[index].column if known else None
        name = _unique(known[index].name or field.name if known else field.name, taken)
        array = _plain(rows.column(index), field.name)
        datatype = _DATATYPES[array.type]
        about = replace(source, indexed=False) if source else Column(name, "", datatype)
        if source is not None and source.datatype == "char" and datatype == "text":
            datatype = "char"
        xtype = known[index].xtype if known else ""
        columns.append(replace(about, name=name, datatype=datatype, xtype=xtype or about.xtype))
        arrays.append(array)
    schema = pa.schema([(column.name, column.arrow) for column in columns])
    return pa.Table.from_arrays(arrays, schema=schema), columns


def _unique(name: str, taken: set[str]) -> str:
    """A name that no earlier column has."""
    found, number = name or "column", 1
    while found.lower() in taken:
        number += 1
        found = f"{name or 'column'}_{number}"
    taken.add(found.lower())
    return found


def _plain(array: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Values in one of the types that answers have.

    Raises:
        InputError: they are of none, such as whole rows, differences of times, or huge integers.
    """
    kind = array.type
    if pa.types.is_list(kind):  # whatever the name of its items
        return array.cast(ARROW["doubles"])
    if kind in _DATATYPES:
        return array
    if pa.types.is_boolean(kind) or pa.types.is_int8(kind) or pa.types.is_uint8(kind):
        return array.cast(pa.int16())
    if pa.types.is_uint16(kind):
        return array.cast(pa.int32())
    if pa.types.is_integer(kind):
        return array.cast(pa.int64())
    if pa.types.is_decimal(kind):
        whole = kind.scale == 0 and kind.precision <= 38
        return _whole(array) if whole else array.cast(pa.float64())
    if pa.types.is_null(kind):
        return array.cast(pa.string())
    if pa.types.is_timestamp(kind):
        return pa.chunked_array([pc.strftime(array.combine_chunks(), "%Y-%m-%dT%H:%M:%S")])
    if not any(of(kind) for of in _TEXTS):
        raise InputError(
            f"column {name[:64]!r}: its values are neither numbers, text nor times; select columns "
            "of tables, or CAST them"
        )
    return array.cast(pa.string())


def _whole(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Sums of integers, as long where they fit and as double where not."""
    try:
        return array.cast(pa.int64())
    except pa.ArrowInvalid:
        return array.cast(pa.float64())
