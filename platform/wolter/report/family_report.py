"""Evaluation of models of any family: every metric that the family declares, with its direction.

Shapes: G group of records, M metric.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from wolter.data.batches import BatchConfig, count_rows, local_reader
from wolter.data.record_kinds import record_kind
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.outputs import Metric
from wolter.registry.checkpoint import Model
from wolter.report import table
from wolter.report.bootstrap import LEVELS, RESAMPLES, Estimate, bootstrap_means, with_intervals
from wolter.report.page import Figure
from wolter.report.table import Column, Line, Table
from wolter.report.write import dataset_facts, labels_of, training_facts

GROUPS = 50  # of records, which the bootstrap draws from
FEW = 1000  # records, below which single ones move the means
NOTES = """
Metrics are the family's own, means over the records of the split. The figure after ± is half the
68 % bootstrap interval over groups of records. In bold: the best value of a column.
"""


@dataclass(frozen=True)
class Measured:
    """Metrics of one model.

    Attributes:
        label: family and version.
        family: name of the family.
        version: version of the model.
        metrics: that the family declares.
        values: values of each metric that was measured, by name.
        training: how the model was trained.
    """

    label: str
    family: str
    version: str
    metrics: tuple[Metric, ...]
    values: Mapping[str, Estimate]
    training: Mapping[str, Any]


@dataclass(frozen=True)
class FamilyReport:
    """A `wolter.report.write.Report` of the metrics of families.

    Attributes:
        models: the model in question first.
        n: records.
        dataset: facts of the dataset and the split.
        remarks: what a reader must know.
    """

    models: tuple[Measured, ...]
    n: int
    dataset: Mapping[str, Any]
    remarks: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """See `wolter.report.write.Report`, as of the other properties."""
        return tuple(model.label for model in self.models)

    @property
    def title(self) -> str:
        """Title of the page."""
        return f"{self.labels[0]}: evaluation on {self.n:,} records"

    @property
    def lead(self) -> str:
        """Headline metrics of the first model."""
        first = self.models[0]
        shown = [m for m in first.metrics if m.headline] or list(first.metrics[:1])
        return "; ".join(
            f"{m.about or m.name} {table.format_value(first.values[m.name].value)} {m.unit}".strip()
            for m in shown
            if m.name in first.values
        )

    @property
    def notes(self) -> str:
        """Definitions of the metrics."""
        told = dict.fromkeys(
            f"{m.name}: {m.about}." for model in self.models for m in model.metrics if m.about
        )
        return " ".join([NOTES.strip(), *told])

    @property
    def facts(self) -> dict[str, Mapping[str, Any]]:
        """Facts of the dataset and the trainings."""
        trainings = {f"Training of {model.label}": model.training for model in self.models}
        return {"Dataset": self.dataset, **trainings}

    @property
    def tables(self) -> tuple[Table, ...]:
        """One table: a column a metric, a row a model."""
        metrics = {m.name: m for model in self.models for m in model.metrics}
        columns = tuple(
            Column(m.name, m.name, m.unit, "most" if m.better == "higher" else "least")
            for m in metrics.values()
        )
        lines = tuple(
            Line(
                model.label,
                "measured",
                {name: each.value for name, each in model.values.items()},
                {name: each.deviation for name, each in model.values.items()},
            )
            for model in self.models
        )
        return (Table("Metrics", columns, lines),)

    def figures(self) -> dict[str, Figure]:
        """None: what a family predicts has no figure of its own."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Metrics of the first model, those of the others, tables and facts."""
        first, *others = (_json(model) for model in self.models)
        return {
            **first,
            "n": self.n,
            "compared": others,
            "tables": [table.to_json(each) for each in self.tables],
            "dataset": dict(self.dataset),
            "remarks": list(self.remarks),
            "summary": {"n": self.n, **self.flat_metrics()},
        }

    def flat_metrics(self, model: int = 0) -> dict[str, float]:
        """Metrics of one model, `<split>/<metric>`."""
        values = self.models[model].values
        return {f"{self.dataset['split']}/{name}": each.value for name, each in values.items()}


def evaluate(
    models: Sequence[Model],
    versions: Sequence[str],
    dataset: ShardDataset,
    split: str = "test",
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> FamilyReport:
    """Measure the metrics of models on a split of a dataset.

    Args:
        models: loaded, of the dataset's kind of record.
        versions: versions of the models.
        dataset: that the families can measure: with the labels that they need.
        split: "test", "validation", "train" or "all".
        limit: records at most.
        progress: told of the records done.

    Raises:
        InputError: the split is empty, it tells no metric of a model, or one is not finite.
    """
    rows = count_rows(dataset, split)
    n = min(rows, limit or rows)
    if not n:
        raise InputError(f"{dataset.path}: no rows in split {split!r}; use more records")
    most = record_kind(dataset.manifest.kind).batch_rows(dataset.spec)
    size = min(most, max(1, -(-n // GROUPS)))
    config = BatchConfig(size=size, shuffle=False, fresh_noise=False, cache_bytes=0)
    found: list[list[dict[str, float]]] = [[] for _ in models]
    weights: list[int] = []
    for whole in local_reader(dataset, split, config)(0):
        batch = whole[: n - sum(weights)]
        for model, groups in zip(models, found, strict=True):
            groups.append(_measure(model, batch))
        weights.append(len(batch))
        if progress is not None:
            progress(len(batch))
        if sum(weights) >= n:
            break
    labels = labels_of([model.family.name for model in models], versions)
    remarks = [f"{n} records: single ones move the means; use {FEW} or more"] if n < FEW else []
    remarks += _partly(labels, models, found, weights)
    return FamilyReport(
        tuple(
            Measured(
                label=label,
                family=model.family.name,
                version=version,
                metrics=model.family.metrics,
                values=_estimates(model, groups, weights),
                training=training_facts(model),
            )
            for model, version, label, groups in zip(models, versions, labels, found, strict=True)
        ),
        n,
        dataset_facts(dataset, split),
        tuple(remarks),
    )


@torch.inference_mode()
def _measure(model: Model, batch: Any) -> dict[str, float]:
    device = next(model.module.parameters()).device
    measured = model.family.measure(model.module.eval(), batch.to(device))
    names = [metric.name for metric in model.family.metrics]
    return {name: float(measured[name]) for name in names if name in measured}


def _partly(
    labels: Sequence[str],
    models: Sequence[Model],
    found: Sequence[Sequence[Mapping[str, float]]],
    weights: Sequence[int],
) -> list[str]:
    """Remarks on metrics that some of the records cannot tell."""
    remarks = []
    for label, model, groups in zip(labels, models, found, strict=True):
        for metric in model.family.metrics:
            rows = sum(n for n, group in zip(weights, groups, strict=True) if metric.name in group)
            if 0 < rows < sum(weights):
                remarks.append(
                    f"{label}: {metric.name} is of the groups of records that tell it, {rows} of "
                    f"{sum(weights)} records"
                )
    return remarks


def _estimates(
    model: Model, groups: Sequence[Mapping[str, float]], weights: Sequence[int]
) -> dict[str, Estimate]:
    """Means over the groups that have a metric, by their rows, with bootstrap intervals."""
    family = model.family.name
    names = [m.name for m in model.family.metrics if any(m.name in group for group in groups)]
    if not names:
        raise InputError(
            f"{family}: these records tell none of its metrics; use others, with the labels "
            "that it learns from"
        )
    has_GM = np.array([[name in group for name in names] for group in groups])
    value_GM = np.array([[group.get(name, 0.0) for name in names] for group in groups])
    bad = [
        name for name, finite in zip(names, np.isfinite(value_GM).all(0), strict=True) if not finite
    ]
    if bad:
        raise InputError(
            f"{family}: {bad[0]} is not finite; train the model again, with a lower learning rate"
        )
    weight_GM = np.array(weights, dtype=float)[:, None] * has_GM
    columns_GM = np.concatenate([value_GM * weight_GM, weight_GM], 1)
    resampled_RM = bootstrap_means(columns_GM, RESAMPLES)
    n = len(names)
    # A resample without any group that has the metric tells nothing of its mean.
    with np.errstate(invalid="ignore"):
        resampled_RM = resampled_RM[:, :n] / resampled_RM[:, n:]
    mean_M = (value_GM * weight_GM).sum(0) / weight_GM.sum(0)
    return {
        name: with_intervals(mean_M[i], resampled_RM[np.isfinite(resampled_RM[:, i]), i])
        for i, name in enumerate(names)
    }


def _json(model: Measured) -> dict[str, Any]:
    directions = {m.name: m for m in model.metrics}
    return {
        "family": model.family,
        "model_version": model.version,
        "metrics": {
            name: {
                "value": each.value,
                "interval": {level: list(each.interval(level)) for level in LEVELS},
                "better": directions[name].better,
                "unit": directions[name].unit,
            }
            for name, each in model.values.items()
        },
        "training": dict(model.training),
    }
