"""Classes of catalogue rows as a table: probabilities, decision, evidence and flags.

Shapes: G group of features, K class, N row.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wolter.outputs import Output
from wolter.spectra.catalogue_rows.classifier import ClassifierConfig, train
from wolter.spectra.catalogue_rows.columns import CLASSES, COMPACT, CatalogueRows
from wolter.spectra.catalogue_rows.evidence import evidence
from wolter.spectra.catalogue_rows.features import GROUPS, Features, features, outside
from wolter.spectra.catalogue_rows.metrics import Array, Indices
from wolter.spectra.outputs import class_column

if TYPE_CHECKING:
    from astropy.table import Table

STRONG = 0.5  # nat: evidence that is worth naming


def classify(
    rows: CatalogueRows, labelled: CatalogueRows, config: ClassifierConfig, latitude: bool = False
) -> "Table":
    """Classes of catalogue rows, learnt from labelled rows.

    Args:
        rows: rows to classify.
        labelled: rows with a class.
        config: settings of the classifier.
        latitude: use the absolute Galactic latitude; rows need positions.

    Returns:
        A row a source: `name`, `class`, `p_<class>`, `p_compact`, `evidence_<group>`, `decided_by`,
        `flag`.

    Raises:
        InputError: the labelled rows are too few.
    """
    own, known = features(rows, latitude), features(labelled, latitude)
    classifier = train(known.values_NX, labelled.class_N, config)
    probability_NK = classifier.probabilities(own.values_NX)
    decided_N = classifier.decide(probability_NK)
    groups = {group: own.columns(group) for group in GROUPS if own.columns(group)}
    evidence_NG = evidence(
        classifier,
        own.values_NX,
        decided_N,
        list(groups.values()),
        known.values_NX,
        config.seed,
    )
    in_training_N = rows.also_in(labelled)
    flags = _flags(own, known, in_training_N)
    return _table(rows, probability_NK, decided_N, evidence_NG, tuple(groups), flags)


def outputs() -> tuple[Output, ...]:
    """Columns of the table that are numbers."""
    share = "under the class shares of the training rows"
    return (
        *(Output(class_column(name), f"probability of {name}, {share}") for name in CLASSES),
        Output("p_compact", f"probability of {', '.join(COMPACT)} together, {share}"),
        *(
            Output(f"evidence_{group}", f"change of log-odds of the class by {about}, nat")
            for group, about in GROUPS.items()
        ),
    )


def _flags(own: Features, known: Features, in_training_N: NDArray[np.bool_]) -> list[str]:
    """What a reader must know of each row."""
    missing_NX = np.isnan(own.values_NX)
    outside_N = outside(own.values_NX, known.values_NX, own.names)
    found = []
    for i, beyond in enumerate(outside_N):
        told = [f"missing:{own.names[x]}" for x in np.flatnonzero(missing_NX[i])]
        told += [f"outside_training:{name}" for name in beyond]
        told += ["in_training"] if in_training_N[i] else []
        found.append(";".join(told))
    return found


def _table(
    rows: CatalogueRows,
    probability_NK: Array,
    decided_N: Indices,
    evidence_NG: Array,
    groups: tuple[str, ...],
    flags: list[str],
) -> "Table":
    from astropy.table import Table

    values: Mapping[str, Array] = {
        **{class_column(name): probability_NK[:, k] for k, name in enumerate(CLASSES)},
        "p_compact": probability_NK[:, [CLASSES.index(name) for name in COMPACT]].sum(1),
        **{f"evidence_{group}": evidence_NG[:, g] for g, group in enumerate(groups)},
    }
    table = Table({"name": rows.name_N, "class": np.array(CLASSES)[decided_N]})
    table["class"].description = "decision, most of the class shares divided out"
    for output in outputs():
        if output.name in values:
            table[output.name] = values[output.name]
            table[output.name].description = output.about
    table["decided_by"] = [_decided_by(evidence_G, groups) for evidence_G in evidence_NG]
    table["decided_by"].description = "evidence for (+) and against (-) the class, nat"
    table["flag"] = flags
    return table


def _decided_by(evidence_G: Array, groups: tuple[str, ...]) -> str:
    """Groups with evidence of some weight, the strongest first."""
    order = np.argsort(-np.abs(evidence_G), kind="stable")
    told = [f"{groups[g]} {evidence_G[g]:+.1f}" for g in order if abs(evidence_G[g]) >= STRONG]
    return ", ".join(told) or "class shares"
