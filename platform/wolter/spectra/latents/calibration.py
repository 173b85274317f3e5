"""Calibrated class probabilities of models, as tables.

Shapes: K class, N source.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wolter.report.page import Figure
from wolter.report.table import Column, Line, Table
from wolter.spectra.latents import probabilities as p
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.scores import RANGES, columns, recalls
from wolter.spectra.latents.sources import UNKNOWN, Array, Indices
from wolter.spectra.latents.study import Study

_SCORES = (
    Column("accuracy", "accuracy", "%", "most"),
    Column("balanced", "balanced", "%", "most"),
    Column("balanced_corrected", "balanced, prior-corrected", "%", "most"),
    Column("macro_f1", "macro-F1", "%", "most"),
    Column("ece", "calibration error", ""),
    Column("brier", "Brier score", ""),
    Column("log_loss", "log loss", "nat"),
)
MUWCLASS = (
    "Yang et al. 2022, MUWCLASS: real sources, leave one out, X-ray and optical and infrared "
    "features: not to be compared with X-rays alone"
)
MUWCLASS_RECALLS = {
    "AGN": 92.5, "YSO": 93.5, "LM-STAR": 86.0, "HM-STAR": 72.0,
    "HMXB": 69.2, "LMXB": 26.2, "NS": 67.8, "CV": 54.5,
}  # fmt: skip
_FEW = 200  # sources, below which a calibration error is mostly noise


@dataclass(frozen=True)
class Probabilities:
    """Class probabilities (N, K) of a model, for sources of known classes (N).

    Attributes:
        probability_NK: probabilities.
        truth_N: classes.
        counts_N: net counts.
        rate_K: frequencies of the classes in the training split.
        names: of the classes.
    """

    probability_NK: Array
    truth_N: Indices
    counts_N: Array
    rate_K: Array
    names: tuple[str, ...]

    @property
    def balanced_N(self) -> Indices:
        """Most probable class where all are as frequent."""
        return p.balanced_decision(self.probability_NK, self.rate_K)


def of_models(study: Study) -> Mapping[str, Probabilities]:
    """Class probabilities by model, of those that tell them."""
    names, truth_N = study.test.spec.classes, study.test.class_N
    known_N = truth_N != UNKNOWN
    rate_K = p.class_rates(study.train.class_N, len(names))
    found = {}
    for label, outputs in study.tested.items():
        probability_NK = p.probabilities(outputs, names)
        if probability_NK is not None and known_N.any():
            found[label] = Probabilities(
                probability_NK[known_N],
                truth_N[known_N],
                study.test.counts_N[known_N],
                rate_K,
                names,
            )
    return found


def part(study: Study) -> Part:
    """Calibration, recall and confusion of the models' own class probabilities."""
    found = of_models(study)
    if not found:
        return Part()
    scores = {
        label: p.summary(each.probability_NK, each.truth_N, each.rate_K)
        for label, each in found.items()
    }
    lines = [Line(f"{k} ({study.origin})", "measured", v, {}) for k, v in scores.items()]
    metrics = {label: {f"p_{name}": v for name, v in own.items()} for label, own in scores.items()}
    tables = (
        Table("Class probabilities of the models", _SCORES, tuple(lines)),
        _by_counts(found, study.origin),
        _recalls(found, study.origin),
    )

    def figures() -> Mapping[str, Figure]:
        from wolter.spectra.latents.plots.class_plots import figures_of

        return figures_of(found)

    return Part(tables, metrics, figures)


def _by_counts(found: Mapping[str, Probabilities], origin: str) -> Table:
    lines = []
    for label, each in found.items():
        values = {}
        for some in RANGES:
            mask_N = some.of(each.counts_N)
            if mask_N.sum() >= _FEW:
                values[some.name] = p.expected_calibration_error(
                    each.probability_NK[mask_N], each.truth_N[mask_N]
                )
        lines.append(Line(f"{label} ({origin})", "measured", values, {}))
    return Table("Expected calibration error, by counts", columns("least"), tuple(lines))


def _recalls(found: Mapping[str, Probabilities], origin: str) -> Table:
    names = next(iter(found.values())).names
    lines = []
    for label, each in found.items():
        told = {
            "most probable": each.probability_NK.argmax(1),
            "prior-corrected": each.balanced_N,
        }
        for how, told_N in told.items():
            recall_K, total_K = recalls(each.truth_N, told_N, len(names))
            share_K = (recall_K * total_K + 1) / (total_K + 2)
            with np.errstate(divide="ignore", invalid="ignore"):
                error_K = np.sqrt(share_K * (1 - share_K) / total_K)
            known = [k for k in range(len(names)) if total_K[k] > 0]
            values = {names[k]: 100 * float(recall_K[k]) for k in known}
            errors = {names[k]: 100 * float(error_K[k]) for k in known}
            values["mean"] = float(np.mean([values[names[k]] for k in known]))
            lines.append(Line(f"{label}, {how} ({origin})", "measured", values, errors))
    published = {name: value for name, value in MUWCLASS_RECALLS.items() if name in names}
    if len(published) == len(MUWCLASS_RECALLS):
        published["mean"] = 70.2
        row = "MUWCLASS, uses optical/IR (real)"
        lines.append(Line(row, "published", published, {}, MUWCLASS))
    heads = tuple(Column(name, name, "%", "most") for name in (*names, "mean"))
    return Table("Recall of each class", heads, tuple(lines))
