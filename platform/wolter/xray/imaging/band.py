"""Energy band of an image from its FITS header."""

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astropy.io import fits

Band = tuple[float, float]

_NUMBER = r"(\d+\.?\d*(?:[eE][+-]?\d+)?)"
_RANGE = re.compile(rf"\(?\s*{_NUMBER}?\s*:\s*{_NUMBER}?\s*\)?")
_IN = re.compile(
    rf"\b(?:PI|energy)\s+in\s*[\[(]\s*{_NUMBER}\s*:\s*{_NUMBER}\s*[\])]", re.IGNORECASE
)
_ABOVE = re.compile(rf"\b(?:PI|energy)\s*>=?\s*{_NUMBER}", re.IGNORECASE)
_BELOW = re.compile(rf"\b(?:PI|energy)\s*<=?\s*{_NUMBER}", re.IGNORECASE)
_PAIRS = (("E_MIN", "E_MAX"), ("EMIN", "EMAX"), ("ENERGYLO", "ENERGYHI"))
_LEAST_EV = 100.0  # numbers from here on are eV where no unit is told


def band_of(header: "fits.Header") -> Band | None:
    """Lowest and highest energy of the photons, keV; None where the header does not say.

    Read are the data subspace (`DSTYPn` of PI or ENERGY, as evselect and dmcopy write it), the
    selection `SLCTEXPR` of evselect, and pairs such as `E_MIN` and `E_MAX`. Each leaves photons
    out, so that the band is what all of them have in common. PI is in eV for XMM-Newton alone.
    """
    told = [*_subspace(header), *_selection(header), *_pairs(header)]
    if not told:
        return None
    low, high = max(low for low, _ in told), min(high for _, high in told)
    return (low, high) if low < high else None


def same_band(one: Band, other: Band) -> bool:
    """Compare two energy bands; equal means within 2 % and 20 eV."""
    return all(
        a == b or abs(a - b) <= 0.02 * min(a, b) + 0.02 for a, b in zip(one, other, strict=True)
    )


def _xmm(header: "fits.Header") -> bool:
    return str(header.get("TELESCOP", "")).strip().upper().startswith("XMM")


def _kev(low: str | None, high: str | None, unit: str) -> Band | None:
    values = float(low) if low else 0.0, float(high) if high else math.inf
    factor = {"ev": 1e-3, "kev": 1.0}.get(unit.strip().lower())
    if factor is None:
        finite = max(value for value in (*values, 0.0) if math.isfinite(value))
        factor = 1e-3 if finite >= _LEAST_EV else 1.0
    band = values[0] * factor, values[1] * factor
    return band if band[0] < band[1] and band != (0.0, math.inf) else None


def _subspace(header: "fits.Header") -> list[Band]:
    bands = []
    for key in header:
        number = re.fullmatch(r"DSTYP(\d+)", key)
        kind = str(header[key]).strip().upper() if number else ""
        if kind != "ENERGY" and not (kind == "PI" and _xmm(header)):
            continue
        assert number is not None
        found = _RANGE.fullmatch(str(header.get(f"DSVAL{number[1]}", "")).strip())
        unit = str(header.get(f"DSUNI{number[1]}", ""))
        band = _kev(found[1], found[2], unit) if found else None
        bands += [] if band is None else [band]
    return bands


def _selection(header: "fits.Header") -> list[Band]:
    if not _xmm(header):
        return []
    words = str(header.get("SLCTEXPR", ""))
    ends = [(low, high) for low, high in _IN.findall(words)]
    ends += [(low, None) for low in _ABOVE.findall(words)]
    ends += [(None, high) for high in _BELOW.findall(words)]
    return [band for low, high in ends if (band := _kev(low, high, "eV")) is not None]


def _pairs(header: "fits.Header") -> list[Band]:
    bands = []
    for keys in _PAIRS:
        texts = [str(header.get(key, "")) for key in keys]
        if all(re.fullmatch(_NUMBER, text) for text in texts):
            band = _kev(texts[0], texts[1], "")
            bands += [] if band is None else [band]
    return bands
