"""Nearest neighbours and linear probes."""

import numpy as np

from wolter.spectra.latents.probes import (
    linear_classes,
    linear_values,
    nearest,
    neighbour_classes,
    neighbour_medians,
    split_rows,
)


def test_a_copy_of_the_training_split_is_nearest_to_itself():
    points_MD = np.random.default_rng(0).normal(size=(50, 3))
    near_NJ = nearest(points_MD, points_MD, 4)
    assert near_NJ.shape == (50, 4)
    assert near_NJ[:, 0].tolist() == list(range(50))


def test_votes_of_a_rare_class_weigh_more():
    class_M = np.array([0] * 10 + [1] * 90)
    near_NJ = np.array([[0, 50, 51], [50, 51, 52]])
    assert neighbour_classes(near_NJ, class_M, 2).tolist() == [0, 1]


def test_the_median_of_neighbours_ignores_an_outlier():
    value_M = np.array([1.0, 2.0, 300.0])
    assert neighbour_medians(np.array([[0, 1, 2]]), value_M).tolist() == [2.0]


def test_linear_probes_read_what_is_linear():
    generator = np.random.default_rng(0)
    points_MD = generator.normal(size=(2000, 4))
    value_M = points_MD @ [1.0, -2.0, 0.0, 0.5]
    other_ND = generator.normal(size=(100, 4))
    truth_N = other_ND @ [1.0, -2.0, 0.0, 0.5]
    told_N = linear_values(points_MD, value_M, other_ND)
    np.testing.assert_allclose(told_N, truth_N, atol=0.01)
    class_N = linear_classes(points_MD, (value_M > 0).astype(int), other_ND, 2)
    assert (class_N == (truth_N > 0)).mean() > 0.97


def test_held_out_rows_are_a_fifth_and_none_is_lost():
    learn, held = split_rows(100, seed=4)
    assert len(held) == 20
    assert sorted([*learn, *held]) == list(range(100))
