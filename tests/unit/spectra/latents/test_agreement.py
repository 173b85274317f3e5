"""Mutual nearest neighbours of two representations."""

import numpy as np
import pytest

from wolter.spectra.latents.agreement import mutual_neighbours


def test_a_rotated_copy_has_the_same_neighbours_and_noise_has_those_of_chance():
    generator = np.random.default_rng(0)
    points_ND = generator.normal(size=(400, 3))
    turned_ND = points_ND @ np.linalg.qr(generator.normal(size=(3, 3)))[0]
    assert mutual_neighbours(points_ND, turned_ND, 10).value == 1
    noise = mutual_neighbours(points_ND, generator.normal(size=(400, 3)), 10)
    assert noise.value == pytest.approx(10 / 399, abs=4 * noise.error)


def test_twins_are_neighbours_of_each_other_and_not_of_themselves():
    points_ND = np.repeat(np.arange(20.0)[:, None], 2, axis=0)
    assert mutual_neighbours(points_ND, points_ND, 1).value == 1
