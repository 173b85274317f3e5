"""Classes read from representations: clusters, nearest neighbours and linear probes, as tables.

Shapes: M source of the training split, N source that is judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from wolter.report.table import Column, Line, Table
from wolter.spectra.latents.clusters import cluster_classes
from wolter.spectra.latents.groups import two_groups
from wolter.spectra.latents.networks import network_classes, spectrum_classes
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.probes import (
    NEIGHBOURS,
    best_number,
    linear_classes,
    nearest,
    neighbour_classes,
    split_rows,
)
from wolter.spectra.latents.representations import Representation
from wolter.spectra.latents.scores import ALL, Mask, Score, balanced_accuracy, by_counts
from wolter.spectra.latents.scores import columns as by_columns
from wolter.spectra.latents.sources import UNKNOWN, Array, Indices, Sources
from wolter.spectra.latents.study import Study

Classify = Callable[[Array, Indices, Array, int], Indices]
"""From numbers and classes to learn from, and numbers to judge, to classes; the last: how many."""


HEADINGS = {
    "mixture": "mixture",
    "kmeans": "k-means",
    "knn3": "3 nearest",
    "knn": "nearest, tuned",
    "linear": "logistic",
    "network": "network",
}
SUPERVISED = "supervised network on full spectra"
PUBLISHED = (
    "Pinciroli Vago, Martinez-Galarza & Amato 2025, arXiv 2510.14102: Chandra spectra of high "
    "significance, classes of the latents' clusters; the method of clustering is not known here"
)
NOT_ASKED = (
    "No classes were told apart: one of the two splits has sources of fewer than two known classes."
)
CROSSED = (
    "Classes were told by cross-validation: the judged spectra in {} parts by source, each taught "
    "by some {:,} spectra of the others."
)
PUBLISHED_ACCURACIES = {"classes": 40.0, "two_groups": 69.0}


@dataclass(frozen=True)
class Question:
    """Classes that are to be told apart.

    Attributes:
        name: part of the names of metrics.
        title: part of the title of tables.
        train_M: classes of the training split, `UNKNOWN` for sources that take no part.
        test_N: classes of the split that is judged.
        n_classes: number of classes.
    """

    name: str
    title: str
    train_M: Indices
    test_N: Indices
    n_classes: int

    @property
    def can_be_judged(self) -> bool:
        """True if both splits have sources of two classes or more."""
        both = (self.train_M, self.test_N)
        return all(len(set(each.tolist()) - {UNKNOWN}) > 1 for each in both)


def questions(train: Sources, test: Sources) -> tuple[Question, ...]:
    """All classes; and active galactic nuclei against compact objects.

    Each where both splits have sources of two or more of them.
    """
    names = train.spec.classes
    groups = (two_groups(train.class_N, names), two_groups(test.class_N, names))
    asked = (
        Question("classes", f"{len(names)} classes", train.class_N, test.class_N, len(names)),
        Question("two_groups", "AGN against compact objects", *groups, 2),
    )
    return tuple(each for each in asked if each.can_be_judged)


def methods(clusters: int, seed: int) -> dict[str, tuple[str, Classify]]:
    """Ways to tell classes from a representation: title and function by name."""
    chosen = "nearest neighbours, their number chosen on a fifth of the training split"
    return {
        "mixture": (
            f"Gaussian mixture of {clusters}",
            partial(cluster_classes, "mixture", clusters, seed=seed),
        ),
        "kmeans": (
            f"k-means of {clusters}",
            partial(cluster_classes, "k-means", clusters, seed=seed),
        ),
        "knn3": ("3 nearest neighbours", partial(_by_neighbours, number=3)),
        "knn": (chosen, partial(_by_neighbours, seed=seed)),
        "linear": ("logistic regression", linear_classes),
        "network": ("network of two layers", partial(network_classes, seed=seed)),
    }


def _by_neighbours(
    train: Array, known: Indices, test: Array, k: int, number: int = 0, seed: int = 0
) -> Indices:
    if not number:
        learn, held = split_rows(len(train), seed)
        near = nearest(train[learn], train[held])
        scores = []
        for each in NEIGHBOURS:
            told = neighbour_classes(near[:, :each], known[learn], k)
            score = balanced_accuracy(known[held], told, k)
            scores.append(score.value if score is not None else 0.0)
        number = best_number(scores)
    return neighbour_classes(nearest(train, test, number), known, k)


def classify(
    studies: Sequence[Study], asked: Sequence[Question], classify_by: Classify
) -> dict[str, dict[str, Score]]:
    """Balanced accuracy of each representation, by counts.

    Args:
        studies: one, or one of each part of the sources, whose answers are put together.
        asked: the classes, of each.
        classify_by: one of `methods`.
    """
    found = {}
    for i, row in enumerate(studies[0].representations):
        told = [
            _told(each.representations[i], question, classify_by)
            for each, question in zip(studies, asked, strict=True)
        ]
        found[row.label] = accuracies(studies, asked, told)
    return found


def _told(row: Representation, question: Question, classify_by: Classify) -> Indices:
    learn_M, judged_N = question.train_M != UNKNOWN, question.test_N != UNKNOWN
    told_N = np.full(len(question.test_N), UNKNOWN)
    told_N[judged_N] = classify_by(
        row.train_ND[learn_M],
        question.train_M[learn_M],
        row.test_ND[judged_N],
        question.n_classes,
    )
    return told_N


def accuracies(
    studies: Sequence[Study], asked: Sequence[Question], told: Sequence[Indices]
) -> dict[str, Score]:
    """Balanced accuracy of the classes that were told in each study, by counts."""
    counts_N = np.concatenate([each.test.counts_N for each in studies])
    class_N = np.concatenate([each.test_N for each in asked])
    told_N = np.concatenate(told)

    def accuracy(mask_N: Mask) -> Score | None:
        return balanced_accuracy(class_N[mask_N], told_N[mask_N], asked[0].n_classes)

    return by_counts(accuracy, np.where(class_N == UNKNOWN, np.nan, counts_N))


Found = Mapping[str, Mapping[str, Mapping[str, Score]]]
"""Balanced accuracies by way to tell classes, representation and range of counts."""


def summary_table(
    question: Question,
    found: Found,
    supervised: Mapping[str, Score],
    rows: Sequence[Representation],
    origin: str,
) -> Table:
    """Balanced accuracies of all sources in percent: a column a way to tell classes."""
    columns = tuple(Column(name, HEADINGS[name], "%", "most") for name in found)
    lines = [
        _line(
            each, {name: scores[each.label].get(ALL.name) for name, scores in found.items()}, origin
        )
        for each in rows
    ]
    published = PUBLISHED_ACCURACIES[question.name]
    row = "latents, clustered (real)"
    lines.append(Line(row, "published", {"mixture": published}, {}, PUBLISHED))
    lines.append(_limit({"network": supervised.get(ALL.name)}, origin))
    return Table(f"Balanced accuracy: {question.title}", columns, tuple(lines))


def table(
    title: str,
    found: Mapping[str, Mapping[str, Score]],
    supervised: Mapping[str, Score],
    rows: Sequence[Representation],
    origin: str,
) -> Table:
    """Balanced accuracies in percent: a row a representation, a column a range of counts."""
    lines = [_line(each, found[each.label], origin) for each in rows]
    lines.append(_limit(supervised, origin))
    return Table(f"Balanced accuracy by counts, percent: {title}", by_columns("most"), tuple(lines))


def shares_table(
    question: Question,
    found: Found,
    supervised: Mapping[str, Score],
    rows: Sequence[Representation],
    origin: str,
) -> Table:
    """Shares in percent of the balanced accuracy of the supervised network, by counts.

    The error is that of the row's accuracy alone, as both are of the same sources.
    """
    lines = []
    for each in rows:
        for name, scores in found.items():
            own = scores[each.label]
            known = [key for key in own if key in supervised and supervised[key].value > 0]
            ratio = {key: 100 * own[key].value / supervised[key].value for key in known}
            error = {key: 100 * own[key].error / supervised[key].value for key in known}
            label = f"{each.label}, {HEADINGS[name]} ({origin})"
            lines.append(Line(label, each.group, ratio, error))
    title = f"Share of the supervised network's balanced accuracy, percent: {question.title}"
    return Table(title, by_columns("most"), tuple(lines))


def _line(row: Representation, scores: Mapping[str, Score | None], origin: str) -> Line:
    values, errors = _percent(scores)
    return Line(f"{row.label} ({origin})", row.group, values, errors)


def _limit(scores: Mapping[str, Score | None], origin: str) -> Line:
    values, errors = _percent(scores)
    return Line(f"{SUPERVISED} ({origin})", "limit", values, errors)


def _percent(scores: Mapping[str, Score | None]) -> tuple[dict[str, float], dict[str, float]]:
    known = {name: score for name, score in scores.items() if score is not None}
    values = {name: 100 * score.value for name, score in known.items()}
    return values, {name: 100 * score.error for name, score in known.items()}


def part(study: Study) -> Part:
    """Classes by clusters, neighbours and probes, beside a supervised network on full spectra."""
    options, studies = study.options, study.folds
    summaries, shares, tables = [], [], []
    metrics: dict[str, dict[str, float]] = {label: {} for label in study.labels}
    ways = methods(options.clusters, options.seed)
    # What cannot be asked of one of the parts is not asked.
    of_each = [{each.name: each for each in questions(one.train, one.test)} for one in studies]
    names = [name for name in of_each[0] if all(name in found for found in of_each)]
    if not names:
        return Part(remarks=(NOT_ASKED,))
    rows = studies[0].representations
    for asked in ([found[name] for found in of_each] for name in names):
        question = asked[0]
        found = {name: classify(studies, asked, by) for name, (_, by) in ways.items()}
        told = [
            spectrum_classes(one.train, each.train_M, one.test, each.n_classes, options.seed)
            for one, each in zip(studies, asked, strict=True)
        ]
        supervised = accuracies(studies, asked, told)
        summaries.append(summary_table(question, found, supervised, rows, study.origin))
        shares.append(shares_table(question, found, supervised, rows, study.origin))
        for name, (title, _) in ways.items():
            heading = f"{question.title}, {title}"
            tables.append(table(heading, found[name], supervised, rows, study.origin))
            for label in study.labels:
                own = found[name][label].get(ALL.name)
                if own is not None:
                    metrics[label][f"balanced_accuracy_{question.name}_{name}"] = 100 * own.value
                    if ALL.name in supervised:
                        share = 100 * own.value / supervised[ALL.name].value
                        metrics[label][f"share_of_supervised_{question.name}_{name}"] = share
    remarks = (CROSSED.format(len(studies), len(studies[0].train)),) if len(studies) > 1 else ()
    return Part((*summaries, *shares, *tables), metrics, remarks=remarks)
