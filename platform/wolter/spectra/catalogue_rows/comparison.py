"""Paired comparison with the class probabilities of another classifier on common sources.

Shapes: K class, N common row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wolter.errors import InputError
from wolter.report.bootstrap import Estimate
from wolter.spectra.catalogue_rows.columns import CLASSES, CatalogueRows
from wolter.spectra.catalogue_rows.cross_validation import (
    AGN_INDEX,
    COMPACT_INDEX,
    Answers,
)
from wolter.spectra.catalogue_rows.metrics import Array, Indices
from wolter.spectra.catalogue_rows.scores import Scores, mean_recall, score
from wolter.spectra.catalogue_rows.table_files import read_columns


@dataclass(frozen=True)
class Comparison:
    """Two classifiers on the same sources.

    Attributes:
        ours: our scores.
        theirs: theirs; their decision is the most probable class.
        both_right: sources (mean over repeats) that both classify rightly.
        only_ours: sources that only ours classifies rightly.
        only_theirs: sources that only theirs classifies rightly.
        difference: balanced accuracy, ours less theirs, with paired bootstrap intervals.
    """

    ours: Scores
    theirs: Scores
    both_right: float
    only_ours: float
    only_theirs: float
    difference: Estimate

    def to_json(self) -> dict[str, Any]:
        """Numbers by name."""
        return {
            "uses_optical_infrared": True,
            "ours": self.ours.to_json(),
            "theirs": self.theirs.to_json(),
            "both_right": self.both_right,
            "only_ours_right": self.only_ours,
            "only_theirs_right": self.only_theirs,
            "balanced_accuracy_difference": self.difference.value,
            "balanced_accuracy_difference_interval_95": list(self.difference.interval_95),
        }


def read_probabilities(path: Path) -> dict[str, Array]:
    """Class probabilities (K) of sources by name, from columns `name` and `P_<class>`.

    Sources with a probability that is missing are left out.

    Raises:
        InputError: the file is unreadable, or a column is missing.
    """
    columns = read_columns(path)
    wanted = ["name", *(f"P_{name}" for name in CLASSES)]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; give {', '.join(wanted)}")
    try:
        probability_NK = np.stack([columns[name].astype(float) for name in wanted[1:]], 1)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: a probability is no number ({error})") from error
    return {
        str(name).strip(): row
        for name, row in zip(columns["name"], probability_NK, strict=True)
        if np.isfinite(row).all()
    }


def compare(rows: CatalogueRows, repeats: Sequence[Answers], path: Path) -> Comparison:
    """Compare our answers with those of a table, on the sources that both have.

    Raises:
        InputError: see `read_probabilities`; or no source is common.
    """
    theirs = read_probabilities(path)
    common = np.flatnonzero([name in theirs for name in rows.name_N])
    if not len(common):
        raise InputError(f"{path}: no source of the labelled rows; give a table of the same names")
    own = [_subset(answers, common) for answers in repeats]
    probability_NK = np.stack([theirs[name] for name in rows.name_N[common]])
    other = _answers(own[0].class_N, probability_NK)
    right_N = np.mean([a.decided_N == a.class_N for a in own], 0)
    other_N = (other.decided_N == other.class_N).astype(float)
    return Comparison(
        ours=score(own),
        theirs=score([other]),
        both_right=float((right_N * other_N).sum()),
        only_ours=float((right_N * (1 - other_N)).sum()),
        only_theirs=float(((1 - right_N) * other_N).sum()),
        difference=mean_recall(right_N - other_N, other.class_N),
    )


def _subset(answers: Answers, index: Indices) -> Answers:
    return replace(answers, **{name: values[index] for name, values in vars(answers).items()})


def _answers(class_N: Indices, probability_NK: Array) -> Answers:
    """Answers by the most probable class or group, as published: shares were balanced before."""
    even_K = np.full(len(CLASSES), 1 / len(CLASSES))
    compact_N = probability_NK[:, COMPACT_INDEX].sum(1) > probability_NK[:, AGN_INDEX].sum(1)
    return Answers(
        class_N,
        probability_NK,
        np.tile(even_K, (len(class_N), 1)),
        probability_NK.argmax(1),
        compact_N.astype(np.int64),
    )
