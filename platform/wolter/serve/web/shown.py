"""Rows of a catalogue as a person reads them: text of numbers, links, estimates in groups."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wolter.catalogue.columns import Column, Table

PROBABILITY = "stat.probability"  # UCD of a class's probability
INTERVALS = (("_lolim", "_hilim"), ("_lolim95", "_hilim95"))  # ends of 68 and 95 %
BAR = 200  # width of a bar that stands for 1, pixels
SIGNIFICANT = 4  # digits


@dataclass(frozen=True)
class Cell:
    """A cell: its text, whether that is text rather than a number, and where it leads."""

    shown: str
    text: bool = False
    link: str = ""


@dataclass(frozen=True)
class Shown:
    """Columns, and rows of cells."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Quantity:
    """An estimate with its intervals of 68 and 95 %."""

    name: str
    about: str
    value: str
    intervals: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Probability:
    """Probability of a class, and the width of its bar."""

    name: str
    shown: str
    width: float


@dataclass(frozen=True)
class Estimate:
    """Estimates of one version of a model for one detection."""

    model: str
    version: str
    detection_id: int
    usable: bool
    reason: str
    flags: str
    quantities: tuple[Quantity, ...]
    probabilities: tuple[Probability, ...]

    @property
    def intervals(self) -> bool:
        """True if any quantity has an interval."""
        return any(any(each.intervals) for each in self.quantities)


def text_of(value: Any, column: Column) -> str:
    """Text of a value; empty where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if column.unit == "deg" and column.datatype == "double":
        return f"{value:.6f}"
    if column.datatype == "double":
        return f"{value:.10g}"
    if column.datatype != "float":
        return str(value)
    plain = 10**SIGNIFICANT <= abs(value) < 1e7  # with all its digits rather than a power of ten
    return f"{value:.0f}" if plain else f"{value:.{SIGNIFICANT}g}"


def shown(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> Shown:
    """Rows as cells; identifiers of sources lead to their pages."""
    return Shown(
        tuple(columns),
        tuple(tuple(_cell(row[column.name], column) for column in columns) for row in rows),
    )


def principal(table: Table) -> tuple[Column, ...]:
    """The most important columns of a table."""
    return tuple(column for column in table.columns if column.principal)


def estimate(table: Table, own: Sequence[Column], row: Mapping[str, Any]) -> Estimate:
    """Estimates of a row.

    Args:
        table: table of the estimates of a model.
        own: the columns of the model's outputs.
        row: values by column.
    """
    names = {column.name for column in own}
    suffixes = [suffix for ends in INTERVALS for suffix in ends]
    ends = {f"{c.name}{suffix}" for c in own for suffix in suffixes} & names
    probable = [column for column in own if column.ucd == PROBABILITY]
    plain = [c for c in own if c.name not in ends and c not in probable]
    ranked = sorted(probable, key=lambda column: -_number(row[column.name]))
    return Estimate(
        table.name,
        str(row["model_version"]),
        int(row["detection_id"]),
        bool(row["usable"]),
        row["reason"] or "",
        row["flags"] or "",
        tuple(_quantity(column, row) for column in plain),
        tuple(_probability(column, _number(row[column.name])) for column in ranked),
    )


def _quantity(column: Column, row: Mapping[str, Any]) -> Quantity:
    found = []
    for suffixes in INTERVALS:
        low, high = (row.get(column.name + suffix) for suffix in suffixes)
        known = low is not None and high is not None
        found.append(f"{text_of(low, column)} to {text_of(high, column)}" if known else "")
    value = text_of(row[column.name], column)
    return Quantity(column.name, column.about, value, tuple(found), column.unit)


def _probability(column: Column, value: float) -> Probability:
    name = column.name.removeprefix("p_").replace("_", " ")
    return Probability(name, f"{value:.3f}", round(BAR * min(max(value, 0), 1), 1))


def _number(value: Any) -> float:
    return 0.0 if value is None or math.isnan(value) else float(value)


def _cell(value: Any, column: Column) -> Cell:
    text = text_of(value, column)
    link = f"/source/{text}" if column.name == "source_id" and text else ""
    return Cell(text, column.datatype == "text", link)
