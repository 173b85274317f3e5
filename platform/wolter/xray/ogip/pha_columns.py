"""Columns and keywords of one PHA table, on all channels of its detector.

Shapes: R rows of the table, C channels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.ogip import tables
from wolter.xray.ogip.tables import Array

# QUALITY of channels that a file does not list ("set bad by the user").
NOT_LISTED = 5
# More than any instrument has: a damaged DETCHANS must not fill the memory.
MOST_CHANNELS = 2**20
# Beyond any observation; float32 would lose larger numbers, and no fit can use them.
MOST_COUNTS = 1e12
LONGEST_EXPOSURE_S = 1e10
SCALES = (1e-15, 1e15)


@dataclass(frozen=True, eq=False)
class Rows:
    """Channel numbers of the rows of a table.

    Attributes:
        place_R: index of each row's channel.
        first_channel: number of the first channel.
        n_channels: how many there are.
    """

    place_R: NDArray[np.int64]
    first_channel: int
    n_channels: int

    def spread(self, values_R: Array | int, fill: float) -> Array:
        """Values of the rows on all channels (C), `fill` where there is no row."""
        values_C = np.full(self.n_channels, fill, dtype=np.float64)
        values_C[self.place_R] = values_R
        return values_C


def rows_of(path: Path, hdu: Any) -> Rows:
    """Place the rows of a table by CHANNEL, DETCHANS and TLMIN.

    Raises:
        InputError: no channels, or channels that repeat or do not fit DETCHANS.
    """
    channel_R = tables.vector(path, hdu, "CHANNEL")
    if len(channel_R) == 0:
        raise InputError(f"{path}: no channels; fetch it again")
    whole = np.isfinite(channel_R).all() and (channel_R == np.round(channel_R)).all()
    if not whole or np.abs(channel_R).max() > 2**31:
        raise InputError(f"{path}: CHANNEL must hold whole numbers; correct the column")
    detchans = tables.number(path, hdu.header, "DETCHANS")
    n_channels = len(channel_R) if detchans is None else detchans
    first = int(channel_R.min())
    if len(channel_R) < n_channels:  # only some channels are listed
        given = tables.column_minimum(path, hdu, "CHANNEL")
        first = given if given is not None else int(channel_R.max() >= n_channels)
    n_channels = max(n_channels, len(channel_R))
    if not n_channels <= MOST_CHANNELS:
        raise InputError(f"{path}: DETCHANS {n_channels:.15g} is too large; correct the keyword")
    if n_channels != round(n_channels):
        raise InputError(f"{path}: DETCHANS {n_channels:g} is no whole number; correct the keyword")
    place_R = channel_R.astype(np.int64) - first
    outside = (place_R < 0).any() or (place_R >= n_channels).any()
    if outside or len(np.unique(place_R)) < len(place_R):
        raise InputError(
            f"{path}: channels {int(channel_R.min())}-{int(channel_R.max())} do not fit "
            f"DETCHANS {n_channels:g} from {first}, or repeat; correct CHANNEL, TLMIN or DETCHANS"
        )
    return Rows(place_R, first, int(n_channels))


def exposure(path: Path, header: Any) -> float:
    """EXPOSURE, s.

    Raises:
        InputError: missing, no number, or not between 0 and `LONGEST_EXPOSURE_S`.
    """
    value = tables.number(path, header, "EXPOSURE")
    if value is None:
        raise InputError(f"{path}: no EXPOSURE; add the keyword (seconds)")
    if not 0 < value <= LONGEST_EXPOSURE_S:
        raise InputError(
            f"{path}: EXPOSURE {value} must be positive and at most {LONGEST_EXPOSURE_S:g} s; "
            "correct the keyword (seconds)"
        )
    return value


def counts(path: Path, hdu: Any, rows: Rows, exposure_s: float, name: str = "") -> Tensor:
    """Counts (C) of a column, or of COUNTS or RATE, float64.

    Raises:
        InputError: counts that are negative, not finite or beyond `MOST_COUNTS`; or not Poisson's:
            POISSERR is false, or STAT_ERR is there in its place, and they are no whole numbers or
            their errors are others.
    """
    if name or "COUNTS" in tables.columns(hdu):
        factor, counts_R = 1.0, tables.vector(path, hdu, name or "COUNTS")
    else:
        factor, counts_R = exposure_s, tables.vector(path, hdu, "RATE") * exposure_s
        # Rates in float32 hide whole counts.
        whole_R = np.round(counts_R)
        if (np.abs(counts_R - whole_R) < 1e-3 + 1e-6 * whole_R).all():
            counts_R = whole_R
    bad = ~((counts_R >= 0) & (counts_R <= MOST_COUNTS))
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{path}: counts {counts_R[row]:g} in row {row + 1}; counts must be finite and not "
            "negative: pass the spectrum before background subtraction"
        )
    if not name:
        _check_poisson(path, hdu, counts_R, factor)
    return torch.from_numpy(rows.spread(counts_R, 0.0))


def _check_poisson(path: Path, hdu: Any, counts_R: Array, factor: float) -> None:
    """Refuse counts whose own file says that their errors are not Poisson's."""
    has_errors = "STAT_ERR" in tables.columns(hdu)
    poisson = _poisson_errors(hdu.header)
    if poisson or (poisson is None and not has_errors):
        return
    remedy = "pass the counts as they were detected, not corrected or subtracted ones"
    if (counts_R != np.round(counts_R)).any():
        raise InputError(
            f"{path}: fractional counts with errors that are not Poisson's (POISSERR, STAT_ERR); "
            f"{remedy}"
        )
    if has_errors:
        # Whole counts with Poisson errors in one of the usual forms: sqrt(N), or 1 + sqrt(N + 3/4).
        error_R = tables.vector(path, hdu, "STAT_ERR") * factor
        many_R = counts_R >= 10
        ratio_R = error_R[many_R] / np.sqrt(counts_R[many_R])
        if many_R.any() and not 0.5 < float(np.median(ratio_R)) < 2:
            raise InputError(
                f"{path}: STAT_ERR is {np.median(ratio_R):.2g} times the error of Poisson counts; "
                f"{remedy}"
            )


def _poisson_errors(header: Any) -> bool | None:
    """POISSERR, which some files write as text or number; None where it is not given."""
    value = header.get("POISSERR")
    if isinstance(value, str):
        word = value.strip().upper()
        return None if not word else word in ("T", "TRUE", "YES", "1")
    return None if value is None else bool(value)


def scale(path: Path, hdu: Any, name: str, rows: Rows) -> float | Tensor:
    """BACKSCAL, AREASCAL or alike: a column (C), a keyword, or 1.

    Raises:
        InputError: not a number, not finite, or not positive.
    """
    low, high = SCALES
    if name in tables.columns(hdu):
        given_R = tables.vector(path, hdu, name)
        good_R = (given_R == 0) | ((given_R >= low) & (given_R <= high))
        if not good_R.all() or not (given_R > 0).any():
            raise InputError(f"{path}: column {name} must be finite and not negative; correct it")
        # One value for all stays a number.
        if (given_R == given_R[0]).all():
            return float(given_R[0])
        return torch.from_numpy(rows.spread(given_R, 0.0))
    value = tables.number(path, hdu.header, name)
    if value is None:
        return 1.0
    if not low <= value <= high:
        raise InputError(f"{path}: {name} {value} must be positive and finite; correct the keyword")
    return value


def channel_flags(path: Path, hdu: Any, name: str, rows: Rows) -> Tensor | None:
    """GROUPING or QUALITY (C), int16: a column, a keyword other than 0, or None.

    Channels without a row are channels alone, and of bad QUALITY.

    Raises:
        InputError: no whole numbers.
    """
    quality = name == "QUALITY"
    fill = NOT_LISTED if quality else 0
    if name in tables.columns(hdu):
        given_R = tables.vector(path, hdu, name)
        if not (np.abs(given_R) < 2**15).all() or (given_R != np.round(given_R)).any():
            raise InputError(f"{path}: column {name} must hold small whole numbers; correct it")
        return torch.from_numpy(rows.spread(given_R, fill).astype(np.int16))
    value = tables.whole_number(path, hdu.header, name) or 0
    if abs(value) >= 2**15:
        raise InputError(f"{path}: {name} {value} is too large; correct the keyword")
    missing = quality and len(rows.place_R) < rows.n_channels
    if not value and not missing:
        return None
    return torch.from_numpy(rows.spread(value, fill).astype(np.int16))
