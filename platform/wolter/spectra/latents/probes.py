"""Probes of a representation: what nearest neighbours and linear models read from it.

Shapes: D number of a representation, J neighbour, K class, M source of the training split,
N source that is judged.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors

from wolter.spectra.latents.sources import UNKNOWN, Array, Indices

NEIGHBOURS = (3, 5, 10, 20, 40, 80)
"""Numbers of neighbours that are tried; 3 is what the reference's second paper takes."""
_HELD_OUT = 0.2  # share of the training split by which the number of neighbours is chosen


def nearest(train_MD: Array, test_ND: Array, n: int = NEIGHBOURS[-1]) -> Indices:
    """Indices (N, J) of the nearest sources of the training split, nearest first."""
    n = min(n, len(train_MD))
    found: Indices = (
        NearestNeighbors(n_neighbors=n).fit(train_MD).kneighbors(test_ND, return_distance=False)
    )
    return found


def neighbour_classes(nearest_NJ: Indices, class_M: Indices, n_classes: int) -> Indices:
    """Class (N) by the neighbours' votes, where each class weighs the same in all."""
    total_K = np.bincount(class_M[class_M != UNKNOWN], minlength=n_classes)
    weight_K = 1 / np.maximum(total_K, 1)
    vote_NJ = class_M[nearest_NJ]
    score_NK = np.zeros((len(nearest_NJ), n_classes))
    for k in range(n_classes):
        score_NK[:, k] = weight_K[k] * (vote_NJ == k).sum(1)
    found: Indices = score_NK.argmax(1)
    return found


def neighbour_means(nearest_NJ: Indices, value_M: Array) -> Array:
    """Mean (N) of the neighbours' values."""
    mean_N: Array = value_M[nearest_NJ].mean(1)
    return mean_N


def neighbour_medians(nearest_NJ: Indices, value_M: Array) -> Array:
    """Median (N) of the neighbours' values, which the mean absolute error asks for."""
    median_N: Array = np.median(value_M[nearest_NJ], axis=1)
    return median_N


def split_rows(n: int, seed: int = 0) -> tuple[Indices, Indices]:
    """Rows to learn from and rows held out, of `n` rows."""
    order_N = np.random.default_rng(seed).permutation(n)
    held = max(1, round(_HELD_OUT * n))
    return order_N[held:], order_N[:held]


def linear_classes(
    train_MD: Array,
    class_M: Indices,
    test_ND: Array,
    n_classes: int,  # noqa: ARG001  # as of the other ways to tell classes
) -> Indices:
    """Class (N) by logistic regression, where each class weighs the same."""
    known_M = class_M != UNKNOWN
    model = LogisticRegression(class_weight="balanced", max_iter=2000)
    model.fit(train_MD[known_M], class_M[known_M])
    found: Indices = model.predict(test_ND)
    return found


def linear_values(train_MD: Array, value_M: Array, test_ND: Array) -> Array:
    """Values (N) by ridge regression."""
    model = Ridge(alpha=1.0).fit(train_MD, value_M)
    found: Array = model.predict(test_ND)
    return found


def best_number(scores: Sequence[float]) -> int:
    """The number of `NEIGHBOURS` with the largest score."""
    return NEIGHBOURS[int(np.argmax(scores))]
