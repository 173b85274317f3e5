"""Event selection: which events of an instrument are good photons, and at what energy.

Shapes: N events.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray.ogip import tables
from wolter.xray.ogip.tables import Array

Flags = NDArray[np.bool_]

_EV = {"": 1.0, "ev": 1.0, "kev": 1e3, "chan": 1.0}


@dataclass(frozen=True)
class EventRules:
    """Event selection rules of one instrument.

    Attributes:
        good: column -> which of its values are good; every one must be there.
        energy: columns that may hold the energy, the first one that does; in eV where no unit says
            otherwise.
    """

    good: Mapping[str, Callable[[Array], Flags]]
    energy: tuple[str, ...]


def no_flag(values: Array) -> Flags:
    """Mask of events without any flag set; a row may hold several flags."""
    clear: Flags = values == 0 if values.ndim == 1 else (values == 0).all(1)
    return clear


def good_events(path: Path, table: Any, names: list[str], rules: EventRules) -> Flags:
    """Events (N) that all rules call good.

    Raises:
        InputError: a column is missing that marks bad events.
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


def energies(path: Path, table: Any, names: list[str], rules: EventRules) -> Array:
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
