"""World coordinates of finer pixels, in every form of them, by astropy's own reading."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from wolter.xray.imaging.scaled_header import scaled_header

SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 30.0, "CRVAL2": -20.0}
CENTRE = {"CRPIX1": 25.5, "CRPIX2": 31.0}
SIDE = 4 / 3600
FORMS = {
    "cdelt": SKY | CENTRE | {"CDELT1": -SIDE, "CDELT2": SIDE},
    "no crpix": SKY | {"CDELT1": -SIDE, "CDELT2": SIDE},
    "crota": SKY | CENTRE | {"CDELT1": -SIDE, "CDELT2": SIDE, "CROTA2": 30.0},
    "pc": SKY | CENTRE | {
        "CDELT1": -SIDE, "CDELT2": SIDE, "PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8,
    },
    "pc alone": SKY | CENTRE | {
        "PC1_1": -0.8 * SIDE, "PC1_2": 0.6 * SIDE, "PC2_1": 0.6 * SIDE, "PC2_2": 0.8 * SIDE,
    },
    "cd": SKY | CENTRE | {
        "CD1_1": -0.8 * SIDE, "CD1_2": 0.6 * SIDE, "CD2_1": 0.6 * SIDE, "CD2_2": 0.8 * SIDE,
    },
    "sip": SKY | CENTRE | {
        "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CDELT1": -SIDE, "CDELT2": SIDE,
        "A_ORDER": 2, "B_ORDER": 3, "A_2_0": 1e-3, "A_1_1": 2e-3, "B_0_2": -1e-3, "B_3_0": 1e-5,
        "A_DMAX": 2.0, "B_DMAX": 2.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_a_place_keeps_its_sky(form, scale):
    header = fits.Header(FORMS[form])
    coarse = np.array([[-0.5, -0.5], [49.5, 60.5], [9.5, 20.5], [24.2, 40.7]])
    fine = (coarse + 0.5) * scale - 0.5
    for world_only in (False, True):
        made = scaled_header(header, scale, world_only)
        sky = WCS(made).all_pix2world(fine, 0)
        assert np.allclose(sky, WCS(header).all_pix2world(coarse, 0), atol=1e-9, rtol=0)


def test_other_words_stay_or_go():
    header = fits.Header(FORMS["cdelt"] | {"OBJECT": "M 87", "BUNIT": "ct", "NAXIS": 2})
    assert scaled_header(header, 2)["OBJECT"] == "M 87"
    assert "OBJECT" not in scaled_header(header, 2, world_only=True)
    assert not {"BUNIT", "NAXIS"} & set(scaled_header(header, 2))
