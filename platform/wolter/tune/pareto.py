"""Pareto front of candidates with several metrics.

Shapes: N candidates, M metrics.
"""

import numpy as np
from numpy.typing import NDArray


def front(objective_NM: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask of non-dominated candidates (N): no other is as good in all metrics and better in one.

    Args:
        objective_NM: finite, the lower the better.
    """
    below_NNM = objective_NM[:, None] <= objective_NM
    strictly_NNM = objective_NM[:, None] < objective_NM
    dominates_NN = below_NNM.all(2) & strictly_NNM.any(2)
    return np.logical_not(dominates_NN.any(axis=0))


def best_mean_rank(objective_NM: NDArray[np.float64]) -> int:
    """Candidate with the best mean rank over the metrics; always on the front.

    Ranks know neither units nor how far off the worst candidates are; the first of equals wins.

    Args:
        objective_NM: finite, the lower the better; N of at least 1.
    """
    better_NNM = objective_NM < objective_NM[:, None]
    return int(better_NNM.sum((1, 2)).argmin())
