"""Evaluation of models that estimate the parameters of spectra: numbers, tables and JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wolter.data.shards import ShardDataset
from wolter.registry.checkpoint import Model
from wolter.report import table
from wolter.report.bootstrap import LEVELS, RESAMPLES, Estimate, to_json
from wolter.report.page import Figure
from wolter.report.write import dataset_facts, labels_of, training_facts
from wolter.spectra.evaluate import error_tables, exact_table, reference
from wolter.spectra.evaluate.calibration import Calibration
from wolter.spectra.evaluate.conditions import is_standard, remarks, shift
from wolter.spectra.evaluate.exact import Comparison, compare
from wolter.spectra.evaluate.inference import Predictions, predict_split
from wolter.spectra.evaluate.metrics import (
    ComponentErrors,
    Errors,
    component_errors,
    mean_mfe_ratio,
    parameter_errors,
)
from wolter.spectra.schema import Parameter
from wolter.spectra.simulator import SimulateConfig

SUMMARY = (  # what the card of pretrained weights tells
    "n", "exposure_s", "mfe_percent", "rmse", "excess_mfe", "excess_rmse", "coverage", "ks_p"
)  # fmt: skip
NOTES = """
MFE is the mean of |y − ŷ| / |y|, RMSE the root of the mean of (y − ŷ)². Each is that of its own
estimator: the MFE of the estimate that makes it smallest, the RMSE of the posterior mean's.
The figure after ± is half the 68 % bootstrap interval. In bold: the smallest error of a column,
limits left out. Of a component, the counts misplaced are the mean over spectra of the sum of
|m − m̂| over channels per count m, and the RMS error is that of √m̂ − √m, where a channel's Poisson
noise is 0.5. Point at a published or limit row for its source.
"""


@dataclass(frozen=True)
class Evaluated:
    """Evaluation results of one model.

    Attributes:
        label: names it in tables and figures: family and version.
        family: its family's name.
        version: its version, as the caller gave it.
        errors: errors of its estimates.
        components: errors of its decomposition; None where the family or the dataset has none.
        ratio: the first model's mean MFE over this one's, paired; below 1 the first is better.
        calibration: calibration of its intervals; None where it gives point estimates alone.
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
    def labels(self) -> tuple[str, ...]:
        """See `wolter.report.write.Report`, as of the other properties."""
        return tuple(model.label for model in self.models)

    @property
    def title(self) -> str:
        """Title of the page."""
        return f"{self.labels[0]}: evaluation on {self.n:,} spectra"

    @property
    def lead(self) -> str:
        """Mean MFE of the first model, and its ratio to the others'."""
        mean = self.models[0].errors.mean_mfe_percent
        low, high = (table.format_value(end) for end in mean.interval_95)
        text = (
            f"Mean MFE {table.format_value(mean.value)} % (95 %: {low} to {high}); "
            f"{self.exposure_s / 1e3:.4g} ks."
        )
        for other in self.models[1:]:
            low, high = (f"{end:.3f}" for end in other.ratio.interval_95)
            text += f" Its ratio to {other.label}'s: {other.ratio.value:.3f} ({low} to {high})."
        return text

    @property
    def notes(self) -> str:
        """Definitions of the errors."""
        return NOTES.strip()

    @property
    def facts(self) -> dict[str, Mapping[str, Any]]:
        """Facts of the dataset, the trainings, and the sources of known rows."""
        trainings = {f"Training of {model.label}": model.training for model in self.models}
        sources = {"published": reference.PUBLISHED, "limits": reference.LIMIT}
        return {"Dataset": self.dataset, **trainings, "Sources": sources}

    def figures(self) -> dict[str, Figure]:
        """Figures by file name."""
        from wolter.spectra.evaluate.figures import figures

        return figures(self)

    @property
    def tables(self) -> tuple[table.Table, ...]:
        """MFE, RMSE, and the components' tables where there are any."""
        errors = {model.label: model.errors for model in self.models}
        components = {m.label: m.components for m in self.models if m.components is not None}
        return (
            error_tables.mfe_table(errors, self.parameters),
            error_tables.rmse_table(errors, self.parameters),
            *error_tables.component_tables(components),
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
        values = {
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
        return values | {"summary": {key: values[key] for key in SUMMARY if key in values}}

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


def evaluate(
    models: Model | Sequence[Model],
    dataset: ShardDataset,
    split: str = "test",
    limit: int | None = None,
    *,
    versions: Sequence[str] = (),
    batch_size: int = 1024,
    resamples: int = RESAMPLES,
    seed: int = 0,
    exact: int = 0,
    assumed: SimulateConfig | None = None,
    progress: Callable[[int], None] | None = None,
    translator: Model | None = None,
) -> Evaluation:
    """Judge models on the labelled spectra of a split.

    Args:
        models: a loaded model, or several with the same parameters; the first is in question.
        dataset: a labelled dataset on the models' grid.
        split: "test", "validation", "train" or "all".
        limit: judge by at most so many spectra.
        versions: the models' versions, for the report.
        batch_size: spectra a forward pass.
        resamples: bootstrap resamples of the intervals.
        seed: seed of the bootstrap, and of the sampler of exact posteriors.
        exact: of how many spectra the exact posterior is sampled and compared with.
        assumed: model and response that are taken for the spectra's in another exact posterior.
        progress: called with the number of spectra that each batch has done.
        translator: carries the spectra to the simulated domain before the models read them.

    Raises:
        InputError: a model does not fit the dataset, the split is empty, a label is zero, or an
            estimate is not finite.
    """
    several: Sequence[Model] = models if isinstance(models, Sequence) else (models,)
    predictions = predict_split(several, dataset, split, limit, batch_size, progress, translator)
    names = several[0].card.spec.names
    truth_NP, first = predictions.truth_NP, predictions.answers[0]
    labels = labels_of([model.family.name for model in several], versions)
    results = []
    for i, (model, own) in enumerate(zip(several, predictions.answers, strict=True)):
        components = None
        if own.relative_NK is not None and own.squared_NK is not None:
            components = component_errors(
                own.relative_NK, own.squared_NK, model.card.spec.components, resamples, seed
            )
        results.append(
            Evaluated(
                label=labels[i],
                family=model.family.name,
                version=versions[i] if i < len(versions) else "",
                errors=parameter_errors(
                    truth_NP, own.mean_NP, own.median_NP, names, resamples, seed
                ),
                components=components,
                ratio=mean_mfe_ratio(truth_NP, first.median_NP, own.median_NP, resamples, seed),
                training=training_facts(model),
                calibration=own.calibration,
            )
        )
    comparison = None
    if exact:
        comparison = compare(
            several, labels, dataset, split, exact, resamples, seed, progress, assumed
        )
    given = {p.name: p for p in dataset.spec.parameters}
    return Evaluation(
        models=tuple(results),
        parameters=tuple(given[name] for name in names),
        energy_edges=dataset.spec.energy_edges,
        dataset=_dataset_facts(dataset, split),
        standard=is_standard(dataset, predictions.exposure_N),
        remarks=remarks(several, dataset, split, predictions.exposure_N),
        predictions=predictions,
        comparison=comparison,
    )


def _dataset_facts(dataset: ShardDataset, split: str) -> dict[str, Any]:
    config = dataset.manifest.config
    keys = ["model", "fixed", "rmf", "arf", "backgrounds"]
    if not config.get("rmf"):
        keys.append("filter")  # of the embedded response
    return {
        **dataset_facts(dataset, split),
        **{key: _short(config[key]) for key in keys if config.get(key)},
        **shift(dataset),
    }


def _short(value: Any) -> Any:
    """Files by name only: a report may be published, the folders of its machine not."""
    if isinstance(value, list):
        return [_short(item) for item in value]
    return Path(value).name if isinstance(value, str) and "/" in value else value
