"""The result of an evaluation: numbers, tables and JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wolter.report import table
from wolter.spectra.evaluate import exact_table, reference
from wolter.spectra.evaluate.calibration import Calibration
from wolter.spectra.evaluate.exact import Comparison
from wolter.spectra.evaluate.inference import Predictions
from wolter.spectra.evaluate.metrics import LEVELS, ComponentErrors, Errors, Estimate, to_json
from wolter.spectra.schema import Parameter


@dataclass(frozen=True)
class Evaluated:
    """Evaluation results of one model.

    Attributes:
        label: names it in tables and figures: family and version.
        family: its family's name.
        version: its version, as the caller gave it.
        errors: of its estimates.
        components: of its decomposition; None where the family or the dataset has none.
        ratio: the first model's mean MFE over this one's, paired; below 1 the first is better.
        calibration: of its intervals; None where it gives point estimates alone.
        training: facts of its training, for the report.
    """

    label: str
    family: str
    version: str
    errors: Errors
    components: ComponentErrors | None
    ratio: Estimate
    training: Mapping[str, Any]
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Evaluation:
    """Evaluation of one or several models on one split; the first one is the subject.

    Attributes:
        models: results, the model in question first.
        parameters: names, ranges and units of the dataset's labels, in the models' order.
        energy_edges: keV, of the channels.
        dataset: facts of the dataset and split.
        standard: whether it is the test that the limit rows were measured on.
        remarks: what a reader must know before comparing numbers.
        predictions: labels, estimates and examples.
        comparison: with the exact posterior of some of the spectra, where it was asked for.
    """

    models: tuple[Evaluated, ...]
    parameters: tuple[Parameter, ...]
    energy_edges: tuple[float, ...]
    dataset: Mapping[str, Any]
    standard: bool
    remarks: tuple[str, ...]
    predictions: Predictions
    comparison: Comparison | None = None

    @property
    def n(self) -> int:
        """Number of spectra."""
        return len(self.predictions.truth_NP)

    @property
    def exposure_s(self) -> float:
        """Median exposure of the spectra, s."""
        return float(np.median(self.predictions.exposure_N))

    @property
    def tables(self) -> tuple[table.Table, ...]:
        """MFE, RMSE, and the components' tables where there are any."""
        errors = {model.label: model.errors for model in self.models}
        components = {m.label: m.components for m in self.models if m.components is not None}
        return (
            table.mfe_table(errors, self.parameters),
            table.rmse_table(errors, self.parameters),
            *table.component_tables(components),
            *self._exact_tables(),
        )

    def _exact_tables(self) -> tuple[table.Table, ...]:
        calibrated = {m.label: m.calibration for m in self.models if m.calibration is not None}
        tables = exact_table.calibration_tables(calibrated, self.parameters)
        if self.comparison is None:
            return tables
        return (*exact_table.excess_tables(self.comparison, self.parameters), *tables)

    def to_json(self) -> dict[str, Any]:
        """The stable fields of the first model, its intervals, the others, tables and facts.

        `rmse` and `reference.rmse` are in the parameters' own units (`units`), errors in percent
        where the name says so; an interval is [low, high] under its level, 68 or 95 percent.
        """
        exposure_N = self.predictions.exposure_N
        return {
            **self._model_json(self.models[0]),
            "n": self.n,
            "exposure_s": self.exposure_s,
            "exposure_range_s": [float(exposure_N.min()), float(exposure_N.max())],
            "units": {p.name: p.unit for p in self.parameters},
            "reference": self._reference_json(),
            **(exact_table.to_json(self.comparison) if self.comparison is not None else {}),
            "compared": [
                self._model_json(m) | {"mean_mfe_ratio": _estimate_json(m.ratio)}
                for m in self.models[1:]
            ],
            "tables": [table.to_json(each) for each in self.tables],
            "dataset": dict(self.dataset),
            "remarks": list(self.remarks),
        }

    def _model_json(self, model: Evaluated) -> dict[str, Any]:
        errors, components = model.errors, model.components
        mean = errors.mean_mfe_percent
        values: dict[str, Any] = {
            "family": model.family,
            "model_version": model.version,
            "mfe_percent": to_json(errors.mfe_percent),
            "mfe_percent_interval": {k: to_json(errors.mfe_percent, k) for k in LEVELS},
            "mean_mfe_percent": mean.value,
            "mean_mfe_percent_interval": _estimate_json(mean)["interval"],
            "rmse": to_json(errors.rmse),
            "rmse_interval": {k: to_json(errors.rmse, k) for k in LEVELS},
            "training": dict(model.training),
        }
        if model.calibration is not None:
            values |= exact_table.calibration_json(model.calibration)
        if components is not None:
            values["components"] = {
                "relative_percent": to_json(components.relative_percent),
                "root_counts": to_json(components.root),
                "relative_percent_interval": {
                    k: to_json(components.relative_percent, k) for k in LEVELS
                },
                "root_counts_interval": {k: to_json(components.root, k) for k in LEVELS},
            }
        return values

    def _reference_json(self) -> dict[str, Any]:
        mfe, rmse = reference.published(self.models[0].family)
        known = [p for p in self.parameters if p.name in mfe.values]
        factors = {p.name: reference.rmse_unit(p).factor for p in known}
        return {
            "label": mfe.label,
            "source": mfe.source,
            "mfe_percent": {p.name: mfe.values[p.name] for p in known},
            "rmse": {p.name: rmse.values[p.name] * factors[p.name] for p in known},
        }

    def flat_metrics(self, model: int = 0) -> dict[str, float]:
        """One model's numbers under flat names, `<split>/<metric>_<name>`, for a tracker."""
        result = self.models[model]
        groups = {"mfe_percent": result.errors.mfe_percent, "rmse": result.errors.rmse}
        if result.components is not None:
            groups["component_percent"] = result.components.relative_percent
            groups["component_root"] = result.components.root
        split = self.dataset["split"]
        flat = {f"{split}/mfe_percent": result.errors.mean_mfe_percent.value}
        for metric, estimates in groups.items():
            flat |= {f"{split}/{metric}_{name}": e.value for name, e in estimates.items()}
        return flat

    def to_text(self, width: int = 150) -> str:
        """Tables and remarks for a terminal or a log."""
        parts = [table.to_text(each, width) for each in self.tables]
        return "\n".join([*parts, *[f"Note: {remark}" for remark in self.remarks]])


def _estimate_json(estimate: Estimate) -> dict[str, Any]:
    intervals = {level: list(estimate.interval(level)) for level in LEVELS}
    return {"value": estimate.value, "interval": intervals}
