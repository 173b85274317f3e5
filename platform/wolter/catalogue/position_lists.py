"""Lists of positions as users send them: JSON, CSV or VOTable.

Shapes: P positions.
"""

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from wolter.catalogue.cone import check_position
from wolter.errors import InputError, TooLargeError

MOST = 10_000  # positions of a list
MOST_NAME = 100  # characters
NAMES = ("id", "position_id", "name", "source_id")
JSON, CSV, VOTABLE = "JSON", "CSV", "VOTable"
MEDIA = {
    "application/json": JSON,
    "text/csv": CSV,
    "application/x-votable+xml": VOTABLE,
    "application/xml": VOTABLE,
    "text/xml": VOTABLE,
}
"""Media type of a body -> its form."""
REMEDY = "send columns ra and dec in degrees, and id where positions have names"


@dataclass(frozen=True)
class PositionList:
    """Positions on the sky.

    Attributes:
        names: of the positions, or their numbers from 0.
        ra_P: right ascensions, deg.
        dec_P: declinations, deg.
    """

    names: tuple[str, ...]
    ra_P: NDArray[np.float64]
    dec_P: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, Any, Any]]) -> "PositionList":
        """Positions from names, right ascensions and declinations; all checked.

        Raises:
            InputError: one is no position, or there is none; `TooLargeError` for too many.
        """
        names, places = [], []
        for number, (name, ra, dec) in enumerate(rows):
            if number == MOST:
                raise TooLargeError(f"more than {MOST} positions; send at most {MOST} a request")
            told = str(number) if name is None or name == "" else str(name)
            if len(told) > MOST_NAME or not told.isprintable():
                raise InputError(
                    f"position {number}: its name is not 1 to {MOST_NAME} printable characters"
                )
            try:
                if isinstance(ra, bool) or isinstance(dec, bool):
                    raise TypeError
                place = float(ra), float(dec)
            except (TypeError, ValueError, OverflowError):
                raise InputError(f"position {number}: ra or dec is no number; {REMEDY}") from None
            try:
                check_position(*place)
            except InputError as error:
                raise InputError(f"position {number}: {error}") from None
            names.append(told)
            places.append(place)
        if not names:
            raise InputError(f"no positions; {REMEDY}")
        place_P2 = np.array(places, np.float64)
        return cls(tuple(names), place_P2[:, 0].copy(), place_P2[:, 1].copy())


def read_positions(data: bytes, media: str) -> PositionList:
    """Read a list of positions.

    Args:
        data: of a request.
        media: its media type, one of `MEDIA`, parameters and all.

    Raises:
        InputError: the data is no list of positions; `TooLargeError` for too many.
    """
    form = MEDIA.get(media.partition(";")[0].strip().lower())
    if form is None:
        raise InputError(f"a body of type {media[:60]!r}; send one of {', '.join(MEDIA)}")
    return PositionList.of({JSON: _json, CSV: _csv, VOTABLE: _votable}[form](data))


def _json(data: bytes) -> Iterator[tuple[Any, Any, Any]]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("the body is not valid JSON") from None
    listed = told.get("positions") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise InputError('send {"positions": [{"id": ..., "ra": ..., "dec": ...}, ...]}')
    if unknown := set(told) - {"positions"}:
        raise InputError(f"unknown key {min(unknown)[:40]!r}; options go in the query")
    for number, each in enumerate(listed):
        if not isinstance(each, dict) or not {"ra", "dec"} <= each.keys() <= {"id", "ra", "dec"}:
            raise InputError(f"position {number}: give ra and dec in degrees, and perhaps an id")
        if not isinstance(each.get("id", ""), str | int):
            raise InputError(f"position {number}: an id is text or a whole number")
        yield each.get("id"), each["ra"], each["dec"]


def _csv(data: bytes) -> Iterator[tuple[Any, Any, Any]]:
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        name, ra, dec = _places([word.strip().lower() for word in header])
        for number, row in enumerate(reader):
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"CSV: row {number} has {len(row)} values for {len(header)} columns"
                )
            yield row[name] if name is not None else None, row[ra], row[dec]
    except (csv.Error, UnicodeDecodeError):
        raise InputError(f"the body is not valid CSV in UTF-8; {REMEDY}") from None


def _votable(data: bytes) -> Iterator[tuple[Any, Any, Any]]:
    _check_doctype(data)
    names: list[str] = []
    places: tuple[int | None, int, int] | None = None
    cells: list[str | None] = []
    try:
        for event, element in ET.iterparse(io.BytesIO(data), ("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if event == "start":
                if tag in ("BINARY", "BINARY2", "FITS", "PARQUET"):
                    raise InputError(f"VOTable: {tag} is not taken; send the table as TABLEDATA")
                continue
            if tag == "FIELD":
                names.append(_field_name(element))
            elif tag == "TD":
                cells.append(element.text)
            elif tag == "TR":
                places = places or _places(names)
                if len(cells) != len(names):
                    raise InputError(f"VOTable: {len(cells)} cells for {len(names)} fields")
                name, ra, dec = places
                yield cells[name] if name is not None else None, cells[ra], cells[dec]
                cells = []
                element.clear()
            elif tag == "TABLE":
                return  # the first alone
    except ET.ParseError:
        raise InputError(f"the body is not a valid VOTable; {REMEDY}") from None


def _check_doctype(data: bytes) -> None:
    """Check that a document has no type, whose entities may expand; in any encoding.

    Raises:
        InputError: it has, or is no XML.
    """

    def refuse(*_: object) -> None:
        raise InputError("VOTable: a document type is not taken; send a document without one")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        raise InputError(f"the body is not a valid VOTable; {REMEDY}") from None


def _field_name(element: ET.Element) -> str:
    """Name of a field; that of a position is known by its UCD, too."""
    ucd = element.get("ucd", "").lower()
    for start, name in (("pos.eq.ra", "ra"), ("pos.eq.dec", "dec"), ("meta.id;meta.main", "id")):
        if ucd in (start, f"{start};meta.main"):
            return name
    return element.get("name", "").lower()


def _places(names: Sequence[str]) -> tuple[int | None, int, int]:
    """Columns of the name, if any, right ascension and declination."""
    if names.count("ra") != 1 or names.count("dec") != 1:
        raise InputError(f"the columns are {', '.join(names)[:200] or 'none'}; {REMEDY}")
    named = [names.index(each) for each in NAMES if each in names]
    return (named[0] if named else None), names.index("ra"), names.index("dec")
