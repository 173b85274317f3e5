"""Answers as VOTable, JSON, CSV, FITS, parquet or a page: the same rows and nulls in each.

A null text is empty in FITS and TABLEDATA. Numbers that are not finite are null in JSON.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from wolter.catalogue import votable
from wolter.catalogue.columns import Column
from wolter.catalogue.hypertext import hypertext
from wolter.catalogue.release import Release
from wolter.catalogue.votable import Infos
from wolter.errors import InputError

BINARY_FROM = 1_000  # rows: VOTables of fewer are TABLEDATA, which people read
PIECE = 10_000  # rows written together


@dataclass(frozen=True)
class Format:
    """A format of answers.

    Attributes:
        name: value of `format=`.
        media: media type of the answer.
        suffix: of a file.
        also: further values of `format=` and media types that ask for it.
    """

    name: str
    media: str
    suffix: str
    also: tuple[str, ...] = ()


FORMATS = (
    Format("json", "application/json", ".json"),
    Format(
        "votable",
        "application/x-votable+xml",
        ".vot",
        ("text/xml", "application/xml", "vot", "xml"),
    ),
    Format(
        "votable/td",
        "application/x-votable+xml;serialization=TABLEDATA",
        ".vot",
        ("text/xml;serialization=tabledata",),
    ),
    Format(
        "votable/b2",
        "application/x-votable+xml;serialization=BINARY2",
        ".vot",
        ("text/xml;serialization=binary2",),
    ),
    Format("csv", "text/csv;header=present", ".csv", ("text/csv",)),
    Format("fits", "application/fits", ".fits", ("image/fits",)),
    Format(
        "parquet",
        "application/vnd.apache.parquet",
        ".parquet",
        ("application/parquet", "application/x-parquet"),
    ),
    Format("html", "text/html", ".html"),
)
_BY_NAME: Mapping[str, Format] = MappingProxyType(
    {
        word.lower().replace(" ", ""): each
        for each in FORMATS
        for word in (each.name, each.media, *each.also)
    }
)


def choose(asked: str = "", accept: str = "", default: str = "json") -> Format:
    """The format of an answer.

    Args:
        asked: what the request's parameter says: a name or media type; empty where it has none.
        accept: the request's header Accept, which gives way to the parameter.
        default: name, where neither asks for a known one.

    Raises:
        InputError: the parameter asks for an unknown one.
    """
    if asked:
        # A plus of a query that is not encoded arrives as a space.
        word = asked.strip().lower().replace("x-votable xml", "x-votable+xml").replace(" ", "")
        if word not in _BY_NAME:
            known = ", ".join(each.name for each in FORMATS)
            raise InputError(f"format {asked[:60]!r}: not known; choose one of {known}")
        return _BY_NAME[word]
    ranges = []
    for part in accept.lower().replace(" ", "").split(","):
        kind, _, quality = part.partition(";q=")
        try:
            weight = float(quality.split(";")[0]) if quality else 1.0
        except ValueError:
            weight = 0.0
        if kind in _BY_NAME and "/" in kind and weight > 0:
            ranges.append((weight, kind))
    # Browsers ask for XML after HTML, and mean neither a VOTable.
    if ranges and "text/html" not in accept:
        return _BY_NAME[max(ranges, key=lambda each: each[0])[1]]
    return _BY_NAME[default]


def infos_of(release: Release) -> tuple[tuple[str, str], ...]:
    """What every answer says of the release it comes from."""
    told = (("release", release.name), ("simulated", "true" if release.simulated else "false"))
    if not release.simulated:
        return told
    return (*told, ("remark", "these sources are simulated: none of them is real"))


def encode(
    rows: pa.Table,
    columns: Sequence[Column],
    format: str,  # noqa: A002  # as in a request
    status: str = "OK",
    infos: Infos = (),
) -> bytes:
    """Rows in a format.

    Args:
        rows: columns as described, in that order.
        columns: descriptions.
        format: name, of `FORMATS`.
        status: OK, or OVERFLOW where there are more rows.
        infos: names and values of what the document is to say besides.
    """
    return b"".join(pieces(rows, columns, format, status, infos))


def pieces(
    rows: pa.Table,
    columns: Sequence[Column],
    format: str,  # noqa: A002
    status: str = "OK",
    infos: Infos = (),
) -> Iterator[bytes]:
    """The same as `encode`, in pieces."""
    assert rows.column_names == [column.name for column in columns], rows.column_names
    rows = rows.cast(pa.schema([(column.name, column.arrow) for column in columns]))
    if not format.startswith("votable"):
        rows, columns = _without_arrays(rows, columns)
    return _WRITERS[format](rows, columns, status, infos)


def _without_arrays(rows: pa.Table, columns: Sequence[Column]) -> tuple[pa.Table, Sequence[Column]]:
    """Arrays of numbers as text, for formats of plain tables."""
    plain = [replace(c, datatype="text") if c.datatype == "doubles" else c for c in columns]
    arrays = [
        votable.numbers(rows[i].combine_chunks()) if column.datatype == "doubles" else rows[i]
        for i, column in enumerate(columns)
    ]
    return pa.table(arrays, [column.name for column in plain]), plain


def _votable(
    rows: pa.Table, columns: Sequence[Column], status: str, infos: Infos
) -> Iterator[bytes]:
    return votable.votable(rows, columns, status, infos, len(rows) >= BINARY_FROM)


def _tabledata(
    rows: pa.Table, columns: Sequence[Column], status: str, infos: Infos
) -> Iterator[bytes]:
    return votable.votable(rows, columns, status, infos, binary=False)


def _binary2(
    rows: pa.Table, columns: Sequence[Column], status: str, infos: Infos
) -> Iterator[bytes]:
    return votable.votable(rows, columns, status, infos, binary=True)


def _json(rows: pa.Table, columns: Sequence[Column], status: str, infos: Infos) -> Iterator[bytes]:
    described = [
        {"name": c.name, "datatype": c.datatype, "unit": c.unit, "ucd": c.ucd, "about": c.about}
        for c in columns
    ]
    truths = {"true": True, "false": False}
    start: dict[str, Any] = {name: truths.get(value, value) for name, value in infos}
    start |= {"status": status, "columns": described}
    yield orjson.dumps(start)[:-1] + b',"rows":['
    names = rows.column_names
    for first in range(0, len(rows), PIECE):
        part = rows.slice(first, PIECE)
        values = zip(*(_values(part[i].combine_chunks()) for i in range(len(names))), strict=True)
        told = [
            orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_SERIALIZE_NUMPY)
            for row in values
        ]
        yield (b",\n" if first else b"") + b",\n".join(told)
    yield b"]}\n"


def _values(array: pa.Array) -> Sequence[Any]:
    """Values for JSON; single precision stays so, which has the shorter numbers."""
    if pa.types.is_float32(array.type):
        return list(array.to_numpy(zero_copy_only=False))
    listed: list[Any] = array.to_pylist()
    return listed


def _csv(rows: pa.Table, columns: Sequence[Column], status: str, infos: Infos) -> Iterator[bytes]:
    del columns, status, infos  # CSV has no place for them; HTTP has headers
    import pyarrow.csv

    stream = io.BytesIO()
    pyarrow.csv.write_csv(rows, stream)
    yield stream.getvalue()


def _fits(rows: pa.Table, columns: Sequence[Column], status: str, infos: Infos) -> Iterator[bytes]:
    from astropy.io import fits

    arrays = [rows[column.name] for column in columns]
    columns = _for_fits(columns)
    table = fits.BinTableHDU.from_columns(list(map(_fits_column, arrays, columns)))
    for number, column in enumerate(columns, start=1):
        about = column.about.encode("ascii", "replace").decode()
        room = 47 - max(len(column.name) - 18, 0)  # characters of a card beside the name
        table.header.comments[f"TTYPE{number}"] = about[: max(room, 0)]
        if column.ucd:
            table.header[f"TUCD{number}"] = column.ucd
    table.header["EXTNAME"] = "RESULT"
    for name, value in (("QUERY_STATUS", status), *infos):
        table.header["COMMENT"] = f"{name} = {value}".encode("ascii", "replace").decode()
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    yield stream.getvalue()


def _for_fits(columns: Sequence[Column]) -> list[Column]:
    """Columns whose words FITS can hold: printable ASCII, names that differ, its own units.

    A unit that FITS cannot say is told in the description.
    """
    found, taken = [], set[str]()
    for column in columns:
        plain = _ascii(column.name).replace(":", "_")  # which NumPy has not in names
        name, number = plain[:64] or "column", 1
        first = name
        while name.lower() in taken:
            number += 1
            name = f"{first[:60]}_{number}"
        taken.add(name.lower())
        unit, about = _fits_unit(column.unit), column.about
        if column.unit and not unit:
            about = f"[{column.unit}] {about}"
        found.append(replace(column, name=name, about=about, unit=unit, ucd=_ascii(column.ucd)))
    return found


def _fits_unit(text: str) -> str:
    """A unit as FITS writes it; empty where there is none, or none that FITS can say."""
    from astropy.units import Unit

    try:
        return str(Unit(text).to_string("fits")) if text else ""
    except ValueError:
        return ""


def _ascii(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "_" for letter in text)


_FITS_KINDS = MappingProxyType({"short": "I", "int": "J", "long": "K", "float": "E", "double": "D"})


def _fits_column(array: pa.ChunkedArray, column: Column):  # type: ignore[no-untyped-def]
    from astropy.io import fits

    if column.textual:
        texts = [t.encode("ascii", "replace") for t in array.fill_null("").to_pylist()]
        values = np.array(texts or [b""], "S")[: len(texts)]
        return fits.Column(column.name, f"{max(values.dtype.itemsize, 1)}A", array=values)
    kind, null = _FITS_KINDS[column.datatype], None
    if pa.types.is_integer(array.type):
        null = int(np.iinfo(array.type.to_pandas_dtype()).min) if array.null_count else None
        values = array.fill_null(null or 0).to_numpy()
    else:
        values = array.fill_null(float("nan")).to_numpy()
    return fits.Column(column.name, kind, unit=column.unit or None, null=null, array=values)


def _parquet(
    rows: pa.Table, columns: Sequence[Column], status: str, infos: Infos
) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    told = (("QUERY_STATUS", status), *infos)
    schema = rows.schema.with_metadata(parquet_metadata(columns, told))
    pq.write_table(rows.cast(schema), stream, compression="zstd")
    yield stream.getvalue()


def parquet_metadata(columns: Sequence[Column], infos: Infos = ()) -> dict[str, str]:
    """Metadata of a parquet file that holds a VOTable's, which TOPCAT and astropy read.

    See Taylor et al., "Parquet with VOTable metadata", IVOA note 1.0.
    """
    return {
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": votable.dataless(columns, infos),
    }


Writer = Callable[[pa.Table, Sequence[Column], str, Infos], Iterator[bytes]]
_WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "json": _json,
        "votable": _votable,
        "votable/td": _tabledata,
        "votable/b2": _binary2,
        "csv": _csv,
        "fits": _fits,
        "parquet": _parquet,
        "html": hypertext,
    }
)
