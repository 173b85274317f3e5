"""Analysis of the latents of models on one dataset, part by part."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from wolter.data.shards import ShardDataset
from wolter.registry.checkpoint import Model
from wolter.spectra.latents import alignment, classification, reconstruction, regression
from wolter.spectra.latents.components import Components, principal_components
from wolter.spectra.latents.options import EmbeddingEvaluation
from wolter.spectra.latents.origin import Origin, origin_of
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.representations import (
    LATENT,
    RATIOS,
    Representation,
    representations,
)
from wolter.spectra.latents.scores import ALL, Score
from wolter.spectra.latents.sources import Outputs, Sources, encode, read


@dataclass(frozen=True)
class Study:
    """What every part of the analysis takes.

    Attributes:
        labels: names of the models.
        train: sources to learn from.
        test: sources to judge by.
        outputs: outputs of each model for both, by its label.
        origin: of the spectra.
        options: of the evaluation.
    """

    labels: tuple[str, ...]
    train: Sources
    test: Sources
    outputs: dict[str, tuple[Outputs, Outputs]]
    origin: Origin
    options: EmbeddingEvaluation

    @property
    def tested(self) -> dict[str, Outputs]:
        """Outputs for the sources that are judged, by model."""
        return {label: both[1] for label, both in self.outputs.items()}

    @cached_property
    def components(self) -> Components:
        """Principal components of the training split, as many as the first model has latents."""
        n = self.outputs[self.labels[0]][0][LATENT].shape[1]
        return principal_components(self.train.batch.counts_BC, self.train.background(), n)

    @cached_property
    def representations(self) -> tuple[Representation, ...]:
        """Latents and baselines."""
        return representations(self.labels, self.train, self.test, self.outputs, self.components)


def study(
    models: Sequence[Model],
    labels: Sequence[str],
    dataset: ShardDataset,
    split: str,
    limit: int | None,
    options: EmbeddingEvaluation,
    advance: Callable[[int], None] | None = None,
) -> Study:
    """Encode the spectra of a dataset with every model.

    Raises:
        InputError: a split is empty.
    """
    train = read(dataset, "train", options.learn or None)
    test = read(dataset, split, limit)
    outputs: dict[str, tuple[Outputs, Outputs]] = {}
    for label, model in zip(labels, models, strict=True):
        both = [encode(model, each.batch, advance) for each in (train, test)]
        outputs[label] = (both[0], both[1])
    return Study(tuple(labels), train, test, outputs, origin_of(dataset), options)


def parts(study: Study) -> Iterator[Part]:
    """Results of the analysis, one part after another."""
    for part in PARTS:
        yield part(study)


def reconstructed(study: Study) -> Part:
    """Reconstructions beside principal components and the noise-free counts."""
    found = reconstruction.deviances(study.test, study.tested, study.components)
    counts_N = study.test.counts_N
    metrics = {
        label: {"deviance_per_dof": reconstruction.mean_by_counts(value_N, counts_N)["all"].value}
        for label, (_, value_N) in found.items()
        if label in study.labels
    }
    return Part((reconstruction.table(found, counts_N, study.origin),), metrics)


def classified(study: Study) -> Part:
    """Classes by clusters, nearest neighbours and linear probes."""
    options, rows = study.options, study.representations
    summaries, tables = [], []
    metrics: dict[str, dict[str, float]] = {label: {} for label in study.labels}
    ways = classification.methods(options.clusters, options.seed)
    for question in classification.questions(study.train, study.test):
        found = {
            name: classification.classify(rows, question, by, study.test.counts_N)
            for name, (_, by) in ways.items()
        }
        summaries.append(classification.summary_table(question, found, rows, study.origin))
        for name, (title, _) in ways.items():
            heading = f"{question.title}, {title}"
            tables.append(classification.table(heading, found[name], rows, study.origin))
            for label in study.labels:
                if ALL.name in found[name][label]:
                    key = f"balanced_accuracy_{question.name}_{name}"
                    metrics[label][key] = 100 * found[name][label][ALL.name].value
    return Part((*summaries, *tables), metrics)


def regressed(study: Study) -> Part:
    """Physical quantities by nearest neighbours and linear probes."""
    train, test = study.train, study.test
    quantities = regression.known_quantities(train, test)
    found: dict[str, dict[str, dict[str, Score]]] = {}
    groups: dict[str, str] = {}
    for each in study.representations:
        for title, by in regression.methods(study.options.seed).values():
            row = f"{each.label}, {title}"
            groups[row] = each.group
            found[row] = {
                q.name: regression.errors(
                    q.of(test), regression.regress(each, q, by, train, test), test.counts_N
                )
                for q in quantities
            }
    direct = regression.measured_ratios(quantities, test)
    row = f"{RATIOS}, as measured"
    groups[row] = "baseline"
    found[row] = {
        q.name: regression.errors(q.of(test), direct[q.name], test.counts_N)
        for q in quantities
        if q.name in direct
    }
    tables = [regression.summary_table(found, groups, quantities, study.origin)]
    tables += [
        regression.detailed_table(found, groups, q, study.origin)
        for q in quantities
        if q.name in regression.DETAILED
    ]
    metrics = {
        label: {
            f"mae_{q.name}_{name}": found[f"{label}, {title}"][q.name]["from_40"].value
            for name, (title, _) in regression.methods(study.options.seed).items()
            for q in quantities
            if "from_40" in found[f"{label}, {title}"][q.name]
        }
        for label in study.labels
    }
    return Part(tuple(tables), metrics)


def aligned(study: Study) -> Part:
    """Spectra and catalogue rows that find each other."""
    table = alignment.aligned(study.test, study.tested)
    if table is None:
        return Part()
    lines = {line.label: line.values for line in table.lines}
    metrics = {
        label: dict(lines[f"{label}, spectrum finds row"])
        for label in study.labels
        if f"{label}, spectrum finds row" in lines
    }
    return Part((table,), metrics)


PARTS: tuple[Callable[[Study], Part], ...] = (reconstructed, classified, regressed, aligned)
