"""Positions of FITS headers in ICRS, by the frame and equinox that the header says."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wolter.errors import InputError
from wolter.xray.ogip import dates, tables

FIRST_FK5 = 1984.0  # equinoxes before are of FK4 (FITS standard, RADESYS)
YEARS = (1800.0, 2200.0)  # an equinox of another year, such as 0, is none
FRAMES = ("ICRS", "FK5", "FK4", "FK4-NO-E")


def to_icrs(headers: Sequence[Mapping[str, Any]], ra: float, dec: float) -> tuple[float, float]:
    """Right ascension and declination in ICRS, deg; as they are where no header says a frame.

    Args:
        headers: the header of the position, and then others of its file.
        ra: deg, in the frame of RADESYS or RADECSYS and the equinox of EQUINOX.
        dec: deg, likewise.
    """
    words = ("RADESYS", "RADECSYS")
    frame = next((w.upper() for h in headers for key in words if (w := dates.word(h, key))), "")
    equinox = next((e for h in headers if math.isfinite(e := _equinox(h))), math.nan)
    if frame not in FRAMES:
        frame = "FK4" if equinox < FIRST_FK5 else "FK5" if equinox >= FIRST_FK5 else "ICRS"
    if frame == "ICRS" or (frame == "FK5" and not abs(equinox - 2000) > 1e-6):
        return ra, dec  # FK5 of J2000 is ICRS to 0.1 arcsec
    from astropy.coordinates import FK4, FK5, FK4NoETerms, SkyCoord
    from astropy.time import Time

    kinds = {"FK4": FK4, "FK4-NO-E": FK4NoETerms, "FK5": FK5}
    besselian = frame != "FK5"
    year = equinox if math.isfinite(equinox) else 1950.0
    told = Time(year, format="byear" if besselian else "jyear")
    place = SkyCoord(ra, dec, unit="deg", frame=kinds[frame](equinox=told)).icrs
    return float(place.ra.deg), float(place.dec.deg)


def _equinox(header: Mapping[str, Any]) -> float:
    from astropy.io.fits import VerifyError

    try:
        value = tables.number(Path(), header, "EQUINOX")
    except (InputError, VerifyError):
        return math.nan
    return value if value is not None and YEARS[0] <= value <= YEARS[1] else math.nan
