"""Reading of effective areas (ARF) and redistribution matrices (RMF), OGIP CAL/GEN/92-002.

Shapes: E energies, C channels. Energies in keV, areas in cm^2.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray.ogip import tables as ogip
from wolter.xray.ogip import units
from wolter.xray.ogip.tables import Array

Integers = NDArray[np.int64]

# Some files start their first energy bin at 0, where a power law is infinite. No instrument sees
# photons of 1 eV, so starting there changes no count.
LOWEST_ENERGY_KEV = 1e-3


# Cells of the largest matrix that is unpacked: gratings have 16,384 x 16,384. Microcalorimeters
# come with up to 60,000 x 60,000, which would fill 29 GB.
LARGEST_MATRIX = 2**28

LARGEST_AREA_CM2 = 1e12


# Above the sum of a row of chances, with some margin for escape events that count twice: a matrix
# whose rows reach more holds an area.
MOST_CHANCE = 2.0


@dataclass(frozen=True, eq=False)
class Arf:
    """Effective area in cm^2 per energy bin."""

    energy_edges_E1: Array
    area_E: Array
    source: str


@dataclass(frozen=True, eq=False)
class Rmf:
    """Redistribution matrix: the chance that a photon of an energy bin lands in a channel.

    Some files (`*.rsp`) hold the product with the area. Channels ascend in energy; `descending`
    marks a file in which they run the other way (gratings), so that its spectra must be turned
    round too.

    Attributes:
        kind: HDUCLAS3: REDIST or DETECTOR without the area, FULL with it, or empty.
        has_unit: MATRIX has the unit of an area.
    """

    energy_edges_E1: Array
    matrix_EC: Array
    channel_edges_C1: Array
    first_channel: int
    kind: str
    has_unit: bool
    descending: bool
    telescope: str
    instrument: str
    filter: str
    source: str

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.channel_edges_C1) - 1

    @cached_property
    def largest_sum(self) -> float:
        """Sum over the channels, where it is largest: about 1 of chances, cm^2 of areas."""
        return float(self.matrix_EC.sum(1).max())

    @property
    def says_area(self) -> bool:
        """True if the file says that the matrix includes the effective area."""
        return self.has_unit or self.kind in ("FULL", "RSP", "RSP_MATRIX", "SPECRESP MATRIX")

    @property
    def has_area(self) -> bool:
        """True if the matrix includes the area: by its keywords, or by sums far above 1."""
        return self.says_area or (not self.kind and self.largest_sum > MOST_CHANCE)

    @property
    def needs_area(self) -> bool:
        """True if the file says that the matrix excludes the effective area."""
        return self.kind in ("REDIST", "DETECTOR")


def read_arf(path: Path) -> Arf:
    """Read an ARF.

    Raises:
        InputError: not an ARF, damaged, or with areas that are negative or not finite.
    """
    path = Path(path)
    with ogip.open_tables(path) as tables:
        found = ogip.with_columns(tables, "ENERG_LO", "ENERG_HI", "SPECRESP")
        if not found:
            raise InputError(f"{path}: no SPECRESP table; is this an ARF?")
        if len(found) > 1:
            raise InputError(f"{path}: {len(found)} areas in one file; split it into one a file")
        hdu = found[0]
        if len(hdu.data) and hdu.data["SPECRESP"].ndim != 1:
            raise InputError(f"{path}: several areas a row (type II ARF); split it first")
        area_E = ogip.scaled(path, hdu, "SPECRESP", "area")
        energy_edges_E1, turned = _energy_edges(path, hdu)
    if not ((area_E >= 0) & (area_E <= LARGEST_AREA_CM2)).all():
        raise InputError(f"{path}: effective areas must be finite and not negative; make it again")
    return Arf(energy_edges_E1, area_E[::-1] if turned else area_E, str(path))


def read_rmf(path: Path) -> Rmf:
    """Read an RMF, or a response that holds the area as well (RSP).

    Raises:
        InputError: not an RMF, damaged, or with groups outside the channels of its EBOUNDS.
    """
    path = Path(path)
    with ogip.open_tables(path) as tables:
        found = ogip.with_columns(
            tables, "ENERG_LO", "ENERG_HI", "N_GRP", "F_CHAN", "N_CHAN", "MATRIX"
        )
        bounds = ogip.with_columns(tables, "CHANNEL", "E_MIN", "E_MAX")
        if not found or not bounds:
            missing = "MATRIX" if not found else "EBOUNDS"
            raise InputError(f"{path}: no {missing} table; is this an RMF?")
        if len(found) > 1:
            raise InputError(f"{path}: {len(found)} matrices in one file; split it into one a file")
        hdu, ebounds = found[0], bounds[0]
        channel_C = ogip.vector(path, ebounds, "CHANNEL")
        if not (np.abs(channel_C) < 2**31).all() or (np.diff(channel_C) != 1).any():
            raise InputError(f"{path}: channels of EBOUNDS are not consecutive; make it again")
        first_channel = int(channel_C[0]) if len(channel_C) else 0
        offset = ogip.column_minimum(path, hdu, "F_CHAN")
        offset = first_channel if offset is None else offset
        matrix_EC = _expand(path, hdu.data, offset, len(channel_C))
        named = str(hdu.columns["MATRIX"].unit or "").strip()
        unit = units.factor(named, "area") if named else None
        energy_edges_E1, turned = _energy_edges(path, hdu)
        low_C = ogip.scaled(path, ebounds, "E_MIN", "energy")
        high_C = ogip.scaled(path, ebounds, "E_MAX", "energy")
        header = hdu.header
        telescope, instrument, filter_ = (
            ogip.text(header, key) for key in ("TELESCOP", "INSTRUME", "FILTER")
        )
        kind = ogip.text(header, "HDUCLAS3").upper()
    descending = len(low_C) > 1 and bool(low_C[0] > low_C[-1])
    if descending:
        low_C, high_C = low_C[::-1], high_C[::-1]
    if descending or turned:
        matrix_EC = np.ascontiguousarray(
            matrix_EC[:: -1 if turned else 1, :: -1 if descending else 1]
        )
    return Rmf(
        energy_edges_E1=energy_edges_E1,
        matrix_EC=matrix_EC if unit in (None, 1.0) else matrix_EC * unit,
        channel_edges_C1=ogip.edges(path, low_C, high_C, "channel bounds", gaps=True),
        first_channel=first_channel,
        kind=kind,
        has_unit=unit is not None,
        descending=descending,
        telescope=telescope,
        instrument=instrument,
        filter=filter_,
        source=str(path),
    )


def _energy_edges(path: Path, hdu: Any) -> tuple[Array, bool]:
    """Edges of the energy bins, ascending, and whether the file has them in the other order."""
    low_E = ogip.scaled(path, hdu, "ENERG_LO", "energy")
    high_E = ogip.scaled(path, hdu, "ENERG_HI", "energy")
    turned = len(low_E) > 1 and bool(low_E[0] > low_E[-1])
    if turned:
        low_E, high_E = low_E[::-1], high_E[::-1]
    edges_E1 = ogip.edges(path, low_E, high_E, "energy bins")
    if edges_E1[0] < 0:
        raise InputError(f"{path}: energies are negative; make it again")
    if not edges_E1[-1] > edges_E1[0]:
        raise InputError(f"{path}: no energy bin has a width; make it again")
    positive_E1 = edges_E1[edges_E1 > 0]
    edges_E1[edges_E1 == 0] = min(LOWEST_ENERGY_KEV, positive_E1[0] / 2)
    return edges_E1, turned


def _rows(values: Any, n_rows: int) -> tuple[Array, Integers]:
    """A column of one or many values a row, fixed or variable: flat values, length of each row."""
    if values.dtype == object:
        rows = [np.ravel(row) for row in values]
        flat = np.concatenate(rows) if rows else np.empty(0)
        return flat.astype(np.float64), np.array([len(row) for row in rows], dtype=np.int64)
    table = np.asarray(values).reshape(n_rows, -1)
    return table.ravel().astype(np.float64), np.full(n_rows, table.shape[1], dtype=np.int64)


def _first_of_each(flat: Array, length_E: Integers, wanted_E: Integers) -> Array:
    """The first `wanted` values of each row: what follows is padding."""
    place = np.arange(len(flat)) - np.repeat(np.cumsum(length_E) - length_E, length_E)
    wanted: Array = flat[place < np.repeat(wanted_E, length_E)]
    return wanted


def _expand(path: Path, data: Any, offset: int, n_channels: int) -> Array:
    """Unpack the groups of channels of every row into a dense matrix (E, C)."""
    n_rows = len(data)
    if n_rows * n_channels > LARGEST_MATRIX:
        raise InputError(
            f"{path}: {n_rows} energies x {n_channels} channels are too many; "
            "rebin the RMF and its spectra to fewer"
        )
    n_groups_E = np.asarray(data["N_GRP"]).astype(np.int64)
    first_flat, first_length_E = _rows(data["F_CHAN"], n_rows)
    count_flat, count_length_E = _rows(data["N_CHAN"], n_rows)
    value_flat, value_length_E = _rows(data["MATRIX"], n_rows)
    if (n_groups_E < 0).any() or (np.minimum(first_length_E, count_length_E) < n_groups_E).any():
        raise InputError(f"{path}: a row has fewer groups than its N_GRP; fetch it again")
    first = _first_of_each(first_flat, first_length_E, n_groups_E).astype(np.int64) - offset
    count = _first_of_each(count_flat, count_length_E, n_groups_E).astype(np.int64)
    used = count > 0  # writers pad with groups of no channels, at any number
    group_row = np.repeat(np.arange(n_rows), n_groups_E)[used]
    first, count = first[used], count[used]
    if len(count) == 0:
        raise InputError(f"{path}: MATRIX is empty; make it again")
    low, high = int(first.min()), int((first + count).max()) - 1
    if low < 0 or high >= n_channels:
        raise InputError(
            f"{path}: MATRIX uses channels {low + offset}-{high + offset} but EBOUNDS has "
            f"{n_channels} from {offset}; check TLMIN of F_CHAN"
        )
    used_E = np.bincount(group_row, weights=count, minlength=n_rows).astype(np.int64)
    if (value_length_E < used_E).any():
        raise InputError(f"{path}: a row of MATRIX is shorter than its groups; fetch it again")
    value = _first_of_each(value_flat, value_length_E, used_E)
    if not (np.abs(value) <= LARGEST_AREA_CM2).all():
        raise InputError(
            f"{path}: MATRIX holds values that are not finite or beyond any area; make it again"
        )
    # Cell of each value in the dense matrix; groups that overlap add up.
    within = np.arange(len(value)) - np.repeat(np.cumsum(count) - count, count)
    cell = np.repeat(group_row * n_channels + first, count) + within
    dense: Any = np.bincount(cell, weights=value, minlength=n_rows * n_channels)
    matrix_EC: Array = dense.reshape(n_rows, n_channels)
    return matrix_EC
