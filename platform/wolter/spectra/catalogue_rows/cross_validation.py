"""Cross-validation of the classifier of catalogue rows: stratified, by field of sky, across flux.

Shapes: K class, N row, X feature.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import DBSCAN
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from wolter.errors import InputError
from wolter.spectra.catalogue_rows.classifier import ClassifierConfig, train
from wolter.spectra.catalogue_rows.columns import CLASSES, COMPACT, CatalogueRows
from wolter.spectra.catalogue_rows.metrics import Array, Indices, decide, group_decision

AGN_INDEX = np.array([CLASSES.index("AGN")])
COMPACT_INDEX = np.array([CLASSES.index(name) for name in COMPACT])
FIELD_DEG = 1.0  # sources nearer than this, and their neighbours' neighbours, are one field
Splits = Sequence[tuple[Indices, Indices]]


@dataclass(frozen=True)
class Answers:
    """Answers for labelled rows that the classifier was not trained on.

    Attributes:
        class_N: true classes.
        probability_NK: probabilities under the class shares of the training rows.
        prior_NK: those shares, for each row those of its own fold.
        decided_N: decisions.
        compact_N: True where a compact object is decided rather than an AGN.
    """

    class_N: Indices
    probability_NK: Array
    prior_NK: Array
    decided_N: Indices
    compact_N: Indices

    def decide(self, strength: float) -> Indices:
        """Decisions with another correction for class shares; see `metrics.decide`."""
        return decide(self.probability_NK, self.prior_NK, strength)


def cross_validate(
    values_NX: Array,
    class_N: Indices,
    splits: Splits,
    config: ClassifierConfig,
    on_split: Callable[[int], None] | None = None,
) -> Answers:
    """Train on the first rows of each split and answer for its second rows.

    Args:
        values_NX: features.
        class_N: classes.
        splits: training and test rows; the test rows of all splits are the answers, in order.
        config: settings of the classifier.
        on_split: told of each split that is done.
    """
    found = []
    for training, test in splits:
        found.append(answer(values_NX[training], class_N[training], values_NX[test], config))
        if on_split is not None:
            on_split(1)
    test_N = np.concatenate([test for _, test in splits])
    probability_NK, prior_NK, decided_N, compact_N = (
        np.concatenate(each) for each in zip(*found, strict=True)
    )
    order_N = np.argsort(test_N, kind="stable")
    return Answers(
        class_N[test_N[order_N]],
        probability_NK[order_N],
        prior_NK[order_N],
        decided_N[order_N],
        compact_N[order_N],
    )


def answer(
    training_NX: Array, class_N: Indices, values_NX: Array, config: ClassifierConfig
) -> tuple[Array, Array, Indices, Indices]:
    """Probabilities, priors, decisions and group decisions of rows, after training on others."""
    classifier = train(training_NX, class_N, config)
    probability_NK = classifier.probabilities(values_NX)
    compact_N = group_decision(
        probability_NK, classifier.prior_K, AGN_INDEX, COMPACT_INDEX, classifier.strength
    )
    prior_NK = np.tile(classifier.prior_K, (len(values_NX), 1))
    return probability_NK, prior_NK, classifier.decide(probability_NK), compact_N.astype(np.int64)


def stratified(class_N: Indices, folds: int, seed: int) -> Splits:
    """Folds that each hold the same share of every class.

    Raises:
        InputError: a class has fewer rows than there are folds.
    """
    count_K = np.bincount(class_N, minlength=len(CLASSES))
    few = [name for name, count in zip(CLASSES, count_K, strict=True) if 0 < count < folds]
    if few or folds < 2:
        raise InputError(
            f"--folds {folds}: give 2 or more, and no more than the rows of each class"
            + (f" ({', '.join(few)} has fewer)" if few else "")
        )
    folded = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return list(folded.split(class_N, class_N))


def by_field(rows: CatalogueRows, folds: int, seed: int) -> Splits:
    """Folds that part no field of sky: all sources of a field are in one fold.

    Raises:
        InputError: there are fewer fields than folds.
    """
    field_N = fields_of(rows)
    fields = len(np.unique(field_N))
    if fields < folds:
        raise InputError(f"sources in {fields} fields of sky; needed: {folds}, one for each fold")
    folded = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    splits = folded.split(rows.class_N, rows.class_N, field_N)
    return [(training, test) for training, test in splits if len(test)]


def fields_of(rows: CatalogueRows, distance_deg: float = FIELD_DEG) -> Indices:
    """Field of each row: sources linked by angular distances below `distance_deg`."""
    position_N2 = np.radians(np.stack([rows.dec_N, rows.ra_N], 1))
    linked = DBSCAN(eps=np.radians(distance_deg), min_samples=1, metric="haversine")
    return np.asarray(linked.fit_predict(position_N2), np.int64)


def across_flux(rows: CatalogueRows, parts: int = 4) -> Splits:
    """Splits that leave out a part of the range of flux each: no test flux is one of training."""
    order_N = np.argsort(rows.flux_NB.sum(1), kind="stable")
    tests = np.array_split(order_N, parts)
    return [
        (np.concatenate([tests[j] for j in range(parts) if j != i]), test)
        for i, test in enumerate(tests)
    ]
