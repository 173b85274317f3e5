"""Tables of errors beside the published and the limit rows, in the reference's own units."""

from collections.abc import Mapping, Sequence

from wolter.report.bootstrap import Estimate
from wolter.report.table import Column, Group, Line, Table
from wolter.spectra.evaluate import reference
from wolter.spectra.evaluate.metrics import ComponentErrors, Errors
from wolter.spectra.evaluate.reference import Row
from wolter.spectra.schema import Parameter

MEAN = "mean"  # name of the MFE table's last column


def mfe_table(errors: Mapping[str, Errors], parameters: Sequence[Parameter]) -> Table:
    """MFE table in percent.

    Args:
        errors: evaluated models by label.
        parameters: parameters of the models, in the order of the columns.
    """
    columns = tuple(Column(p.name, _heading(p.name), "%") for p in parameters)
    measured = [
        _measured(label, e.mfe_percent | {MEAN: e.mean_mfe_percent}, {})
        for label, e in errors.items()
    ]
    rows = _rows(parameters, reference.PUBLISHED_MFE, reference.LIMIT_MFE)
    rows.append(("limit", reference.constant_mfe(parameters)))
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
    rows = _rows(parameters, reference.PUBLISHED_RMSE, reference.LIMIT_RMSE)
    rows.append(("limit", reference.constant_rmse(parameters)))
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


def _rows(
    parameters: Sequence[Parameter], published: Sequence[Row], limits: Sequence[Row]
) -> list[tuple[Group, Row]]:
    """Published and limit rows, which are of the reference's model alone."""
    if not {p.name for p in parameters} <= set(reference.PARAMETERS):
        return []
    return [*[("published", row) for row in published], *[("limit", row) for row in limits]]


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
