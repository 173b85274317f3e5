"""Report of the classification of catalogue rows: tables, figures, page and JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wolter.report import style, table
from wolter.report.bootstrap import Estimate
from wolter.report.page import Figure
from wolter.report.table import Column, Group, Line, Table
from wolter.spectra.catalogue_rows import evaluation, plots
from wolter.spectra.catalogue_rows.columns import CLASSES
from wolter.spectra.catalogue_rows.evaluation import RowEvaluation
from wolter.spectra.catalogue_rows.metrics import Reliability, reliability
from wolter.spectra.catalogue_rows.published import MUWCLASS_RECALL, NO, PUBLISHED, YES
from wolter.spectra.catalogue_rows.scores import Scores

KEYS = {  # of protocols in the JSON
    evaluation.XRAY: "xray",
    evaluation.LATITUDE: "xray_latitude",
    evaluation.RATIOS: "hardness_ratios",
    evaluation.FIELD: "by_field",
    evaluation.FLUX: "by_flux",
    evaluation.TEST: "other_selection",
    evaluation.TEST_LATITUDE: "other_selection_latitude",
}
NOTES = """
X-ray: ratios, flux, significance, slope and variability of each row; |b|: absolute Galactic
latitude. By field of sky: all sources within 1 degree of each other are in one fold. By range of
flux: each quarter of the fluxes is answered by a training on the other three.
Balanced accuracy: mean recall over the classes. AGN | compact: mean recall of AGN and of compact
objects (HMXB, LMXB, NS, CV), other sources left out. Large classes: mean recall of AGN, YSO,
LM-STAR and HM-STAR, every class being a possible answer. Recalls are those of decisions, which
divide most of the class shares out; accuracy, calibration error (ECE, most probable class, 10 bins
of equal width), Brier score (0 to 2) and log loss are those of the probabilities, under the class
shares of the training rows. The figure after ± is half the 68 % bootstrap interval over sources.
Published rows differ in sources, classes and protocol.
"""
LATITUDE_REMARK = (
    "labelled sources were looked for in a few regions of the sky, so that Galactic latitude says "
    "where a class was looked for: its row stands apart"
)


@dataclass(frozen=True)
class RowReport:
    """A `wolter.report.write.Report` of an evaluation on catalogue rows.

    Attributes:
        result: the evaluation.
        dataset: facts of the labelled rows.
    """

    result: RowEvaluation
    dataset: Mapping[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """See `wolter.report.write.Report`, as of the other properties."""
        return tuple(self.result.scores)

    @property
    def title(self) -> str:
        """Title of the page."""
        return f"Classification of {self.result.scores[evaluation.XRAY].n:,} catalogue rows"

    @property
    def lead(self) -> str:
        """Headline figures of the X-ray features."""
        own = self.result.scores[evaluation.XRAY]
        groups = own.two_groups
        two = "" if groups is None else f"{groups.value:.3f} for AGN against compact objects, "
        return (
            f"X-ray features alone, {self.result.folds} folds, {len(self.result.seeds)} repeats: "
            f"balanced accuracy {own.balanced.value:.3f} over {len(own.recall)} classes, {two}"
            f"calibration error {own.ece:.3f}"
        )

    @property
    def notes(self) -> str:
        """Definitions of the metrics."""
        return " ".join(NOTES.split())

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know."""
        told = [LATITUDE_REMARK] if evaluation.LATITUDE in self.result.scores else []
        told += [f"{label}: left out; {why}" for label, why in self.result.left_out.items()]
        if self.result.comparison is not None:
            told.append(
                "the classifier compared with uses optical and infrared data; ours does not"
            )
        return tuple(told)

    @property
    def facts(self) -> dict[str, Mapping[str, Any]]:
        """Facts of the rows and the classifier."""
        return {
            "Rows": self.dataset,
            "Classifier": {
                **asdict(self.result.config),
                "features": list(self.result.feature_names),
            },
            "Cross-validation": {"folds": self.result.folds, "seeds": list(self.result.seeds)},
        }

    @property
    def tables(self) -> tuple[Table, ...]:
        """Protocols beside published rows, recalls, decisions, and the paired comparison."""
        return (
            self._summary(),
            self._recalls(),
            self._strengths(),
            *([self._paired()] if self.result.comparison is not None else []),
        )

    def _summary(self) -> Table:
        columns = (
            Column("optical", "uses optical/IR", "", "none"),
            Column("classes", "classes", "", "none"),
            Column("balanced", "balanced", "", "none"),
            Column("two_groups", "AGN | compact", "", "none"),
            Column("large", "large", "", "none"),
            Column("accuracy", "accuracy", "", "none"),
            Column("ece", "ECE", "", "none"),
            Column("brier", "Brier", "", "none"),
            Column("log_loss", "log loss", "nat", "none"),
        )
        lines = [_line(label, scores) for label, scores in self.result.scores.items()]
        return Table("Protocols", columns, (*_ordered(lines), *PUBLISHED))

    def _recalls(self) -> Table:
        columns = tuple(Column(name, name, "", "none") for name in CLASSES)
        lines = [
            Line(label, _group(label), scores.recall, {})
            for label, scores in self.result.scores.items()
        ]
        known = Line("MUWCLASS 2022, with optical/IR", "published", MUWCLASS_RECALL, {})
        return Table("Recall of each class", columns, (*_ordered(lines), known))

    def _strengths(self) -> Table:
        shown = ("balanced", "large")
        columns = (
            *(Column(name, name, "", "none") for name in shown),
            *(Column(name, name, "", "none") for name in CLASSES),
        )
        lines = tuple(
            Line(
                f"p / share^{strength:g}",
                "measured",
                {**{name: e.value for name, e in _estimates(s, shown).items()}, **s.recall},
                {name: each.deviation for name, each in _estimates(s, shown).items()},
            )
            for strength, s in self.result.strengths.items()
        )
        return Table("Decisions: how far class shares are divided out", columns, lines)

    def _paired(self) -> Table:
        comparison = self.result.comparison
        assert comparison is not None
        columns = self._summary().columns
        return Table(
            f"{comparison.ours.n:,} common sources",
            columns,
            (
                _line(evaluation.XRAY, comparison.ours),
                _line("the table compared with", comparison.theirs, YES),
            ),
        )

    def figures(self) -> dict[str, Figure]:
        """Confusion matrices, and reliability curves."""
        found = {}
        for label, scores in self.result.scores.items():
            if label in (evaluation.RATIOS, evaluation.FLUX):
                continue
            drawing = plots.confusion_plot(scores.confusion_KK, CLASSES, label)
            caption = f"{label}: percent of each true class by decision."
            name = f"confusion-{KEYS[label].replace('_', '-')}.png"
            found[name] = Figure(f"Confusion matrix: {label}", caption, style.to_png(drawing))
        drawing = plots.reliability_plot(self._curves(), "Reliability of probabilities")
        caption = "First repeat; probabilities under the class shares of the training rows."
        found["reliability.png"] = Figure("Reliability", caption, style.to_png(drawing))
        return found

    def _curves(self) -> dict[str, Reliability]:
        return {
            label: reliability(answers[0].class_N, answers[0].probability_NK)
            for label, answers in self.result.answers.items()
            if label not in (evaluation.RATIOS, evaluation.FLUX)
        }

    def to_json(self) -> dict[str, Any]:
        """Scores of each protocol, published rows, tables and facts."""
        scores = {KEYS[label]: each.to_json() for label, each in self.result.scores.items()}
        comparison = self.result.comparison
        return {
            "classes": list(CLASSES),
            "folds": self.result.folds,
            "seeds": list(self.result.seeds),
            **scores,
            "by_strength": {f"{s:g}": each.to_json() for s, each in self.result.strengths.items()},
            "compare": None if comparison is None else comparison.to_json(),
            "tables": [table.to_json(each) for each in self.tables],
            "dataset": dict(self.dataset),
            "classifier": asdict(self.result.config),
            "remarks": list(self.remarks),
            "summary": self.flat_metrics(),
        }

    def flat_metrics(self, model: int = 0) -> dict[str, float]:
        """Metrics of one protocol."""
        label = self.labels[model]
        values = self.result.scores[label]
        found = {
            "balanced_accuracy": values.balanced,
            "agn_compact_balanced_accuracy": values.two_groups,
            "large_classes_recall": values.large,
        }
        known = {name: each.value for name, each in found.items() if each is not None}
        known |= {"ece": values.ece, "brier": values.brier}
        return {f"{KEYS[label]}/{name}": value for name, value in known.items()}


def _line(label: str, scores: Scores, optical: str = NO) -> Line:
    estimates = _estimates(scores)
    values = {name: each.value for name, each in estimates.items()}
    plain = {name: getattr(scores, name) for name in ("accuracy", "ece", "brier", "log_loss")}
    return Line(
        label,
        _group(label),
        {**values, **plain},
        {name: each.deviation for name, each in estimates.items()},
        "",
        {"optical": optical, "classes": str(len(scores.recall))},
    )


def _estimates(
    scores: Scores, names: tuple[str, ...] = ("balanced", "two_groups", "large")
) -> dict[str, Estimate]:
    """Scores with intervals by name, of those that the rows have classes for."""
    found = {name: getattr(scores, name) for name in names}
    return {name: each for name, each in found.items() if each is not None}


def _group(label: str) -> Group:
    return "baseline" if label == evaluation.RATIOS else "measured"


def _ordered(lines: list[Line]) -> list[Line]:
    """Lines of one group together."""
    return sorted(lines, key=lambda line: line.group != "measured")
