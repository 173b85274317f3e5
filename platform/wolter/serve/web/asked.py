"""What a person types into the search field: a position, an identifier, or a name."""

import re
from dataclasses import dataclass

from wolter.errors import InputError

LONGEST = 200  # letters


@dataclass(frozen=True)
class Position:
    """A position on the sky: right ascension and declination, ICRS, deg."""

    ra: float
    dec: float


@dataclass(frozen=True)
class Identifier:
    """Identifier of a source."""

    source_id: int


@dataclass(frozen=True)
class Name:
    """Name of a source, here or in another catalogue."""

    text: str


_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_DEGREES = re.compile(rf"({_NUMBER})\s*[,;\s]\s*({_NUMBER})")
_PART = r"(\d{1,2})[h:\s]\s*(\d{1,2})[m:\s]\s*(\d{1,2}(?:\.\d*)?)s?"
_DEC = r"([+-]?)(\d{1,2})[d°:\s]\s*(\d{1,2})[m'′:\s]\s*(\d{1,2}(?:\.\d*)?)[s\"″]?"
_SEXAGESIMAL = re.compile(rf"{_PART}\s*,?\s*{_DEC}")


def understand(text: str) -> Position | Identifier | Name:
    """Understand a search text.

    Degrees ("120.5 -30.2"), hours and degrees ("08:02:00 -30:12:00", "08h02m00s -30d12m00s"), an
    identifier (an integer), or a name.

    Raises:
        InputError: the text is empty or too long, or its position is not on the sky.
    """
    text = " ".join(text.replace("−", "-").split())
    if not text:
        raise InputError("search: nothing to search for; type a name, an identifier or a position")
    if len(text) > LONGEST:
        raise InputError(f"search: {len(text)} letters; type at most {LONGEST}")
    if re.fullmatch(r"\d{1,19}", text) and int(text) < 2**63:
        return Identifier(int(text))
    if found := _DEGREES.fullmatch(text):
        return _on_sky(float(found[1]), float(found[2]), text)
    if found := _SEXAGESIMAL.fullmatch(text):
        hours, minutes, seconds = (float(part) for part in found.groups()[:3])
        sign, degrees, arcmin, arcsec = found.groups()[3:]
        if max(minutes, float(arcmin)) >= 60 or max(seconds, float(arcsec)) >= 60:
            raise InputError(f"search: {text!r}: minutes and seconds go from 0 to 59")
        dec = float(degrees) + float(arcmin) / 60 + float(arcsec) / 3600
        ra = 15 * (hours + minutes / 60 + seconds / 3600)
        return _on_sky(ra, -dec if sign == "-" else dec, text)
    return Name(text)


def _on_sky(ra: float, dec: float, text: str) -> Position:
    if not (0 <= ra <= 360 and -90 <= dec <= 90):
        raise InputError(
            f"search: {text!r} is not on the sky; right ascension goes from 0 to 360 deg, "
            "declination from -90 to 90 deg"
        )
    return Position(ra % 360, dec)
