"""Which events of an instrument are good photons, and at what energy: the rules of its own.

Shapes: N events.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray.instruments.pointing import camera
from wolter.xray.ogip import tables
from wolter.xray.ogip.tables import Array

if TYPE_CHECKING:
    from astropy.io import fits

Flags = NDArray[np.bool_]

FIRST_ROW = 13  # RAWY of EPIC-pn; rows 1-12 next to the read-out are noisy
SINGLES_AND_DOUBLES = 4  # the highest good PATTERN of EPIC-pn
EPIC_MOS_PATTERN = 12  # and of EPIC-MOS
CHANDRA_GRADES = (0, 2, 3, 4, 6)  # good ASCA grades of ACIS
_EV = {"": 1.0, "ev": 1.0, "kev": 1e3, "chan": 1.0}


@dataclass(frozen=True)
class Rules:
    """What tells good photons of an instrument.

    Attributes:
        good: column -> which of its values are good; every one must be there.
        energy: columns that may hold the energy, the first one that does; in eV where no unit says
            otherwise.
    """

    good: Mapping[str, Callable[[Array], Flags]]
    energy: tuple[str, ...]


def _none(values: Array) -> Flags:
    """Flags of which none is set; a row may hold several."""
    clear: Flags = values == 0 if values.ndim == 1 else (values == 0).all(1)
    return clear


_EPIC_ENERGY = ("ENERGY", "PI")
_MOS = Rules(
    {"PATTERN": lambda values: (values >= 0) & (values <= EPIC_MOS_PATTERN), "FLAG": _none},
    _EPIC_ENERGY,
)
RULES: Mapping[str, Rules] = {
    "EPN": Rules(
        {
            "PATTERN": lambda values: (values >= 0) & (values <= SINGLES_AND_DOUBLES),
            "FLAG": _none,
            "RAWY": lambda values: values >= FIRST_ROW,
        },
        _EPIC_ENERGY,
    ),
    "EMOS1": _MOS,
    "EMOS2": _MOS,
    "ACIS": Rules(
        {"GRADE": lambda values: np.isin(values, CHANDRA_GRADES), "STATUS": _none}, ("ENERGY",)
    ),
}  # fmt: skip
"""Instrument -> its rules: XMM-Newton Users' Handbook, section 3.3; CIAO's good grades."""


def rules_of(path: Path, header: "fits.Header") -> Rules:
    """Rules of the instrument of an event list.

    Raises:
        InputError: the instrument is not one of those known: its grades and channels are others.
    """
    telescope, instrument = (tables.text(header, key).upper() for key in ("TELESCOP", "INSTRUME"))
    name = camera(header) or ("ACIS" if (telescope, instrument) == ("CHANDRA", "ACIS") else "")
    if not name:
        whose = "/".join(word for word in (telescope, instrument) if word) or "no instrument"
        raise InputError(
            f"{path}: events of {whose}, whose grades and channels are not known; give lists of "
            "EPIC (XMM-Newton) or ACIS (Chandra), or images"
        )
    return RULES[name]


def good_events(path: Path, table: Any, names: list[str], rules: Rules) -> Flags:
    """Events (N) that all rules call good.

    Raises:
        InputError: a column is missing, so that bad events cannot be told.
    """
    kept_N = np.ones(len(table.data), bool)
    for name, good in rules.good.items():
        if name not in names:
            raise InputError(
                f"{path}: no column {name}, by which bad events are told; give the whole list"
            )
        kept_N &= good(tables.column(path, table, name) if name != "STATUS" else _bits(table))
    return kept_N


def _bits(table: Any) -> Array:
    """STATUS as numbers: bits or a whole number."""
    values: Array = np.asarray(table.data["STATUS"]).astype(np.float64)
    return values


def energies(path: Path, table: Any, names: list[str], rules: Rules) -> Array:
    """Energies (N) in keV.

    Raises:
        InputError: no column holds them, or their unit is no energy.
    """
    name = next((name for name in rules.energy if name in names), None)
    if name is None:
        raise InputError(f"{path}: no column {' or '.join(rules.energy)}; add energies in eV")
    unit = str(table.columns[name].unit or "").strip().lower()
    if unit not in _EV:
        raise InputError(f"{path}: column {name} has unit {unit!r}; expected eV or keV")
    return tables.vector(path, table, name) * (_EV[unit] / 1e3)
