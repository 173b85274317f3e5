"""Position, observation and times of a spectrum from the headers of its file."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wolter.errors import InputError
from wolter.spectra.extraction_regions import middle_of_region
from wolter.xray.ogip import dates
from wolter.xray.ogip import tables as ogip
from wolter.xray.ogip.frames import to_icrs
from wolter.xray.ogip.pha import spectrum_tables

# Keywords of a position, in order of trust; what it is of, and the radius that holds the source in
# 68 %, arcsec. Targets are where an observer pointed: good to some arcsec, if it is the source.
POSITIONS = (
    ("RA_SRC", "DEC_SRC", "the source", 1.0),
    ("SRC_RA", "SRC_DEC", "the source", 1.0),
    ("RA", "DEC", "the source", 1.0),
    ("RA_OBJ", "DEC_OBJ", "the observation's target", 10.0),
    ("RA_TARG", "DEC_TARG", "the observation's target", 10.0),
)
TARGETS = "RA_OBJ"  # the first of them; the region that a spectrum is of goes before
REGION_ARCSEC = 1.0
UNKNOWN = math.nan


@dataclass(frozen=True)
class HeaderFacts:
    """What the headers of a spectrum say of its observation.

    Attributes:
        ra, dec: deg, in ICRS to 0.1 arcsec; NaN where unknown.
        pos_err: radius that holds the source with 68 %, arcsec.
        pos_origin: keyword, and what it is of.
        observation_id: of the archive.
        t_start, t_stop: MJD, UTC.
    """

    ra: float = UNKNOWN
    dec: float = UNKNOWN
    pos_err: float = UNKNOWN
    pos_origin: str = ""
    observation_id: str = ""
    t_start: float = UNKNOWN
    t_stop: float = UNKNOWN


def read_facts(path: Path) -> HeaderFacts:
    """Read the facts of a file; what a damaged keyword would tell stays unknown.

    Raises:
        InputError: it is no FITS file.
    """
    with ogip.open_fits(path) as hdus:
        spectra = spectrum_tables([hdu for hdu in hdus if hasattr(hdu, "columns")])
        others = [hdu for hdu in hdus if not any(hdu is each for each in spectra)]
        # Tables of good times have dates of their own; the first of all is the observation's.
        headers = [hdu.header for hdu in (*spectra, *others[:1])]
        ra, dec, pos_err, origin = _position(path, headers)
        observation = next((w for h in headers if (w := dates.word(h, "OBS_ID"))), "")
        start, stop = (_time(headers, key) for key in ("DATE-OBS", "DATE-END"))
    return HeaderFacts(ra, dec, pos_err, origin, observation, start, stop)


def _position(path: Path, headers: Iterable[Any]) -> tuple[float, float, float, str]:
    headers = list(headers)
    for ra_key, dec_key, what, pos_err in POSITIONS:
        if ra_key == TARGETS:
            region = middle_of_region(path, headers)
            if region is not None:
                key, *pixel = region
                ra, dec = to_icrs(headers, *pixel)
                return ra, dec, REGION_ARCSEC, f"{key}: the middle of the region"
        for header in headers:
            ra, dec = (_number(path, header, key) for key in (ra_key, dec_key))
            if 0 <= ra <= 360 and -90 <= dec <= 90:
                ra, dec = to_icrs([header, *headers], ra, dec)
                return ra % 360, dec, pos_err, f"{ra_key}: {what}"
    return UNKNOWN, UNKNOWN, UNKNOWN, ""


def _number(path: Path, header: Mapping[str, Any], key: str) -> float:
    from astropy.io.fits import VerifyError

    try:
        value = ogip.number(path, header, key)
    except (InputError, VerifyError):
        return UNKNOWN
    return UNKNOWN if value is None else value


def _time(headers: Iterable[Any], key: str) -> float:
    """A date of the first header that has it, as MJD in UTC; NaN where none tells it."""
    return next((dates.mjd_of_date(h, key) for h in headers if dates.word(h, key)), UNKNOWN)
