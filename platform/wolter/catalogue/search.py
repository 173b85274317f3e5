"""Search a release: filters on columns, identifiers, names, one source with all that is known.

All rows come in a fixed order, and one row more than the limit is fetched, so that what is told of
truncation is exact.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from wolter.catalogue.columns import Column
from wolter.catalogue.cone import check_cone
from wolter.catalogue.store import Found, Snapshot, quoted
from wolter.errors import ConflictError, InputError, MissingError

COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
OPERATORS = (*COMPARISONS, "between", "in", "starts", "null")
FOR_TEXT = ("=", "!=", "in", "starts", "null")
MOST_LISTED = 10_000  # values of one `in`
MOST_TEXT = 256  # characters
MOST_FILTERS = 50

_WRITTEN = re.compile(
    r"\s*(?P<column>\w+)\s*(?:(?P<compare><=|>=|!=|=|<|>)\s*(?P<value>.*?)"
    r"|\s(?:between\s+(?P<low>\S+)\s+and\s+(?P<high>\S+)|in\s+(?P<list>.+?)"
    r"|starts\s+(?P<start>.+?)|is\s+(?P<no>not\s+)?null))\s*",
    re.IGNORECASE | re.DOTALL,
)


class _Whole(int):
    """A whole number as written."""

    text: str


class _Real(float):
    """A number as written."""

    text: str


@dataclass(frozen=True)
class Filter:
    """A condition on a column.

    Attributes:
        column: name.
        operator: of `OPERATORS`; for text `FOR_TEXT` alone.
        value: number or text; two numbers for `between`, both included; a list for `in`; true or
            false for `null`.
    """

    column: str
    operator: str
    value: Any

    @classmethod
    def parse(cls, text: str) -> "Filter":
        """A filter as written: `kt >= 1.5`, `kt between 1 and 2`, `name in a, b`, `kt is not null`.

        Raises:
            InputError: it is written otherwise.
        """
        found = _WRITTEN.fullmatch(text[: MOST_TEXT * 100])
        if not found:
            raise InputError(
                f"filter {text[:60]!r}: write COLUMN OPERATOR VALUE with one of "
                f"{', '.join(COMPARISONS)}, or `between A and B`, `in A, B`, `starts A`, `is null`"
            )
        name = found["column"].lower()
        if found["compare"]:
            return cls(name, found["compare"], _read(found["value"]))
        if found["low"]:
            return cls(name, "between", [_read(found["low"]), _read(found["high"])])
        if found["list"]:
            return cls(name, "in", [_read(each.strip()) for each in found["list"].split(",")])
        if found["start"]:
            return cls(name, "starts", found["start"])
        return cls(name, "null", found["no"] is None)


@dataclass(frozen=True)
class Order:
    """Order of rows: by a column, with nulls last, then by the place on the sky.

    Attributes:
        column: name; empty for the place on the sky alone.
        descending: the largest first.
    """

    column: str = ""
    descending: bool = False


@dataclass(frozen=True)
class Circle:
    """A cone, deg; see `wolter.catalogue.cone.cone`."""

    ra: float
    dec: float
    radius: float


def select(snapshot: Snapshot, names: Sequence[str]) -> tuple[Column, ...]:
    """Columns of the table of sources by their names; all where there are none.

    Raises:
        InputError: there is no such column.
    """
    columns = dict.fromkeys(names)
    return tuple(_column(snapshot, name) for name in columns) or snapshot.source.columns


def search(
    snapshot: Snapshot,
    filters: Sequence[Filter],
    columns: Sequence[Column],
    limit: int,
    order: Order = Order(),
    circle: Circle | None = None,
    offset: int = 0,
) -> Found:
    """Sources that fulfil all filters, in a fixed order.

    Args:
        snapshot: that is asked.
        filters: conditions, all of which hold.
        columns: of the table of sources.
        limit: most rows.
        order: of the rows.
        circle: only within a cone.
        offset: rows left out before the first.

    Raises:
        InputError: a filter, its column or its value is none; `TooLargeError` where the query takes
            too long.
    """
    if len(filters) > MOST_FILTERS:
        raise InputError(f"{len(filters)} filters; send at most {MOST_FILTERS}")
    terms, values = [], []
    for each in filters:
        term, bound = _condition(snapshot, each)
        terms.append(term)
        values += bound
    _check_bounds(filters)
    if circle:
        check_cone(circle.ra, circle.dec, circle.radius)
        rows_M, _ = snapshot.positions.within(circle.ra, circle.dec, circle.radius)
        terms.append("rowid IN (SELECT unnest(?::BIGINT[]))")
        values.append(rows_M)
    where = f"WHERE {' AND '.join(terms)} " if terms else ""
    by = "rowid"
    if order.column:
        column = _column(snapshot, order.column)
        name, way = quoted(column.name), "DESC" if order.descending else "ASC"
        nan = f"isnan({name}), " if column.datatype in ("float", "double") else ""
        by = f"{nan}{name} {way} NULLS LAST, rowid"
    found = snapshot.query(
        f"SELECT rowid FROM source {where}ORDER BY {by} LIMIT {limit + 1:d} OFFSET {offset:d}",
        values,
    )
    row_M = found["rowid"].to_numpy()
    rows = snapshot.rows(row_M[:limit], columns)
    return Found(rows, tuple(columns), len(row_M) > limit, snapshot.about)


def by_identifiers(
    snapshot: Snapshot, asked: Sequence[int] | Sequence[str], columns: Sequence[Column]
) -> tuple[Found, list[int] | list[str]]:
    """Sources by their identifiers or names, in the order asked; and those that there are not.

    Args:
        snapshot: that is asked.
        asked: identifiers of sources, or names.
        columns: of the table of sources.
    """
    column = "source_id" if all(isinstance(each, int) for each in asked) else "name"
    kind = pa.int64() if column == "source_id" else pa.string()
    unique = list(dict.fromkeys(each for each in asked if not _beyond(each)))
    sql_type = "BIGINT" if column == "source_id" else "VARCHAR"
    found = snapshot.query(
        f"SELECT rowid, {column} AS asked FROM source "
        f"WHERE {column} IN (SELECT unnest(?::{sql_type}[])) ORDER BY rowid",
        [unique],
    )
    rows: dict[Any, list[int]] = {}
    for row, key in zip(
        found["rowid"].to_pylist(), found["asked"].cast(kind).to_pylist(), strict=True
    ):
        rows.setdefault(key, []).append(row)
    missing: Any = [each for each in dict.fromkeys(asked) if each not in rows]
    wanted = [row for each in asked for row in rows.get(each, ())]
    answer = snapshot.rows(np.array(wanted, np.int64), columns)
    return Found(answer, tuple(columns), False, snapshot.about), missing


def whole_source(snapshot: Snapshot, source_id: int, limit: int) -> dict[str, Found]:
    """All rows of all tables that belong to a source, by the name of the table.

    Args:
        snapshot: that is asked.
        source_id: identifier.
        limit: most rows of a table.

    Raises:
        InputError: there is no such source.
    """
    found = {}
    for table in snapshot.about.tables:
        if "source_id" not in snapshot.about.table(table.name).schema.names:
            continue
        listed = ", ".join(quoted(column.name) for column in table.columns)
        rows = (
            snapshot.query(
                f"SELECT {listed} FROM {quoted(table.name)} WHERE source_id = ? "
                f"ORDER BY rowid LIMIT {limit + 1:d}",
                [source_id],
            )
            if not _beyond(source_id)
            else table.schema.empty_table()
        )
        if table.name == "source" and not len(rows):
            raise MissingError(f"source_id: no source {source_id} in release {snapshot.about.name}")
        found[table.name] = Found(
            rows.slice(0, limit), table.columns, len(rows) > limit, snapshot.about
        )
    return found


def _column(snapshot: Snapshot, name: str) -> Column:
    try:
        return snapshot.source.column(name)
    except KeyError:
        raise MissingError(
            f"no column {name[:60]!r} of sources in release {snapshot.about.name}; /schema lists "
            "them"
        ) from None


def _condition(snapshot: Snapshot, told: Filter) -> tuple[str, list[Any]]:
    """SQL of a filter, and the values of its question marks."""
    column = _column(snapshot, told.column)
    allowed = FOR_TEXT if column.datatype == "text" else OPERATORS
    if told.operator not in allowed or (told.operator == "starts" and column.datatype != "text"):
        known = ", ".join(each for each in allowed if each != "starts" or allowed is FOR_TEXT)
        raise InputError(f"{column.name}: operator {told.operator[:20]!r}; use one of {known}")
    name = quoted(column.name)
    # DuckDB holds NaN to be larger than all numbers.
    number = f" AND NOT isnan({name})" if column.datatype in ("float", "double") else ""
    if told.operator == "null":
        if not isinstance(told.value, bool):
            raise InputError(f"{column.name}: null is true or false, not {_short(told.value)}")
        return f"{name} IS {'' if told.value else 'NOT '}NULL", []
    if told.operator == "in":
        if not isinstance(told.value, list) or not 0 < len(told.value) <= MOST_LISTED:
            raise InputError(f"{column.name}: `in` takes a list of 1 to {MOST_LISTED} values")
        values = [_value(column, each) for each in told.value]
        return f"{name} IN ({', '.join('?' * len(values))})", values
    if told.operator == "between":
        if not isinstance(told.value, list) or len(told.value) != 2:
            raise InputError(f"{column.name}: `between` takes a list of two numbers")
        return f"{name} BETWEEN ? AND ?", [_value(column, each) for each in told.value]
    value = _value(column, told.value)
    if told.operator == "starts":
        return f"starts_with({name}, ?)", [value]
    return f"({name} {_SQL[told.operator]} ?{number})", [value]


_SQL: Mapping[str, str] = MappingProxyType(
    {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
)


def _value(column: Column, value: Any) -> Any:
    """A value that a column can be compared with.

    Raises:
        InputError: it is none.
    """
    if column.datatype == "text":
        if not isinstance(value, str):
            written = getattr(value, "text", str(value))  # 0123 and 1.10 are no 123 and 1.1
            value = written if isinstance(value, int | float) else None
        bad = re.search("[\0\ud800-\udfff]", value or "")  # no characters of UTF-8
        if value is None or len(value) > MOST_TEXT or bad:
            raise InputError(f"{column.name}: give text of at most {MOST_TEXT} characters")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{column.name}: {_short(value)} is no number")
    value = int(value) if isinstance(value, int) else float(value)
    if not abs(value) < 2**1023:
        raise InputError(f"{column.name}: {_short(value)}; give a finite number")
    if column.datatype == "float":  # so that a number of the answer finds its row again
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    return float(value) if _beyond(value) else value


def _check_bounds(filters: Sequence[Filter]) -> None:
    """Check that no lower bound is above an upper one of the same column.

    Raises:
        InputError: one is.
    """
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for each in filters:
        pair = each.value if each.operator == "between" and isinstance(each.value, list) else None
        lower = pair[0] if pair and len(pair) == 2 else each.value
        upper = pair[1] if pair and len(pair) == 2 else each.value
        if (pair or each.operator in (">", ">=")) and isinstance(lower, int | float):
            low[each.column] = max(lower, low.get(each.column, -math.inf))
        if (pair or each.operator in ("<", "<=")) and isinstance(upper, int | float):
            high[each.column] = min(upper, high.get(each.column, math.inf))
    for name in low.keys() & high.keys():
        if low[name] > high[name]:
            raise ConflictError(
                f"{name}: the lower bound {low[name]:g} is above the upper {high[name]:g}; "
                "exchange them"
            )


def _beyond(value: Any) -> bool:
    """True for an integer that no column can hold."""
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _read(text: str) -> int | float | str:
    """A value of a written filter: a number where it can be one; quotes keep it a text."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    for kind in (_Whole, _Real):
        try:
            number = kind(text)
        except ValueError:
            continue
        number.text = text
        return number
    return text


def _short(value: Any) -> str:
    return f"{value!r:.60}"
