"""Sky coordinates of images: as their headers say, or from the attitude of EPIC-pn."""

import math
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropy.io import fits


DETECTOR_ARCSEC = 0.05  # of a step of DETX and DETY
# DETX, DETY (arcsec) of the direction RA_PNT, DEC_PNT on EPIC-pn: the mean of NGC 1275, M87, NGC
# 1399 and NGC 1404 in four observations, which scatter by 1.5 arcsec about it. DETX points at the
# position angle PA_PNT, and DETY 90 degrees clockwise of it.
POINTING = (-52.4, 75.9)


def celestial(header: "fits.Header") -> Any:
    """Sky coordinates of the pixels (astropy's WCS); None where nothing tells them.

    Images of EPIC-pn in detector coordinates get them, to some 3 arcsec, from `RA_PNT`, `DEC_PNT`
    and `PA_PNT`.
    """
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # old keywords, read as they are meant
        wcs = WCS(header)
    if wcs.has_celestial:
        return wcs.celestial
    attitude = [header.get(f"{key}_PNT") for key in ("RA", "DEC", "PA")]
    detector = header.get("CTYPE1") == "DETX" and header.get("CTYPE2") == "DETY"
    if not detector or header.get("INSTRUME") != "EPN" or None in attitude:
        return None
    right_ascension, declination, angle = (float(value) for value in attitude)
    reference, steps = [], []
    for axis, pointing in zip((1, 2), POINTING, strict=True):
        value, pixel, step = (float(header[f"{key}{axis}"]) for key in ("CRVAL", "CRPIX", "CDELT"))
        reference.append(pixel + (pointing / DETECTOR_ARCSEC - value) / step)
        steps.append(step * DETECTOR_ARCSEC / 3600)
    sin, cos = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    made = WCS(naxis=2)
    made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    made.wcs.cunit = ["deg", "deg"]
    made.wcs.crval = [right_ascension, declination]
    made.wcs.crpix = reference
    made.wcs.cd = [[sin * steps[0], -cos * steps[1]], [cos * steps[0], sin * steps[1]]]
    return made
