"""Dates of FITS headers and times of mission clocks as MJD in UTC."""

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wolter.errors import InputError, printable
from wolter.xray.ogip import tables

SCALES = ("tt", "tai", "utc")
DAY_S = 86_400


def word(header: Mapping[str, Any], key: str) -> str:
    """The text of a keyword; empty where it is missing or damaged."""
    from astropy.io.fits import VerifyError

    try:
        return printable(tables.text(header, key))
    except VerifyError:
        return ""


def mjd_of_date(header: Mapping[str, Any], key: str) -> float:
    """A date as MJD in UTC, by the scale that TIMESYS says, or UTC; NaN where it is not known."""
    return _mjd(word(header, key), None, word(header, "TIMESYS").lower())


def mjd_of_clock(header: Mapping[str, Any], seconds: float) -> float:
    """Seconds of a mission's clock as MJD in UTC; NaN where the header does not tell the clock.

    The clock starts at MJDREF, or MJDREFI and MJDREFF, in the scale of TIMESYS.
    """
    from astropy.io.fits import VerifyError

    try:
        start, whole, part, zero = (
            tables.number(Path(), header, key)
            for key in ("MJDREF", "MJDREFI", "MJDREFF", "TIMEZERO")
        )
    except (InputError, VerifyError):
        return math.nan
    if start is None:
        if whole is None:
            return math.nan
        start = whole + (part or 0.0)
    scale = word(header, "TIMESYS").lower()
    return _mjd(start, ((zero or 0.0) + seconds) / DAY_S, scale)


def _mjd(first: str | float, second: float | None, scale: str) -> float:
    from astropy.time import Time

    if first == "":
        return math.nan
    told = scale if scale in SCALES else "utc"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dates before and beyond the leap seconds known
        try:
            made = Time(first, second, format="mjd" if second is not None else None, scale=told)
            return float(made.utc.mjd)
        except ValueError:
            return math.nan
