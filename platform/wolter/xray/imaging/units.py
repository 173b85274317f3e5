"""Units of images and exposure maps, in every spelling of FITS headers: counts, seconds, shares."""

import re
from typing import Any

# Words that astropy does not know, or writes otherwise; photons and events are counts.
_WORDS = {
    "ct": ("counts", "count", "cts", "ct", "cnts", "cnt", "photons", "photon", "phot", "ph",
           "events", "event", "evts", "evt"),
    "s": ("seconds", "second", "secs", "sec", "s"),
    "ks": ("kiloseconds", "kilosecond", "ksecs", "ksec", "ks"),
    "min": ("minutes", "minute", "mins", "min"),
    "h": ("hours", "hour", "hrs", "hr", "h"),
    "cm": ("cm",),
    "pix": ("pixels", "pixel", "pix", "bins", "bin"),
    "%": ("percent", "percentage", "pct"),
    "": ("none", "null", "unitless", "dimensionless", "relative", "fraction", "normalised",
         "normalized"),
}  # fmt: skip
_PLAIN = {word: name for name, words in _WORDS.items() for word in words}


def parsed(text: str) -> Any:
    """An astropy unit; None where the text is none.

    "counts per sec", "ct*s**-1" and "photon/cm^2/s" are read like "ct s-1".
    """
    import warnings

    from astropy import units

    plain = re.sub(r"\bper\b", "/", text.strip().strip("[]"), flags=re.IGNORECASE)
    plain = plain.replace("^", "**").replace("{", "(").replace("}", ")")
    plain = re.sub(r"[A-Za-z]+", lambda word: _PLAIN.get(word[0].lower(), word[0]), plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated ways of writing are read as they are meant
        try:
            return units.Unit(plain.strip(" *"))
        except (ValueError, TypeError, ZeroDivisionError, OverflowError):
            return None


def is_counts(text: str) -> bool | None:
    """True if the unit is counts (per pixel); None for an unknown unit."""
    from astropy import units

    unit = parsed(text)
    if unit is None:
        return None
    plain = [units.dimensionless_unscaled, units.ct, units.pix**-1, units.ct / units.pix]
    return unit in plain


def seconds_in(text: str) -> float | None:
    """Seconds in a unit of time; None for all other units."""
    from astropy import units

    unit = parsed(text)
    if unit is None or not unit.is_equivalent(units.s):
        return None
    return float(unit.to(units.s))


def share_in(text: str) -> float | None:
    """Scale of dimensionless pixels: 1 without a unit, 0.01 of percent, None of any other unit."""
    from astropy import units

    unit = parsed(text)
    if unit is None or not unit.is_equivalent(units.dimensionless_unscaled):
        return None
    return float(unit.to(units.dimensionless_unscaled))
