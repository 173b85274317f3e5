"""Units of OGIP columns, in the spellings that files hold, as factors to keV and cm^2."""

import re
from functools import cache
from typing import Any, Literal

Quantity = Literal["energy", "area"]

# Capitals mean nothing in real files, and MeV is meant where astropy would read millielectronvolts.
_KEV = {"": 1.0, "kev": 1.0, "ev": 1e-3, "mev": 1e3, "gev": 1e6}
_CM2 = {"": 1.0, "cm2": 1.0, "cm**2": 1.0, "cm^2": 1.0, "m2": 1e4, "m**2": 1e4, "m^2": 1e4}
_KNOWN = {"energy": _KEV, "area": _CM2}
EXPECTED = {"energy": "keV, eV or MeV", "area": "cm**2 or m**2"}

# What an area is counted in is no part of it: counts, photons, electrons, channels.
_COUNTED = r"\b(counts?|ct|photons?|ph|channels?|chan|bins?|electrons?)\b"


@cache
def factor(unit: str, quantity: Quantity) -> float | None:
    """Value of a unit in keV or cm^2: `cm**2 count photon**-1` is 1; None for another quantity."""
    plain = unit.strip()
    known = _KNOWN[quantity].get(plain.lower())
    return known if known is not None else _parsed(plain, quantity)


def _parsed(text: str, quantity: Quantity) -> float | None:
    from astropy import units

    target = units.keV if quantity == "energy" else units.cm**2
    spelled = re.sub(_COUNTED, "ct", text, flags=re.IGNORECASE)
    for spelling in (spelled, spelled.lower()):
        try:
            unit: Any = units.Unit(spelling)
        except (ValueError, TypeError):
            continue
        # Without the counts the rest must be the quantity.
        pairs = zip(unit.bases, unit.powers, strict=True)
        kept = [(base, power) for base, power in pairs if base != units.ct]
        rest = units.CompositeUnit(unit.scale, [b for b, _ in kept], [p for _, p in kept])
        if rest.is_equivalent(target):
            return float(rest.to(target))
    return None
