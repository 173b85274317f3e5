"""The map of the sky."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from wolter.serve.web.sky_map import project, sky_map, unproject


def test_pixels_are_where_their_positions_are_drawn():
    lon_HW, lat_HW, inside_HW = unproject(200, 100)
    x, y = project(lon_HW[inside_HW], lat_HW[inside_HW])
    rows, columns = np.nonzero(inside_HW)
    assert x == pytest.approx(2 * (columns + 0.5) / 200 - 1, abs=1e-9)
    assert y == pytest.approx(0.5 - (rows + 0.5) / 100, abs=1e-9)


def test_pixels_have_equal_areas():
    """A share of the pixels equals the share of the sky: beyond 30 deg of latitude, a quarter."""
    _, lat_HW, inside_HW = unproject(800, 400)
    assert (lat_HW[inside_HW] > 30).mean() == pytest.approx(0.25, abs=0.002)
    assert inside_HW.mean() == pytest.approx(np.pi / 4, abs=0.002)


@pytest.mark.parametrize("n", [0, 1, 5_000])
def test_a_map_is_drawn_for_any_number_of_sources(n):
    cells = np.random.default_rng(1).integers(0, 12 * 4**29, n)
    image = imread(io.BytesIO(sky_map(cells)))
    assert image.shape[1] == 900
    assert image[..., :3].std() > 0.05
