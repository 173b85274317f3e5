"""VOTable 1.4 documents: TABLEDATA and BINARY2, packed by column rather than by row.

Shapes: N rows, B bytes.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import quoteattr

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wolter.catalogue.columns import Column

Infos = Sequence[tuple[str, str]]
"""Name and value of each INFO element, or of what a format has in its place."""

PIECE = 10_000  # rows packed together
_KINDS = {
    "text": 'datatype="unicodeChar" arraysize="*"',
    "char": 'datatype="char" arraysize="*"',
    "doubles": 'datatype="double" arraysize="*"',
}

_START = """<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
"""
_ICRS = '<COOSYS ID="icrs" system="ICRS"/>\n'
_CONTROL = "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]"  # no characters of XML


def votable(
    rows: pa.Table,
    columns: Sequence[Column],
    status: str = "OK",
    infos: Infos = (),
    binary: bool = True,
) -> Iterator[bytes]:
    """Pieces of a VOTable document.

    Args:
        rows: columns as described.
        columns: descriptions.
        status: OK, or OVERFLOW where there are more rows, which is told after the table.
        infos: further INFO elements.
        binary: serialise as BINARY2, else as TABLEDATA.
    """
    yield head(columns, infos).encode()
    if binary:
        yield b'<DATA>\n<BINARY2>\n<STREAM encoding="base64">\n'
        yield from _base64(packed(part, columns) for part in _parts(rows))
        yield b"\n</STREAM>\n</BINARY2>\n</DATA>\n"
    else:
        yield b"<DATA>\n<TABLEDATA>\n"
        for part in _parts(rows):
            yield _cells(part, columns)
        yield b"</TABLEDATA>\n</DATA>\n"
    yield tail(status).encode()


def head(columns: Sequence[Column], infos: Infos = ()) -> str:
    """Start of a VOTable document, until the data of its table."""
    lines = [_START, _ICRS, '<RESOURCE type="results">\n', info("QUERY_STATUS", "OK")]
    lines += [info(name, value) for name, value in infos]
    lines += ["<TABLE>\n", *(field(column) for column in columns)]
    return "".join(lines)


def tail(status: str = "OK") -> str:
    """End of a VOTable document, after the data of its table."""
    more = info("QUERY_STATUS", status) if status != "OK" else ""
    return f"</TABLE>\n{more}</RESOURCE>\n</VOTABLE>\n"


def dataless(columns: Sequence[Column], infos: Infos = ()) -> str:
    """VOTable document without data: the metadata of a parquet file."""
    return head(columns, infos) + tail()


def error(message: str, infos: Infos = ()) -> bytes:
    """VOTable document of an error, as of DALI."""
    told = f'<INFO name="QUERY_STATUS" value="ERROR">{_escaped(message)}</INFO>\n'
    told += "".join(info(name, value) for name, value in infos)
    return f'{_START}<RESOURCE type="results">\n{told}</RESOURCE>\n</VOTABLE>\n'.encode()


def info(name: str, value: str) -> str:
    """INFO element."""
    return f"<INFO name={_attribute(name)} value={_attribute(value)}/>\n"


def field(column: Column) -> str:
    """FIELD element of a column."""
    kind = _KINDS.get(column.datatype, f'datatype="{column.datatype}"')
    if length := _length(column):
        kind = f'datatype="double" arraysize="{length}"'
    kind += f" xtype={_attribute(column.xtype)}" if column.xtype else ""
    kind += f" utype={_attribute(column.utype)}" if column.utype else ""
    more = f" unit={_attribute(column.unit)}" if column.unit else ""
    more += f" ucd={_attribute(column.ucd)}" if column.ucd else ""
    more += ' ref="icrs"' if column.ucd.startswith("pos.eq.") else ""
    about = f"<DESCRIPTION>{_escaped(column.about)}</DESCRIPTION>"
    return f"<FIELD name={_attribute(column.name)} {kind}{more}>{about}</FIELD>\n"


def packed(rows: pa.Table, columns: Sequence[Column]) -> bytes:
    """Rows as the bytes of BINARY2: bits of nulls, then the cells, all big-endian."""
    arrays = [rows[i].combine_chunks() for i in range(len(columns))]
    segments = list(_segments(arrays, columns))
    size_N = np.sum([size_N for size_N, _, _ in segments], 0)
    at_N = np.cumsum(size_N) - size_N
    out_B = np.empty(int(size_N.sum()), np.uint8)
    for size_N, source_N, bytes_B in segments:
        total = int(size_N.sum())
        first_N = np.cumsum(size_N) - size_N
        within_B = np.arange(total) - np.repeat(first_N, size_N)
        out_B[np.repeat(at_N, size_N) + within_B] = bytes_B[np.repeat(source_N, size_N) + within_B]
        at_N = at_N + size_N
    return out_B.tobytes()


Segment = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]
"""Size of a part of each row (N), where it starts in the bytes (N), and these bytes (B)."""


def _segments(arrays: Sequence[pa.Array], columns: Sequence[Column]) -> Iterator[Segment]:
    """Parts of the rows: runs of columns of fixed size together, text by itself."""
    null_NC = np.stack([np.asarray(array.is_null()) for array in arrays], 1)
    fixed: list[NDArray[np.uint8]] = [np.packbits(null_NC, axis=1)]  # the first column comes first
    for array, column in zip(arrays, columns, strict=True):
        if length := _length(column):
            fixed.append(_same_length(array, length))
            continue
        if column.datatype in _WIDTHS:
            items_N, text_B = _ITEMS[column.datatype](array)
        else:
            fixed.append(_big_endian(array))
            continue
        fixed.append(_bytes_of(items_N.astype(">i4")))
        yield _fixed(fixed)
        fixed = []
        size_N = _WIDTHS[column.datatype] * items_N
        yield size_N, np.cumsum(size_N) - size_N, text_B
    if fixed:
        yield _fixed(fixed)


def _fixed(parts: Sequence[NDArray[np.uint8]]) -> Segment:
    bytes_NB = np.concatenate(parts, 1)
    n, width = bytes_NB.shape
    return np.full(n, width), np.arange(n) * width, bytes_NB.ravel()


def _big_endian(array: pa.Array) -> NDArray[np.uint8]:
    """Bytes (N, width) of numbers; NaN where a float is null, 0 where an integer is."""
    floating = pa.types.is_floating(array.type)
    values_N = array.fill_null(float("nan") if floating else 0).to_numpy(zero_copy_only=False)
    return _bytes_of(values_N.astype(values_N.dtype.newbyteorder(">")))


def _bytes_of(values_N: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.frombuffer(values_N.tobytes(), np.uint8).reshape(
        len(values_N), values_N.dtype.itemsize
    )


def _utf16(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Number of 16-bit units (N) of each text, and all units one after another, big-endian."""
    texts = array.fill_null("").to_pylist()
    joined = "".join(texts)
    if not joined.isascii() and any(c > "\uffff" for c in joined):  # none in UCS-2
        texts = ["".join(c if c <= "\uffff" else "\ufffd" for c in text) for text in texts]
        joined = "".join(texts)
    characters_N = np.fromiter(map(len, texts), np.int64, len(texts))
    return characters_N, np.frombuffer(joined.encode("utf-16-be"), np.uint8)


def _ascii(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Number of bytes (N) of each text, and all bytes one after another."""
    texts = array.fill_null("").to_pylist()
    joined = "".join(texts).encode("ascii", "replace")
    return np.fromiter(map(len, texts), np.int64, len(texts)), np.frombuffer(joined, np.uint8)


def _doubles(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Number of items (N) of each array of numbers, and the bytes of all of them, big-endian."""
    items_N = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = array.flatten().fill_null(float("nan")).to_numpy(zero_copy_only=False)
    return items_N, np.frombuffer(values.astype(">f8").tobytes(), np.uint8)


def _length(column: Column) -> int:
    """Numbers of each array of a column, where all have as many; 0 where not."""
    return _NUMBERS.get(column.xtype, 0) if column.datatype == "doubles" else 0


def _same_length(array: pa.Array, length: int) -> NDArray[np.uint8]:
    """Bytes (N, 8 length) of arrays of as many numbers each; NaN where an array is null."""
    lost = [float("nan")] * length
    rows = [lost if row is None else row for row in array.to_pylist()]
    values_NK = np.array(rows, ">f8").reshape(-1, length)
    return np.frombuffer(values_NK.tobytes(), np.uint8).reshape(len(rows), 8 * length)


_NUMBERS = {"point": 2, "circle": 3}  # numbers of each shape
_WIDTHS = {"text": 2, "char": 1, "doubles": 8}  # bytes of an item
_ITEMS = {"text": _utf16, "char": _ascii, "doubles": _doubles}


def _base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        whole = left + piece
        end = len(whole) - len(whole) % 3
        left = whole[end:]
        yield base64.b64encode(whole[:end])
    yield base64.b64encode(left)


def _cells(rows: pa.Table, columns: Sequence[Column]) -> bytes:
    """Rows as the elements of TABLEDATA; an empty cell is null."""
    parts: list[pa.Array | str] = ["<TR>"]
    for i, column in enumerate(columns):
        array = rows[i].combine_chunks()
        parts += ["<TD>", _text_cells(array) if column.textual else numbers(array)]
        parts.append("</TD>")
    parts.append("</TR>\n")
    joined = pc.binary_join_element_wise(
        *parts, pa.scalar(""), null_handling="replace", null_replacement=""
    )
    return "".join(joined.to_pylist()).encode()


def numbers(array: pa.Array) -> pa.Array:
    """Numbers as text, as short as gives them again; NaN, +Inf and -Inf for those that are none.

    Arrays have a space between two numbers.
    """
    if pa.types.is_list(array.type):
        told = pa.ListArray.from_arrays(array.offsets, numbers(array.values))
        joined = pc.binary_join(told, " ")
        return pc.if_else(array.is_valid(), joined, pa.scalar(None, pa.string()))
    text = pc.cast(array, pa.string())
    if pa.types.is_floating(array.type):
        text = pc.if_else(pc.is_nan(array), "NaN", text)
        signed = pc.if_else(pc.less(array, 0), "-Inf", "+Inf")
        text = pc.if_else(pc.is_inf(array), signed, text)
    return text


def _text_cells(array: pa.Array) -> pa.Array:
    for plain, told in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;")):
        array = pc.replace_substring(array, plain, told)
    return pc.replace_substring_regex(array, r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]", "?")


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    for first in range(0, len(rows), PIECE):
        yield rows.slice(first, PIECE)


def _escaped(text: str) -> str:
    return _attribute(text)[1:-1]


def _attribute(text: str) -> str:
    """Text in double quotes; what XML cannot hold becomes a question mark."""
    return quoteattr(re.sub(_CONTROL, "?", text), {'"': "&quot;"})
