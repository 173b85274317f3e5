"""Clusters of a representation, labelled by the classes of their members.

Shapes: D number of a representation, K class, M cluster, N source.
"""

from typing import Literal

import numpy as np
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from wolter.spectra.latents.sources import UNKNOWN, Array, Indices

Method = Literal["mixture", "k-means"]
_SPREAD = 1e-3  # least variance of a cluster, of standardised numbers


def cluster_classes(
    method: Method,
    n_clusters: int,
    train_ND: Array,
    train_N: Indices,
    test_ND: Array,
    n_classes: int,
    seed: int = 0,
) -> Indices:
    """Class of each source by the cluster that it falls into.

    Clusters are found without classes. Each then takes the class that is the largest share of its
    members on the training split, where every class weighs the same.

    Args:
        method: Gaussian mixture of full covariances, or k-means.
        n_clusters: number of clusters, M.
        train_ND: standardised, to learn from.
        train_N: classes of these.
        test_ND: to tell the classes of.
        n_classes: K.
        seed: of the first centres.
    """
    n_clusters = min(n_clusters, len(train_ND))
    if method == "mixture":
        model = GaussianMixture(n_clusters, reg_covar=_SPREAD, max_iter=500, random_state=seed)
    else:
        model = KMeans(n_clusters, n_init=3, random_state=seed)
    cell_N = model.fit_predict(train_ND)
    classes: Indices = cell_classes(cell_N, train_N, n_clusters, n_classes)
    found: Indices = classes[model.predict(test_ND)]
    return found


def cell_classes(cell_N: Indices, class_N: Indices, n_cells: int, n_classes: int) -> Indices:
    """Class (M) of each cell: the largest share of its members, all classes weighing the same.

    A cell without members of a known class takes the class that is most frequent in all.
    """
    known_N = class_N != UNKNOWN
    count_MK = np.zeros((n_cells, n_classes))
    np.add.at(count_MK, (cell_N[known_N], class_N[known_N]), 1)
    total_K = count_MK.sum(0)
    label_M: Indices = (count_MK / np.maximum(total_K, 1)).argmax(1)
    label_M[count_MK.sum(1) == 0] = total_K.argmax()
    return label_M
