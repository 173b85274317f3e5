"""Evaluation of embeddings: the families' own metrics, and the analysis of their latents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wolter.data.batches import count_rows
from wolter.data.shards import ShardDataset
from wolter.progress import bar
from wolter.registry.checkpoint import Model
from wolter.report.family_report import FamilyReport
from wolter.report.page import Figure
from wolter.report.table import Table, to_json
from wolter.spectra.latents.analysis import PARTS, parts
from wolter.spectra.latents.options import EmbeddingEvaluation
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.representations import LATENT
from wolter.spectra.latents.study import study

NOTES = """
Probes, clusters and baselines learn from the training split and are judged on another; splits are
by source. Representations are standardised on the training split. Counts are net counts. Balanced
accuracy is the mean recall of the classes. Clusters are found without classes; each takes the class
that is the largest share of its members on the training split, every class weighing the same, and
so do the votes of neighbours. Two groups: AGN against HMXB, LMXB, NS and CV, all others left out.
Hardness ratios are those of net counts over the effective area. Principal components are those of
normalised spectra of the training split, which weigh by their counts. The figure after ± is the
standard error over the sources that are judged. Whoever writes the class models of simulated
spectra decides how separable the classes are: compare rows.
"""


@dataclass(frozen=True)
class LatentReport:
    """A `wolter.report.write.Report` of an analysis of latents.

    Attributes:
        own: metrics of the families.
        parts: of the analysis.
    """

    own: FamilyReport
    parts: tuple[Part, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """See `wolter.report.write.Report`, as of the other properties."""
        return self.own.labels

    @property
    def title(self) -> str:
        """Title of the page."""
        return f"{self.labels[0]}: latents of {self.own.n:,} spectra"

    @property
    def lead(self) -> str:
        """Headline metrics of the first model."""
        return self.own.lead

    @property
    def notes(self) -> str:
        """Definitions."""
        return f"{NOTES.strip()} {self.own.notes}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks of every part."""
        told = [remark for part in self.parts for remark in part.remarks]
        return tuple(dict.fromkeys([*self.own.remarks, *told]))

    @property
    def facts(self) -> dict[str, Mapping[str, Any]]:
        """Facts of the dataset and the trainings."""
        return self.own.facts

    @property
    def tables(self) -> tuple[Table, ...]:
        """The families' own metrics, and tables of every part."""
        return (*self.own.tables, *(table for part in self.parts for table in part.tables))

    def figures(self) -> dict[str, Figure]:
        """Figures of every part."""
        found: dict[str, Figure] = {}
        for part in self.parts:
            found |= part.figures()
        return found

    def to_json(self) -> dict[str, Any]:
        """The families' own report, with tables and single numbers of the analysis."""
        values = self.own.to_json()
        summary = {"n": self.own.n, **self.flat_metrics()}
        return values | {
            "latents": {label: self._metrics(label) for label in self.labels},
            "tables": [to_json(table) for table in self.tables],
            "remarks": list(self.remarks),
            "summary": summary,
        }

    def flat_metrics(self, model: int = 0) -> dict[str, float]:
        """Metrics of one model, `<split>/<metric>`."""
        split = self.own.dataset["split"]
        own = self._metrics(self.labels[model])
        analysed = {f"{split}/{name}": value for name, value in own.items()}
        return self.own.flat_metrics(model) | analysed

    def _metrics(self, label: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for part in self.parts:
            found |= part.metrics.get(label, {})
        return found


def has_latents(model: Model) -> bool:
    """True if a model's family tells latents."""
    return any(output.name == LATENT and output.axes == "L" for output in model.outputs)


def analyse(
    own: FamilyReport,
    models: Sequence[Model],
    dataset: ShardDataset,
    split: str,
    limit: int | None,
    options: EmbeddingEvaluation,
) -> LatentReport:
    """Analyse the latents of models beside their families' own metrics.

    Args:
        own: report of these metrics.
        models: with the output `latent`.
        dataset: with classes.
        split: to judge by.
        limit: spectra at most.
        options: of the evaluation.

    Raises:
        InputError: a split is empty.
    """
    learn = count_rows(dataset, "train")
    rows = len(models) * (min(learn, options.learn or learn) + own.n)
    with bar("encoding", rows) as advance:
        prepared = study(models, own.labels, dataset, split, limit, options, advance)
    found = []
    with bar("analysing", len(PARTS)) as advance:
        for part in parts(prepared):
            found.append(part)
            advance(1)
    if prepared.options.learn and len(prepared.train) < learn:
        who = "Probes, clusters, baselines and the supervised network"
        if options.folds:
            who = "Probes of quantities, and their baselines,"
        told = (
            f"{who} learnt from {len(prepared.train):,} of the {learn:,} spectra of the training "
            "split; --learn 0 takes all."
        )
        found.append(Part(remarks=(told,)))
    return LatentReport(own, tuple(found))
