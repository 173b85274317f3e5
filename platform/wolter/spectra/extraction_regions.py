"""Position of a spectrum by its extraction region, where headers name the observation's target.

All sources of a field would be at one place: that of the target. CIAO and SAS keep the region in
pixels of the sky:

    DSVAL11 = 'Ellipse(4032.3,4258.55,2.6,2.4,47.8)'                           (Chandra)
    SLCTEXPR= '(FLAG & 0xcfa0000) == 0 && ((X,Y) IN circle(24783.5,28244.9,800))'   (XMM-Newton)
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from wolter.errors import InputError
from wolter.xray.ogip import dates
from wolter.xray.ogip import tables as ogip

Header = Mapping[str, Any]

# Pixel of ACIS's sky coordinates that RA_NOM and DEC_NOM are in, and its size (CIAO).
_ACIS_PIXEL, _ACIS_DEG = 4096.5, 0.492 / 3600
_KEYS = re.compile(r"DSVAL\d+|SLCTEXPR")
_SHAPE = re.compile(
    r"(?P<but>!\s*)?(?P<within>\((?P<axes>[\w, ]+)\)\s+IN\s+)?"
    r"\b(?:Ellipse|Circle)\(\s*(?P<x>[\d.]+)\s*,\s*(?P<y>[\d.]+)\s*,",
    re.IGNORECASE,
)
_EXCLUDED = re.compile(r"!\s*\(*$")


@dataclass(frozen=True)
class _Plane:
    """Plane of sky pixels: where it touches the sky (deg), the pixel there, steps (deg)."""

    ra: float
    dec: float
    x: float
    y: float
    step_x: float
    step_y: float

    @classmethod
    def of(cls, path: Path, headers: Sequence[Header]) -> Self | None:
        """Plane of an observation; None where headers do not tell it."""
        if all(_word(headers, key) == word for key, word in _ACIS.items()):
            ra, dec = (_number(path, headers, key) for key in ("RA_NOM", "DEC_NOM"))
            numbers = (ra, dec, _ACIS_PIXEL, _ACIS_PIXEL, -_ACIS_DEG, _ACIS_DEG)
        elif (_word(headers, "REFXCTYP"), _word(headers, "REFYCTYP")) == ("RA---TAN", "DEC--TAN"):
            keys = [f"REF{axis}{what}" for what in ("CRVL", "CRPX", "CDLT") for axis in "XY"]
            a, b, c, d, e, f = (_number(path, headers, key) for key in keys)
            numbers = (a, b, c, d, e, f)  # type: ignore[assignment]  # checked below
        else:
            return None
        known = [value for value in numbers if value is not None]
        return cls(*known) if len(known) == len(numbers) else None

    def on_sky(self, x: float, y: float) -> tuple[float, float]:
        """Position of a pixel, deg."""
        ra, dec = math.radians(self.ra), math.radians(self.dec)
        east = math.radians((x - self.x) * self.step_x)
        north = math.radians((y - self.y) * self.step_y)
        outwards = math.cos(dec) - north * math.sin(dec)
        upwards = math.sin(dec) + north * math.cos(dec)
        found = math.degrees(ra + math.atan2(east, outwards)) % 360
        return found, math.degrees(math.atan2(upwards, math.hypot(east, outwards)))


_ACIS = {"TELESCOP": "CHANDRA", "INSTRUME": "ACIS"}


def middle_of_region(path: Path, headers: Sequence[Header]) -> tuple[str, float, float] | None:
    """Keyword and position, deg, of the middle of the circle or ellipse that a spectrum is of.

    Args:
        path: file of the headers.
        headers: of the spectrum's table, and then those of the whole file.

    Returns:
        None where the plane of the sky's pixels is not known, and for other and several shapes.
    """
    found = {
        (float(shape["x"]), float(shape["y"])): key
        for header in headers
        for key in header
        if _KEYS.fullmatch(key) and _of_sky(header, key)
        for shape in _shapes(dates.word(header, key))
    }
    plane = _Plane.of(path, headers) if len(found) == 1 else None
    if plane is None:
        return None
    ((at, key),) = found.items()
    return key, *plane.on_sky(*at)


def _of_sky(header: Header, key: str) -> bool:
    """False for a region in other coordinates, such as those of the detector."""
    axes = dates.word(header, key.replace("VAL", "TYP")) if key.startswith("DSVAL") else ""
    return axes.replace(" ", "").upper() in ("", "SKY", "SKY(X,Y)", "POS(X,Y)")


def _shapes(text: str) -> list[re.Match[str]]:
    """Circles and ellipses of the sky that a selection holds; not those that it leaves out."""
    return [
        shape
        for shape in _SHAPE.finditer(text)
        if not shape["but"]
        and not _EXCLUDED.search(text[: shape.start()])
        and (shape["axes"] or "X,Y").replace(" ", "").upper() == "X,Y"
    ]


def _word(headers: Sequence[Header], key: str) -> str:
    return next((word for header in headers if (word := dates.word(header, key))), "").upper()


def _number(path: Path, headers: Sequence[Header], key: str) -> float | None:
    from astropy.io.fits import VerifyError

    for header in headers:
        try:
            value = ogip.number(path, header, key)
        except (InputError, VerifyError):
            return None
        if value is not None:
            return value
    return None
