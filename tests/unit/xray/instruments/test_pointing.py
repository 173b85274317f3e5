import logging

import numpy as np
import pytest
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.instruments.pointing import (
    celestial,
    detector_wcs,
    farthest,
    pixel_sides,
    plain_axes,
)

STEP = 4 / 3600
SKY = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 20.0, "CRPIX2": 30.0, "CRVAL1": 150.0,
    "CRVAL2": 30.0, "CDELT1": -STEP, "CDELT2": STEP, "CUNIT1": "deg", "CUNIT2": "deg",
}  # fmt: skip
DETECTOR = {
    "INSTRUME": "EPN", "CTYPE1": "DETX", "CTYPE2": "DETY", "CRPIX1": 1, "CRPIX2": 1,
    "CRVAL1": -18243.5, "CRVAL2": -17487.5, "CDELT1": 80.0, "CDELT2": 80.0,
}  # fmt: skip
FORMS = {
    "PC without CDELT": {"CDELT1": None, "CDELT2": None, "PC1_1": -STEP, "PC2_2": STEP},
    "CD": {"CDELT1": None, "CDELT2": None, "CD1_1": -STEP, "CD1_2": 0.0, "CD2_1": 0.0,
           "CD2_2": STEP},
    "arcmin": {"CUNIT1": "arcmin", "CUNIT2": "arcmin", "CRVAL1": 9000.0, "CRVAL2": 1800.0,
               "CDELT1": -STEP * 60, "CDELT2": STEP * 60},
    "no unit": {"CUNIT1": None, "CUNIT2": None},
}  # fmt: skip


def header(cards, **changes):
    return fits.Header({k: v for k, v in (cards | changes).items() if v is not None})


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_coordinates_are_the_same_sky(form):
    other = header(SKY, **FORMS[form])
    assert farthest(header(SKY), other, (60, 40)) < 1e-6
    assert pixel_sides(other) == pytest.approx((4.0, 4.0))


def test_words_that_are_missing_have_the_defaults_of_the_standard():
    bare = header(SKY, CRPIX1=None, CRPIX2=None)
    assert farthest(header(SKY, CRPIX1=0.0, CRPIX2=0.0), bare, (60, 40)) < 1e-6
    assert farthest(header(SKY), bare, (60, 40)) == pytest.approx(np.hypot(20, 30), rel=1e-3)


@pytest.mark.parametrize(
    "change", [{"LONPOLE": 150.0}, {"CROTA2": 5.0}, {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}]
)
def test_what_turns_or_bends_the_sky_counts(change):
    far = farthest(header(SKY), header(SKY, **change), (2000, 2000))
    assert far > 0.5


def test_distortion_counts_and_is_no_reason_to_talk(caplog, capfd):
    bent = header(SKY, A_ORDER=2, B_ORDER=2, A_2_0=1e-3, B_0_2=1e-3)
    named = header(SKY, A_ORDER=2, B_ORDER=2, A_2_0=1e-3, B_0_2=1e-3, CTYPE1="RA---TAN-SIP",
                   CTYPE2="DEC--TAN-SIP")  # fmt: skip
    with caplog.at_level(logging.DEBUG, "astropy"):
        assert farthest(bent, named, (60, 40)) < 1e-6
        assert farthest(header(SKY), bent, (60, 40)) > 0.3
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_frames_are_compared_on_the_sky():
    from astropy.coordinates import SkyCoord

    middle = SkyCoord(150.0, 30.0, unit="deg").galactic
    galactic = header(SKY, CTYPE1="GLON-TAN", CTYPE2="GLAT-TAN", CRVAL1=middle.l.deg,
                      CRVAL2=middle.b.deg)  # fmt: skip
    assert farthest(header(SKY), galactic, (60, 40)) > 5  # turned, about one point
    one, other = celestial(header(SKY)), celestial(galactic)
    at = other.world_to_pixel(one.pixel_to_world(19.0, 29.0))
    assert np.allclose(at, (19.0, 29.0), atol=1e-4)


def test_coordinates_of_other_kinds_are_elsewhere_and_none_are_unknown():
    assert farthest(header(SKY), header(DETECTOR), (60, 40)) == np.inf
    assert farthest(header(SKY), header({}), (60, 40)) is None
    assert farthest(header({}), header({}), (60, 40)) is None
    moved = header(DETECTOR, CRVAL1=-18163.5)
    assert farthest(header(DETECTOR), moved, (60, 40)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "change",
    [{"CDELT1": 0.0}, {"CTYPE2": "RA---TAN"}, {"CUNIT1": "furlong"}, {"CRVAL1": "words"},
     {"CDELT1": 1e-320}, {"CTYPE1": "RA---XXX", "CTYPE2": "DEC--XXX"}],
)  # fmt: skip
def test_coordinates_that_make_no_sense_are_one_line(change):
    with pytest.raises(InputError, match="world coordinates") as caught:
        celestial(header(SKY, **change))
    assert "\n" not in str(caught.value)


def test_detector_pixels_have_a_size_for_epic_alone():
    assert pixel_sides(header(DETECTOR)) == pytest.approx((4.0, 4.0))
    assert pixel_sides(header(DETECTOR, CDELT1=87.0)) == pytest.approx((4.35, 4))
    assert pixel_sides(header(DETECTOR, INSTRUME="FPMA", TELESCOP="NuSTAR")) is None
    assert detector_wcs(header(SKY)) is None


def test_the_sky_of_the_detector_is_that_of_its_attitude():
    sky = celestial(header(DETECTOR, RA_PNT=50.0, DEC_PNT=41.0, PA_PNT=262.0))
    pixel = (-52.4 / 0.05 + 18243.5) / 80, (75.9 / 0.05 + 17487.5) / 80
    assert np.allclose(sky.wcs_pix2world([pixel], 0)[0], (50.0, 41.0))
    assert celestial(header(DETECTOR)) is None
    assert celestial(header(DETECTOR, RA_PNT="?", DEC_PNT=41.0, PA_PNT=262.0)) is None
    other = header(DETECTOR, INSTRUME="FPMA", RA_PNT=50.0, DEC_PNT=41.0, PA_PNT=262.0)
    assert celestial(other) is None


def test_positions_in_columns():
    cards = {
        "TCTYP3": "RA---TAN", "TCTYP4": "DEC--TAN", "TCRPX3": 10.0, "TCRPX4": 20.0, "TCRVL3": 150.0,
        "TCRVL4": 30.0, "TCDLT3": -STEP, "TCDLT4": STEP, "REFXCTYP": "RA---SIN",
    }  # fmt: skip
    axes = plain_axes(fits.Header(cards), [3, 4])
    assert axes[0] == ("RA---TAN", "DEC--TAN")
    assert axes[1:] == (
        pytest.approx((10, 20)),
        pytest.approx((150, 30)),
        pytest.approx((-STEP, STEP)),
    )
    assert plain_axes(fits.Header(), [3, 4]) is None
    with pytest.raises(InputError, match="turned"):
        plain_axes(fits.Header(cards | {"TCROT4": 30.0}), [3, 4])
    with pytest.raises(InputError, match="world coordinates"):
        plain_axes(fits.Header(cards | {"TCDLT3": 0.0}), [3, 4])
