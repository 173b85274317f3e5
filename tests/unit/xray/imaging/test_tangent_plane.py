"""Tangent planes against astropy's WCS, at the pole and at right ascension 0, too."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from tests.skies import header

from wolter.xray.imaging.tangent_plane import TangentPlane, pixels_of, standard

PLACES = [(0.001, 0.0), (359.9999, 45.0), (120.0, 89.99), (33.0, 90.0), (200.0, -89.5)]


def seen_by_astropy(plane):
    return WCS(fits.Header(plane.cards))


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_a_part_lies_where_the_image_does(ra, dec):
    whole = WCS(header(ra, dec, 40, 200))
    plane = TangentPlane.of(whole, 20, 130, (60, 50))
    x_N, y_N = np.array([0.0, 49, 0, 49, 12.3]), np.array([0.0, 0, 59, 59, 40.9])
    place = whole.pixel_to_world(x_N + 130, y_N + 20)
    row_N, column_N = plane.pixels(place.ra.deg, place.dec.deg)
    assert np.abs(row_N - y_N).max() < 1e-3
    assert np.abs(column_N - x_N).max() < 1e-3
    back = seen_by_astropy(plane).pixel_to_world(x_N, y_N)
    assert back.separation(place).arcsec.max() < 4e-3
    assert plane.pixel_arcsec == pytest.approx(4, rel=1e-4)


def test_another_frame_and_projection_are_brought_to_icrs():
    words = {"CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CRVAL2": 0.0, "RADESYS": None}
    whole = WCS(header(70, 0, 0, 100, **words))
    plane = TangentPlane.of(whole, 0, 0, (100, 100))
    place = whole.pixel_to_world(10.0, 80.0).icrs
    row_N, column_N = plane.pixels(np.array([place.ra.deg]), np.array([place.dec.deg]))
    assert (row_N[0], column_N[0]) == pytest.approx((80, 10), abs=0.05)


def test_what_is_no_plane_is_none():
    words = {"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT", "CD1_1": -1.0, "CD2_2": 1.0}
    assert TangentPlane.of(WCS(header(0, 0, 0, 300, **words)), 0, 0, (300, 300)) is None


def test_finer_pixels_and_parts_lie_on_the_same_sky():
    plane = TangentPlane((150.0, -60.0), (10.0, 12.0), (-1e-3, 2e-4, 2e-4, 1e-3))
    sky = seen_by_astropy(plane).pixel_to_world(7.5, 4.5)  # the corner of four pixels
    fine = seen_by_astropy(plane.finer(2)).pixel_to_world(15.5, 9.5)
    assert sky.separation(fine).arcsec < 1e-6
    part = seen_by_astropy(plane.cut(3, 2)).pixel_to_world(5.5, 1.5)
    assert sky.separation(part).arcsec < 1e-6


def test_the_other_side_of_the_sky_has_no_pixel():
    plane = TangentPlane((10.0, 20.0), (1.0, 1.0), (-1e-3, 0.0, 0.0, 1e-3))
    assert np.isnan(plane.pixels(np.array([190.0]), np.array([-20.0]))).all()


def test_planes_of_their_own_are_those_of_each():
    numbers = np.array([[5.0, 89.0, 3, 4, -1e-3, 0, 0, 1e-3], [355.0, -3, 1, 1, 0, 2e-3, 1e-3, 0]])
    ra_N, dec_N = np.array([7.0, 355.1]), np.array([89.01, -3.1])
    rows, columns = pixels_of(numbers, ra_N, dec_N)
    for i in range(2):
        alone = pixels_of(numbers[i : i + 1], ra_N[i : i + 1], dec_N[i : i + 1])
        assert (rows[i], columns[i]) == (alone[0][0], alone[1][0])
    xi, eta = standard(np.array([5.0, 89.0]), np.array([5.0]), np.array([89.5]))
    assert (xi[0], eta[0]) == pytest.approx((0, np.degrees(np.tan(np.radians(0.5)))))
