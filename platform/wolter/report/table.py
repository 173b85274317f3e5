"""Error tables beside published and limit rows, in the reference's units."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from wolter.spectra.evaluate import reference
from wolter.spectra.evaluate.metrics import ComponentErrors, Errors, Estimate
from wolter.spectra.evaluate.reference import Row
from wolter.spectra.schema import Parameter

Group = Literal["measured", "baseline", "published", "limit"]
GROUPS: Mapping[Group, str] = {
    "measured": "this evaluation",
    "baseline": "without a network",
    "published": "published",
    "limit": "limits",
}
MEAN = "mean"  # name of the MFE table's last column


@dataclass(frozen=True)
class Column:
    """A column: the parameter's name, its heading and its unit; which of its values is best."""

    name: str
    heading: str
    unit: str
    wanted: Literal["least", "most", "none"] = "least"


@dataclass(frozen=True)
class Line:
    """A row: values by column in the column's unit, deviations where they were measured."""

    label: str
    group: Group
    values: Mapping[str, float]
    deviations: Mapping[str, float]
    source: str = ""


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


def mfe_table(errors: Mapping[str, Errors], parameters: Sequence[Parameter]) -> Table:
    """MFE table in percent.

    Args:
        errors: evaluated models by label.
        parameters: of the models, in the order of the columns.
    """
    columns = tuple(Column(p.name, _heading(p.name), "%") for p in parameters)
    measured = [
        _measured(label, e.mfe_percent | {MEAN: e.mean_mfe_percent}, {})
        for label, e in errors.items()
    ]
    rows: list[tuple[Group, Row]] = [("published", row) for row in reference.PUBLISHED_MFE]
    rows += [("limit", r) for r in (*reference.LIMIT_MFE, reference.constant_mfe(parameters))]
    known = [_known(group, row, columns, mean=True) for group, row in rows]
    return Table(
        "Mean fractional error (MFE), percent",
        (*columns, Column(MEAN, MEAN, "%")),
        (*measured, *[line for line in known if line.values]),
    )


def rmse_table(errors: Mapping[str, Errors], parameters: Sequence[Parameter]) -> Table:
    """RMSE table in the reference's units; see `mfe_table`."""
    units = {p.name: reference.rmse_unit(p) for p in parameters}
    columns = tuple(Column(p.name, _heading(p.name), units[p.name].label) for p in parameters)
    factors = {name: unit.factor for name, unit in units.items()}
    measured = [_measured(label, e.rmse, factors) for label, e in errors.items()]
    rows: list[tuple[Group, Row]] = [("published", row) for row in reference.PUBLISHED_RMSE]
    rows += [("limit", r) for r in (*reference.LIMIT_RMSE, reference.constant_rmse(parameters))]
    known = [_known(group, row, columns) for group, row in rows]
    return Table(
        "Root-mean-square error (RMSE)",
        columns,
        (*measured, *[line for line in known if line.values]),
    )


def component_tables(errors: Mapping[str, ComponentErrors]) -> tuple[Table, ...]:
    """Two tables of the decomposing models by label: relative errors, and those of the roots."""
    if not errors:
        return ()
    names = list(dict.fromkeys(name for e in errors.values() for name in e.relative_percent))
    relative = [_measured(label, e.relative_percent, {}) for label, e in errors.items()]
    roots = [_measured(label, e.root, {}) for label, e in errors.items()]
    return (
        Table(
            "Components: counts misplaced, percent",
            tuple(Column(name, name, "%") for name in names),
            tuple(relative),
        ),
        Table(
            "Components: RMS error of √counts",
            tuple(Column(name, name, "√counts") for name in names),
            tuple(roots),
        ),
    )


def _heading(name: str) -> str:
    return reference.HEADINGS.get(name, name)


def _measured(label: str, estimates: Mapping[str, Estimate], factors: Mapping[str, float]) -> Line:
    values = {name: e.value / factors.get(name, 1.0) for name, e in estimates.items()}
    deviations = {name: e.deviation / factors.get(name, 1.0) for name, e in estimates.items()}
    return Line(label, "measured", values, deviations)


def _known(group: Group, row: Row, columns: Sequence[Column], mean: bool = False) -> Line:
    """A row of known figures; its mean only where it has every column."""
    values = {c.name: row.values[c.name] for c in columns if c.name in row.values}
    if mean and len(values) == len(columns):
        values[MEAN] = float(f"{sum(values.values()) / len(values):.3g}")
    return Line(row.label, group, values, {}, row.source)


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


def _format(table: Table, line: Line, column: Column, bold: tuple[str, str]) -> str:
    """A value, between the marks of the column's best if it is that."""
    value = line.values[column.name]
    text = format_known(value) if line.group == "published" else format_value(value)
    if line.group != "limit" and value == table.best(column.name):
        return bold[0] + text + bold[1]
    return text


def _rich_cell(table: Table, line: Line, column: Column) -> str:
    if column.name not in line.values:
        return "-"
    text = _format(table, line, column, ("[bold]", "[/bold]"))
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


def to_html(table: Table) -> str:
    """The table as an HTML element, without style of its own."""
    head = "".join(
        f'<th scope="col">{escape(c.heading)}<span class="unit">{escape(c.unit)}</span></th>'
        for c in table.columns
    )
    bodies = []
    for group, heading in GROUPS.items():
        lines = [line for line in table.lines if line.group == group]
        if lines:
            rows = "".join(_html_row(table, line) for line in lines)
            span = len(table.columns) + 1
            title = f'<tr class="group"><th colspan="{span}" scope="colgroup">{heading}</th></tr>'
            bodies.append(f'<tbody class="{group}">{title}{rows}</tbody>')
    return (
        f"<table><caption>{escape(table.title)}</caption>"
        f"<thead><tr><td></td>{head}</tr></thead>{''.join(bodies)}</table>"
    )


def _html_row(table: Table, line: Line) -> str:
    cells = []
    for column in table.columns:
        value = line.values.get(column.name)
        if value is None:
            cells.append("<td>–</td>")
            continue
        text = _format(table, line, column, ("<b>", "</b>"))
        if column.name in line.deviations:
            deviation = format_deviation(value, line.deviations[column.name])
            text += f'<span class="deviation">{deviation}</span>'
        cells.append(f"<td>{text}</td>")
    title = f' title="{escape(line.source)}"' if line.source else ""
    return f'<tr><th scope="row"{title}>{escape(line.label)}</th>{"".join(cells)}</tr>'
