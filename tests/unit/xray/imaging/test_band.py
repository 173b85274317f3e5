import math

import pytest
from astropy.io import fits

from wolter.xray.imaging.band import band_of, same_band

XMM = {"TELESCOP": "XMM"}


@pytest.mark.parametrize(
    ("cards", "band"),
    [
        ({"DSTYP1": "PI", "DSVAL1": "4500:12000", "DSUNI1": "eV"} | XMM, (4.5, 12)),
        ({"DSTYP1": "PI", "DSVAL1": "200:500"} | XMM, (0.2, 0.5)),  # without a unit
        ({"DSTYP3": "energy", "DSVAL3": "500:7000", "DSUNI3": "eV"}, (0.5, 7)),
        ({"DSTYP1": "ENERGY", "DSVAL1": "0.5:2.0", "DSUNI1": "keV"}, (0.5, 2)),
        ({"DSTYP1": "ENERGY", "DSVAL1": "0.3:10"}, (0.3, 10)),
        # SAS leaves the upper end out where the event list has one of its own.
        ({"DSTYP5": "PI", "DSVAL5": "500:", "SLCTEXPR": "(RAWY>12) && (PI in [500:2000])"} | XMM,
         (0.5, 2)),
        ({"SLCTEXPR": "PI>=200 && PI<=12000 && FLAG==0"} | XMM, (0.2, 12)),
        ({"DSTYP1": "PI", "DSVAL1": "500:"} | XMM, (0.5, math.inf)),
        ({"E_MIN": 0.5, "E_MAX": 2.0}, (0.5, 2)),
        ({"E_MIN": 500, "E_MAX": 2000}, (0.5, 2)),
        # PI of others is a channel; other words are no energies.
        ({"TELESCOP": "CHANDRA", "DSTYP1": "PI", "DSVAL1": "35:137"}, None),
        ({"DSTYP1": "PATTERN", "DSVAL1": "0:4", "DSTYP2": "TIME", "DSVAL2": "TABLE"} | XMM, None),
        ({"DSTYP1": "PI", "DSVAL1": "words"} | XMM, None),
        ({"DSTYP1": "PI", "DSVAL1": ":"} | XMM, None),
        ({}, None),
    ],
)  # fmt: skip
def test_band_by_the_header(cards, band):
    assert band_of(fits.Header(cards)) == (None if band is None else pytest.approx(band))


def test_bands_are_the_same_to_rounding():
    assert same_band((0.5, 2.0), (0.501, 1.999))
    assert not same_band((0.5, 2.0), (0.5, 2.1))
    assert not same_band((0.5, 2.0), (0.2, 2.0))
    assert same_band((0.5, math.inf), (0.5, math.inf))
    assert not same_band((0.5, math.inf), (0.5, 2.0))
