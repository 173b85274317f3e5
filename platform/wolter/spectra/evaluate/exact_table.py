"""Tables and JSON of the comparison with exact posteriors, and of calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

from wolter.report import bootstrap
from wolter.report.table import Column, Line, Table
from wolter.spectra.evaluate.calibration import Calibration
from wolter.spectra.evaluate.exact import Comparison, Row
from wolter.spectra.evaluate.reference import HEADINGS
from wolter.spectra.schema import Parameter


def excess_tables(comparison: Comparison, parameters: Sequence[Parameter]) -> tuple[Table, ...]:
    """Ratios of MFE and RMSE to the exact posterior's, and how refined posteriors agree with it."""
    columns = tuple(Column(p.name, HEADINGS.get(p.name, p.name), "") for p in parameters)
    spectra = f"over the exact posterior's, {comparison.n:,} spectra"
    tables = []
    for metric, title in (("excess_mfe", "MFE"), ("excess_rmse", "RMSE")):
        lines = []
        for row in comparison.rows:
            ratios = getattr(row, metric)
            values = {name: each.value for name, each in ratios.items()}
            deviations = {name: each.deviation for name, each in ratios.items()}
            lines.append(Line(row.label, "measured", values, deviations))
        tables.append(Table(f"{title} {spectra}", columns, tuple(lines)))
    lines = []
    for row in comparison.rows:
        if row.shift_P is not None and row.width_P is not None:
            shift = dict(zip(comparison.names, row.shift_P.tolist(), strict=True))
            width = dict(zip(comparison.names, row.width_P.tolist(), strict=True))
            lines.append(Line(f"{row.label}: |mean shift|/σ", "measured", shift, {}))
            lines.append(Line(f"{row.label}: σ ratio", "measured", width, {}))
    shares = [
        f"{row.label}: {row.effective:.0%} of the samples effective"
        for row in comparison.rows
        if row.effective is not None
    ]
    if lines:
        title = f"Agreement with the exact posterior, medians over {comparison.n:,} spectra"
        title = "; ".join([title, *shares])
        tables.append(Table(title, columns, tuple(lines)))
    return tuple(tables)


def calibration_tables(
    calibrated: Mapping[str, Calibration], parameters: Sequence[Parameter]
) -> tuple[Table, ...]:
    """Coverage of the 68 and 95 % intervals, and p-values of uniform ranks."""
    columns = tuple(Column(p.name, HEADINGS.get(p.name, p.name), "") for p in parameters)
    lines = []
    for label, calibration in calibrated.items():
        for level, coverage in calibration.coverage.items():
            lines.append(
                Line(
                    f"{label}: {100 * level:.0f} % interval",
                    "measured",
                    dict(zip(calibration.names, coverage.percent_P.tolist(), strict=True)),
                    dict(zip(calibration.names, coverage.error_P.tolist(), strict=True)),
                )
            )
        p_values = dict(zip(calibration.names, calibration.ks_p.round(4).tolist(), strict=True))
        lines.append(Line(f"{label}: p of uniform ranks", "measured", p_values, {}))
    if not lines:
        return ()
    return (Table("Coverage of credible intervals, percent", columns, tuple(lines)),)


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """`coverage{"68"{param}, "95"{param}}` in percent, and `ks_p{param}`."""
    names = calibration.names
    return {
        "coverage": {
            f"{100 * level:.0f}": dict(zip(names, each.percent_P.tolist(), strict=True))
            for level, each in calibration.coverage.items()
        },
        "ks_p": dict(zip(names, calibration.ks_p.tolist(), strict=True)),
    }


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The stable fields of the first model, and every row under `exact_rows`."""
    first = _row_json(comparison.rows[0])
    exact = _row_json(comparison.exact)
    return {
        "exact": {
            "n": comparison.n,
            "mfe_percent": exact["mfe_percent"],
            "rmse": exact["rmse"],
            "r_hat": comparison.r_hat,
            **{key: exact[key] for key in ("coverage", "ks_p")},
        },
        "excess_mfe": first["excess_mfe"],
        "excess_rmse": first["excess_rmse"],
        "exact_rows": [_row_json(row) for row in comparison.rows],
    }


def _row_json(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {
        "label": row.label,
        "mfe_percent": bootstrap.to_json(row.errors.mfe_percent),
        "rmse": bootstrap.to_json(row.errors.rmse),
        "excess_mfe": bootstrap.to_json(row.excess_mfe),
        "excess_mfe_interval_95": bootstrap.to_json(row.excess_mfe, "95"),
        "excess_rmse": bootstrap.to_json(row.excess_rmse),
        "excess_rmse_interval_95": bootstrap.to_json(row.excess_rmse, "95"),
    }
    if row.calibration is not None:
        values |= calibration_json(row.calibration)
    if row.shift_P is not None and row.width_P is not None:
        names = list(row.excess_mfe)
        values["shift"] = dict(zip(names, row.shift_P.tolist(), strict=True))
        values["width"] = dict(zip(names, row.width_P.tolist(), strict=True))
    if row.effective is not None:
        values["effective_share"] = row.effective
    return values
