"""Classifier of catalogue rows: boosted trees and quadratic logistic regression, averaged.

Trained in seconds from the labelled rows each time; nothing is stored. The probabilities are those
under the class shares of the training rows. The decision is another output: it divides most of the
shares out, so that rare classes are found.

Shapes: K class, N row, X feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, QuantileTransformer, StandardScaler

from wolter.errors import InputError
from wolter.spectra.catalogue_rows.columns import CLASSES
from wolter.spectra.catalogue_rows.metrics import (
    Array,
    Indices,
    balanced_accuracy,
    confusion_matrix,
    decide,
)

FEWEST = 2  # rows of a class to learn from
INNER_FOLDS = 3  # of the training rows, by which a strength is chosen
STRENGTHS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Member(Protocol):
    """A scikit-learn classifier."""

    classes_: Any

    def fit(self, values_NX: Array, class_N: Indices) -> Any:
        """Learn from labelled rows."""

    def predict_proba(self, values_NX: Array) -> Array:
        """Probabilities (N, K) of the classes in `classes_`."""


@dataclass(frozen=True)
class ClassifierConfig:
    """Settings of the classifier.

    Attributes:
        strength: how far decisions divide class shares out, 0 (most probable class) to 1 (highest
            balanced accuracy for exact probabilities). Probabilities of classes with tens of rows
            are uncertain: at 1, rare classes may take too many rows of the large ones. None: the
            one of `STRENGTHS` whose balanced accuracy is highest in a cross-validation of the
            training rows among themselves.
        iterations: boosting rounds.
        learning_rate: of the boosting.
        leaves: leaves of a tree.
        inverse_penalty: inverse of the L2 penalty of the logistic regression.
        seed: seed of the trees.
    """

    strength: float | None = None
    iterations: int = 100
    learning_rate: float = 0.05
    leaves: int = 8
    inverse_penalty: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the strength."""
        if self.strength is not None and not 0 <= self.strength <= 1:
            raise InputError(f"strength {self.strength:g}: give 0 to 1")


@dataclass(frozen=True)
class RowClassifier:
    """A trained classifier.

    Attributes:
        members: trained classifiers, averaged with equal weights.
        prior_K: share of each class among the training rows.
        strength: see `ClassifierConfig`; the one that was given or chosen.
        used_X: features that are learnt from: those with two values or more.
    """

    members: Sequence[Member]
    prior_K: Array
    strength: float
    used_X: NDArray[np.bool_]

    def probabilities(self, values_NX: Array) -> Array:
        """Probabilities (N, K) of each class under the class shares of the training rows."""
        probability_NK = np.zeros((len(values_NX), len(self.prior_K)))
        for member in self.members:
            probability_NK[:, member.classes_] += member.predict_proba(values_NX[:, self.used_X])
        return probability_NK / len(self.members)

    def decide(self, probability_NK: Array) -> Indices:
        """Class of each row, corrected for class shares."""
        return decide(probability_NK, self.prior_K, self.strength)


def train(
    values_NX: Array, class_N: Indices, config: ClassifierConfig | None = None
) -> RowClassifier:
    """Train the classifier.

    Args:
        values_NX: features; NaN where missing.
        class_N: class of each row, index into `CLASSES`.
        config: settings.

    Raises:
        InputError: fewer than two classes, or a class with fewer than `FEWEST` rows.
    """
    config = config or ClassifierConfig()
    count_K = np.bincount(class_N, minlength=len(CLASSES))
    if (count_K > 0).sum() < 2:
        raise InputError("labelled rows of one class; give rows of two classes or more")
    few = [
        f"{CLASSES[k]} ({count_K[k]})" for k in np.flatnonzero((count_K > 0) & (count_K < FEWEST))
    ]
    if few:
        raise InputError(
            f"too few rows of class {', '.join(few)}; give {FEWEST} or more, or leave it out"
        )
    strength = config.strength
    if strength is None:
        strength = _chosen(values_NX, class_N, config)
    members = (_trees(config), _logistic(config, len(class_N)))
    used_X = np.fmin.reduce(values_NX) < np.fmax.reduce(values_NX)
    for member in members:
        member.fit(values_NX[:, used_X], class_N)
    return RowClassifier(members, count_K / count_K.sum(), strength, used_X)


def _chosen(values_NX: Array, class_N: Indices, config: ClassifierConfig) -> float:
    """Strength of the highest balanced accuracy for rows that were not trained on."""
    count_K = np.bincount(class_N, minlength=len(CLASSES))
    folds = min(INNER_FOLDS, int(count_K[count_K > 0].min()) // FEWEST)
    if folds < 2:  # too few rows of a class to judge by
        return STRENGTHS[-1]
    own = replace(config, strength=STRENGTHS[-1])
    probability_NK = np.zeros((len(class_N), len(CLASSES)))
    prior_NK = np.zeros_like(probability_NK)
    splits = StratifiedKFold(folds, shuffle=True, random_state=config.seed)
    for training, test in splits.split(class_N, class_N):
        classifier = train(values_NX[training], class_N[training], own)
        probability_NK[test] = classifier.probabilities(values_NX[test])
        prior_NK[test] = classifier.prior_K

    def accuracy(strength: float) -> float:
        decided_N = decide(probability_NK, prior_NK, strength)
        return balanced_accuracy(confusion_matrix(class_N, decided_N, len(CLASSES)))

    return max(STRENGTHS, key=accuracy)


def _trees(config: ClassifierConfig) -> Member:
    """Boosted trees: sharp borders, and missing values as they are."""
    trees: Member = HistGradientBoostingClassifier(
        max_iter=config.iterations,
        learning_rate=config.learning_rate,
        max_leaf_nodes=config.leaves,
        min_samples_leaf=10,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=config.seed,
    )
    return trees


def _logistic(config: ClassifierConfig, rows: int) -> Member:
    """Logistic regression on squares and products of features: smooth, goes on beyond the data."""
    model: Member = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        QuantileTransformer(
            output_distribution="normal", n_quantiles=min(200, rows), random_state=config.seed
        ),
        PolynomialFeatures(2),
        StandardScaler(),
        LogisticRegression(C=config.inverse_penalty, max_iter=1000),
    )
    return model
