"""Evidence of each group of features for a decision: change of log-odds without the group.

Shapes: G group of features, K class, N row, R reference row, X feature.
"""

from collections.abc import Sequence

import numpy as np

from wolter.spectra.catalogue_rows.classifier import RowClassifier
from wolter.spectra.catalogue_rows.metrics import Array, Indices

REFERENCES = 20  # training rows that stand in for what is not known
LEAST = 1e-6  # probability; the log-odds of zero have no value


def evidence(
    classifier: RowClassifier,
    values_NX: Array,
    decided_N: Indices,
    groups: Sequence[Sequence[int]],
    training_NX: Array,
    seed: int = 0,
) -> Array:
    """Evidence (N, G) of each group of features for the decided class, in nats.

    ln odds(p with all features) - ln odds(p without the group), where p without the group is the
    mean probability over values of the group in random training rows (Robnik-Sikonja & Kononenko
    2008, weight of evidence). Positive: the group speaks for the class. Groups share information,
    so that their evidences do not add up to the log-odds.

    Args:
        classifier: trained classifier.
        values_NX: features of the rows.
        decided_N: class that was decided for each row.
        groups: indices of the features of each group.
        training_NX: features of the training rows.
        seed: seed of the choice of training rows.
    """
    rng = np.random.default_rng(seed)
    n_references = min(REFERENCES, len(training_NX))
    reference_RX = training_NX[rng.choice(len(training_NX), n_references, replace=False)]
    own_N = _log_odds(classifier.probabilities(values_NX), decided_N)
    evidence_NG = np.empty((len(values_NX), len(groups)))
    for g, columns in enumerate(groups):
        without_NK = np.zeros((len(values_NX), len(classifier.prior_K)))
        for reference_X in reference_RX:
            changed_NX = values_NX.copy()
            changed_NX[:, columns] = reference_X[columns]
            without_NK += classifier.probabilities(changed_NX) / len(reference_RX)
        evidence_NG[:, g] = own_N - _log_odds(without_NK, decided_N)
    return evidence_NG


def _log_odds(probability_NK: Array, class_N: Indices) -> Array:
    own_N = np.clip(probability_NK[np.arange(len(class_N)), class_N], LEAST, 1 - LEAST)
    return np.asarray(np.log(own_N / (1 - own_N)), float)
