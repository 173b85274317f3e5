"""Tables of figures with their deviations, beside baselines, published and limit rows."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

Group = Literal["measured", "baseline", "published", "limit"]
GROUPS: Mapping[Group, str] = {
    "measured": "this evaluation",
    "baseline": "without a network",
    "published": "published",
    "limit": "limits",
}


@dataclass(frozen=True)
class Column:
    """A column: its key, heading and unit, and which of its values is best."""

    name: str
    heading: str
    unit: str
    wanted: Literal["least", "most", "none"] = "least"


@dataclass(frozen=True)
class Line:
    """A row: values by column in the column's unit, deviations where they were measured.

    A column may hold words in place of a value: `texts`.
    """

    label: str
    group: Group
    values: Mapping[str, float]
    deviations: Mapping[str, float]
    source: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table of one metric."""

    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]

    def best(self, column: str) -> float | None:
        """Best value in a column, limits left out; None where there is nothing to compare."""
        values = [x.values[column] for x in self.lines if x.group != "limit" and column in x.values]
        wanted = next((c.wanted for c in self.columns if c.name == column), "least")
        if wanted == "none" or len(values) < 2:
            return None
        return max(values) if wanted == "most" else min(values)


def format_value(value: float) -> str:
    """Three significant digits without an exponent: 0.0512, 4.85, 40.6, 1230."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:.{_decimals(value)}f}"


def format_known(value: float) -> str:
    """A published figure with all its digits, and zeros to align it: 0.56, 2.60, 38.0, 33.46."""
    digits = f"{float(f'{value:.4g}'):g}"
    given = len(digits.partition(".")[2])
    return f"{value:.{max(given, 2 if value < 10 else 1)}f}"


def _decimals(value: float) -> int:
    return max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0


def format_deviation(value: float, deviation: float) -> str:
    """A deviation with its value's decimals, or one more where it would vanish."""
    decimals = _decimals(value)
    if 0 < deviation < 0.5 * 10**-decimals:
        decimals += 1
    return f"±{deviation:.{decimals}f}"


def to_json(table: Table) -> dict[str, Any]:
    """The table as JSON: columns with units, rows with values in them."""
    return {
        "title": table.title,
        "columns": [{"name": c.name, "heading": c.heading, "unit": c.unit} for c in table.columns],
        "rows": [
            {
                "label": line.label,
                "group": line.group,
                "values": dict(line.values),
                "deviations": dict(line.deviations),
                "source": line.source,
                **({"texts": dict(line.texts)} if line.texts else {}),
            }
            for line in table.lines
        ],
    }


def to_rich(table: Table) -> RichTable:
    """The table for a terminal; the best value of each column, limits left out, is bold."""
    rich = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    rich.add_column("", no_wrap=True)
    for column in table.columns:
        unit = f"\n[dim]{column.unit}[/dim]" if column.unit else "\n"
        rich.add_column(column.heading + unit, justify="right", no_wrap=True)
    for i, line in enumerate(table.lines):
        cells = [_rich_cell(table, line, column) for column in table.columns]
        last = i + 1 == len(table.lines) or table.lines[i + 1].group != line.group
        label = (
            line.label if line.group == "measured" else f"{line.label} [dim]({line.group})[/dim]"
        )
        rich.add_row(label, *cells, end_section=last)
    return rich


def _format(line: Line, value: float) -> str:
    return format_known(value) if line.group == "published" else format_value(value)


def _is_best(table: Table, line: Line, column: Column) -> bool:
    return line.group != "limit" and line.values[column.name] == table.best(column.name)


def _rich_cell(table: Table, line: Line, column: Column) -> str:
    if column.name not in line.values:
        return line.texts.get(column.name, "-")
    text = _format(line, line.values[column.name])
    if _is_best(table, line, column):
        text = f"[bold]{text}[/bold]"
    if column.name in line.deviations:
        deviation = line.deviations[column.name]
        text += f"[dim]{format_deviation(line.values[column.name], deviation)}[/dim]"
    return text


def to_text(table: Table, width: int = 150) -> str:
    """The table as plain text for a file or a log."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    console.print(to_rich(table))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def html_cells(table: Table, line: Line) -> list[tuple[str, str, bool]]:
    """Value, deviation, and whether it is the best of its column, for each column of a row."""
    cells = []
    for column in table.columns:
        value = line.values.get(column.name)
        if value is None:
            cells.append((line.texts.get(column.name, "–"), "", False))
            continue
        known = line.deviations.get(column.name)
        deviation = "" if known is None else format_deviation(value, known)
        cells.append((_format(line, value), deviation, _is_best(table, line, column)))
    return cells
