"""Clusters labelled by the classes of their members."""

import numpy as np
import pytest

from wolter.spectra.latents.clusters import cell_classes, cluster_classes
from wolter.spectra.latents.scores import balanced_accuracy
from wolter.spectra.latents.sources import UNKNOWN


def two_clouds(distance: float, n: int = 400):
    """Two clouds of points, the second five times as frequent, and their classes."""
    generator = np.random.default_rng(1)
    class_N = (np.arange(n) % 6 > 0).astype(int)
    return generator.normal(size=(n, 2)) + distance * class_N[:, None], class_N


@pytest.mark.parametrize("method", ["mixture", "k-means"])
def test_separate_clouds_give_a_balanced_accuracy_of_one(method):
    points_ND, class_N = two_clouds(20.0)
    told_N = cluster_classes(method, 2, points_ND[:300], class_N[:300], points_ND[300:], 2)
    assert balanced_accuracy(class_N[300:], told_N, 2).value == 1.0


@pytest.mark.parametrize("method", ["mixture", "k-means"])
def test_one_cloud_of_two_classes_gives_a_half(method):
    points_ND, class_N = two_clouds(0.0, 3000)
    told_N = cluster_classes(method, 4, points_ND[:2000], class_N[:2000], points_ND[2000:], 2)
    assert balanced_accuracy(class_N[2000:], told_N, 2).value == pytest.approx(0.5, abs=0.08)


def test_a_cell_takes_the_class_that_is_the_largest_share_of_its_members():
    """Two of three rare sources against four of a hundred frequent ones: the rare class."""
    cell_N = np.array([0] * 2 + [1] + [0] * 4 + [1] * 96)
    class_N = np.array([0] * 3 + [1] * 100)
    assert cell_classes(cell_N, class_N, 2, 2).tolist() == [0, 1]


def test_an_empty_cell_takes_the_most_frequent_class_and_unknown_sources_have_no_vote():
    cell_N = np.array([0, 1, 1, 1, 1])
    class_N = np.array([0, 1, 1, UNKNOWN, UNKNOWN])
    assert cell_classes(cell_N, class_N, 3, 2).tolist() == [0, 1, 1]
