"""Evaluation of networks that enhance images: numbers, tables and JSON.

Shapes: N evaluated pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wolter.data.shards import ShardDataset
from wolter.images.evaluate import fields
from wolter.images.evaluate.fields import Example
from wolter.images.evaluate.scoring import FLUX, Scores, badness, score
from wolter.images.evaluate.source_tables import source_tables
from wolter.registry.checkpoint import Model
from wolter.report import table
from wolter.report.bootstrap import Estimate, bootstrap_means, with_intervals
from wolter.report.page import Figure
from wolter.report.table import Column, Line, Table
from wolter.report.write import dataset_facts, labels_of, training_facts

FEW = 100  # pairs, below which a mean hangs on single scenes
NOTES = """
Deviance: 2 (m − n + n ln n/m) of the target's photons n, which the input does not hold, per pixel;
lowest in the mean for the truth. χ² is Pearson's of the input's own counts in blocks of 4 × 4
pixels under the output folded back onto them. PSNR, SSIM (window 13, σ 2.5, K 0.01 and 0.05) and
MS-SSIM are of brightness clamped as the reference does, and of its root. A target's own noise
limits them; against the noise-free truth nothing does. Of baselines with a setting the best of
each column stands. The figure after ± is half the 68 % bootstrap interval over fields,
each with all its pairs. Sources: the input is searched by Poisson likelihood and by the filter that
also searches the other images, each at the threshold of 95 % purity on the same fields; fluxes are
those of sources that stand alone and have 50 counts or more; of pairs, number, median counts of the
fainter and median flux ratio are given, and both must be found within half their separation.
"""
HEADINGS = {"l1": "L1", "psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}
UNITS = {"psnr": "dB"}
PHOTONS = ("deviance", "chi2", FLUX, "coverage_68", "coverage_95")
TITLES = {
    "": "Against the target's photons, whole frames, clamped",
    "masked_": "Against the target's photons, valid pixels, clamped",
    "true_": "Against the noise-free truth, valid pixels, clamped",
}


@dataclass(frozen=True)
class Network:
    """Evaluation results of one network.

    Attributes:
        label: names it in tables and figures: family and version.
        family: its family's name.
        version: its version, as the caller gave it.
        training: facts of its training.
        sources: what `fields.find_sources` says of it.
        examples: fields to look at.
    """

    label: str
    family: str
    version: str
    training: Mapping[str, Any]
    sources: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class ImageEvaluation:
    """Evaluation of one or several networks on one split; the first one is the subject.

    Attributes:
        networks: the network in question first.
        scores: of networks and baselines.
        dataset: facts of the data set and split.
        remarks: what a reader must know before comparing numbers.
        resamples, seed: of the bootstrap.
    """

    networks: tuple[Network, ...]
    scores: Scores
    dataset: Mapping[str, Any]
    remarks: tuple[str, ...]
    resamples: int = 1000
    seed: int = 0

    @property
    def n(self) -> int:
        """Number of pairs."""
        return self.scores.n

    @property
    def labels(self) -> tuple[str, ...]:
        """See `wolter.report.write.Report`, as of the other properties."""
        return tuple(network.label for network in self.networks)

    @property
    def title(self) -> str:
        """Title of the page."""
        return f"{self.labels[0]}: evaluation on {self.n:,} pairs of images"

    @property
    def lead(self) -> str:
        """Deviance of the first network over the best baseline's."""
        over = self.ratios().get("deviance")
        return "" if over is None else f"Deviance over the best baseline's: {over:.3f}."

    @property
    def notes(self) -> str:
        """Definitions of the scores."""
        return NOTES.strip()

    @property
    def facts(self) -> dict[str, Mapping[str, Any]]:
        """Facts of the data set and the trainings."""
        trainings = {f"Training of {each.label}": each.training for each in self.networks}
        return {"Dataset": self.dataset, **trainings}

    def figures(self) -> dict[str, Figure]:
        """Figures by file name."""
        from wolter.images.evaluate.figures import figures

        return figures(self)

    def means(self, method: str) -> dict[str, tuple[str, Estimate]]:
        """For every score of a method its best setting, and its mean over the pairs.

        Fields are resampled, with all their pairs.
        """
        best = {k: v for k, v in self.scores.best(method).items() if v[2].all()}
        columns = [self.scores.by_field(each) for _, *both in best.values() for each in both]
        sums_RM = bootstrap_means(np.stack(columns, 1), self.resamples, self.seed)
        found = {}
        for i, (name, (setting, values_N, weights_N)) in enumerate(best.items()):
            resampled_R = sums_RM[:, 2 * i] / sums_RM[:, 2 * i + 1]
            value = float(values_N.sum() / weights_N.sum())
            found[name] = (setting, with_intervals(value, resampled_R))
        return found

    @property
    def tables(self) -> tuple[Table, ...]:
        """Scores by photons, then those of each kind of comparison."""
        means = {method: self.means(method) for method in self.scores.methods}
        found = [self._table("Photons", PHOTONS, means)]
        for prefix, title in TITLES.items():
            names = [
                f"{prefix}{metric}_{stretch}"
                for stretch in ("linear", "sqrt")
                for metric in HEADINGS
            ]
            if any(name in means[self.networks[0].label] for name in names):
                found.append(self._table(title, names, means))
        for network in self.networks:
            found += source_tables(network.sources, network.label)
        return tuple(found)

    def _table(
        self,
        title: str,
        names: tuple[str, ...] | list[str],
        means: Mapping[str, Mapping[str, tuple[str, Estimate]]],
    ) -> Table:
        known = [name for name in names if any(name in each for each in means.values())]
        labels = {network.label for network in self.networks}
        lines = []
        for method, each in means.items():
            values = {name: each[name][1].value for name in known if name in each}
            deviations = {name: each[name][1].deviation for name in values}
            settings = sorted({each[name][0] for name in values} - {""})
            label = f"best {method}" if settings else method
            group: table.Group = "measured" if method in labels else "baseline"
            lines.append(Line(label, group, values, deviations, ", ".join(settings)))
        return Table(title, tuple(_column(name) for name in known), tuple(lines))

    def ratios(self) -> dict[str, float]:
        """The first network's scores over the best baseline's; for dB the difference."""
        first = self.means(self.networks[0].label)
        labels = {network.label for network in self.networks}
        others = [self.means(m) for m in self.scores.methods if m not in labels]
        found = {}
        for name, (_, estimate) in first.items():
            values = [each[name][1].value for each in others if name in each]
            if values:
                best = min(values, key=lambda value: badness(name, value))
                both = estimate.value, best
                found[name] = both[0] - best if "psnr" in name else _over(*both)
        return found

    def to_json(self) -> dict[str, Any]:
        """The first network's scores, the others', the baselines', sources, tables and facts."""
        labels = {network.label for network in self.networks}
        return {
            **self._network_json(self.networks[0]),
            "n": self.n,
            "baselines": {
                method: self._scores_json(method)
                for method in self.scores.methods
                if method not in labels
            },
            "over_best_baseline": self.ratios(),
            "compared": [self._network_json(network) for network in self.networks[1:]],
            "tables": [table.to_json(each) for each in self.tables],
            "dataset": dict(self.dataset),
            "remarks": list(self.remarks),
            "summary": {"n": self.n, **self.flat_metrics()},
        }

    def _network_json(self, network: Network) -> dict[str, Any]:
        return {
            "family": network.family,
            "model_version": network.version,
            "scores": self._scores_json(network.label),
            "coverage_by_brightness": self.scores.coverage.get(network.label, {}),
            "sources": dict(network.sources),
            "completeness_at_half": network.sources.get("network", {}).get("completeness_at_half"),
            "training": dict(network.training),
        }

    def _scores_json(self, method: str) -> dict[str, Any]:
        return {
            name: {
                "value": estimate.value,
                "interval": {"68": list(estimate.interval_68), "95": list(estimate.interval_95)},
                **({"setting": setting} if setting else {}),
            }
            for name, (setting, estimate) in self.means(method).items()
        }

    def flat_metrics(self, network: int = 0) -> dict[str, float]:
        """One network's scores under flat names, `<split>/<score>`, for a tracker."""
        own_network = self.networks[network]
        split = self.dataset["split"]
        means = self.means(own_network.label)
        flat = {f"{split}/{name}": estimate.value for name, (_, estimate) in means.items()}
        found = own_network.sources.get("network", {})
        for name in ("flux_50", "completeness_at_half"):
            if found.get(name) is not None:
                flat[f"{split}/sources_{name}"] = found[name]
        return flat


def _over(value: float, best: float) -> float:
    return value / best if best else 0.0


def _column(name: str) -> Column:
    plain = name.removeprefix("masked_").removeprefix("true_")
    metric, _, stretch = plain.rpartition("_")
    wanted = "most" if badness(name, 1.0) < 0 else "least"
    if metric in HEADINGS:
        unit = " ".join(filter(None, (UNITS.get(metric), stretch)))
        return Column(name, HEADINGS[metric], unit, "most" if wanted == "most" else "least")
    headings = {
        "deviance": ("deviance", "per pixel", "least"),
        "chi2": ("χ² of the input", "per block", "none"),
        FLUX: ("flux", "of photons'", "none"),
        "coverage_68": ("inside 68 %", "", "none"),
        "coverage_95": ("inside 95 %", "", "none"),
    }
    heading, unit, best = headings[name]
    return Column(name, heading, unit, "none" if best == "none" else "least")


def evaluate_images(
    models: Sequence[Model],
    dataset: ShardDataset,
    split: str = "test",
    limit: int | None = None,
    *,
    versions: Sequence[str] = (),
    n_fields: int = 2,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> ImageEvaluation:
    """Judge networks on the pairs of a split, and on whole simulated fields.

    Args:
        models: loaded; the first is in question.
        dataset: dataset of images with targets.
        split: "test", "validation", "train" or "all".
        limit: pairs at most.
        versions: the models' versions, for the report.
        n_fields: fields of each kind in which sources are counted; 0: none, and no pictures.
        resamples: bootstrap resamples of the intervals.
        seed: seed of the bootstrap.
        progress: called with the number of pairs, and of fields, that were done.

    Raises:
        InputError: a model makes other pixels, or the split is empty or has no targets.
    """
    labels = labels_of([model.family.name for model in models], versions)
    scores = score(models, labels, dataset, split, limit, progress=progress)
    networks = []
    for i, (model, label) in enumerate(zip(models, labels, strict=True)):
        networks.append(
            Network(
                label=label,
                family=model.family.name,
                version=versions[i] if i < len(versions) else "",
                training=training_facts(model),
                sources=fields.find_sources(model, dataset, n_fields, progress) if n_fields else {},
                examples=fields.examples(model, dataset) if n_fields else (),
            )
        )
    spec = dataset.spec
    facts = {
        **dataset_facts(dataset, split),
        "scale": spec.scale,
        "exposure_s": list(spec.exposure_s) if spec.exposure_s else None,
        "target_exposure_s": spec.target_exposure_s,
        "target_background": spec.target_background,
    }
    return ImageEvaluation(
        tuple(networks), scores, facts, _remarks(models, dataset, scores.n), resamples, seed
    )


def _remarks(models: Sequence[Model], dataset: ShardDataset, n: int) -> tuple[str, ...]:
    found = []
    if n < FEW:
        found.append(f"{n} pairs: a few scenes can move the means; use {FEW} or more")
    if any(m.card.dataset_sha256 == dataset.sha256() for m in models):
        found.append("a network was trained on this data set: only its test split is unseen")
    if "scenes" not in dataset.manifest.config:
        found.append("not simulated: no noise-free truth, no fields of known sources")
    return tuple(found)
