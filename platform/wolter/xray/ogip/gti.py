"""Good time intervals (OGIP GTI tables), one list for every CCD.

Shapes: M intervals, with start and end in s of the mission's clock.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray.ogip import tables
from wolter.xray.ogip.tables import Array

ALL = -1  # the CCD of intervals that hold for every CCD

GoodTimes = Mapping[int, Array]
"""CCD -> intervals (M, 2), sorted and disjoint."""


def read_good_times(path: Path, hdus: Sequence[Any]) -> dict[int, Array]:
    """Good time intervals of an event list or of an image made from one; empty without any.

    The CCD of a table is its CCDID (XMM-Newton) or CCD_ID (Chandra), or else the number at the end
    of its name (STDGTI04, GTI7); a table called GTI holds for all.

    Raises:
        InputError: an interval is not finite or ends before it starts.
    """
    times: dict[int, Array] = {}
    for hdu in tables.with_columns(
        [hdu for hdu in hdus if hasattr(hdu, "columns")], "START", "STOP"
    ):
        if "GTI" not in f"{hdu.name} {tables.text(hdu.header, 'HDUCLAS1')}".upper():
            continue
        found_M2 = np.stack([tables.vector(path, hdu, name) for name in ("START", "STOP")], 1)
        if not (np.isfinite(found_M2).all() and (found_M2[:, 0] <= found_M2[:, 1]).all()):
            raise InputError(
                f"{path}: {hdu.name} holds an interval that ends before it starts; correct it"
            )
        ccd = _ccd(path, hdu)
        times[ccd] = merge(np.concatenate([times.get(ccd, np.zeros((0, 2))), found_M2]))
    return times


def _ccd(path: Path, hdu: Any) -> int:
    for key in ("CCDID", "CCD_ID", "CCDNR"):
        number = tables.whole_number(path, hdu.header, key)
        if number is not None:
            return number
    numbered = re.fullmatch(r"(?:STD)?GTI(\d{1,2})", hdu.name.upper())
    return int(numbered[1]) if numbered else ALL


def merge(intervals_M2: Array) -> Array:
    """Merge intervals into sorted ones that do not touch."""
    ordered_M2 = intervals_M2[np.argsort(intervals_M2[:, 0], kind="stable")]
    if not len(ordered_M2):
        return ordered_M2
    latest_M = np.maximum.accumulate(ordered_M2[:, 1])
    first_M = np.append(True, ordered_M2[1:, 0] > latest_M[:-1])
    last_M = np.append(first_M[1:], True)
    return np.stack([ordered_M2[first_M, 0], latest_M[last_M]], 1)


def length(intervals_M2: Array) -> float:
    """Sum of the intervals, s."""
    return float((intervals_M2[:, 1] - intervals_M2[:, 0]).sum())


def within(intervals_M2: Array, window: tuple[float, float]) -> Array:
    """Clip intervals to a window of time."""
    clipped_M2 = intervals_M2.clip(*window)
    kept: Array = clipped_M2[clipped_M2[:, 1] > clipped_M2[:, 0]]
    return kept


def common(one_M2: Array, other_M2: Array) -> float:
    """Time that two lists of intervals share, s."""
    return sum(length(within(one_M2, (float(a), float(b)))) for a, b in other_M2)


def holds(intervals_M2: Array, time_N: Array) -> NDArray[np.bool_]:
    """Mask of times within any interval: start included, end excluded."""
    if not len(intervals_M2):
        return np.zeros(len(time_N), bool)
    at_N = np.searchsorted(intervals_M2[:, 0], time_N, side="right") - 1
    inside_N: NDArray[np.bool_] = (at_N >= 0) & (time_N < intervals_M2[at_N.clip(0), 1])
    return inside_N


def of_ccd(times: GoodTimes, ccd: int) -> Array:
    """Good time intervals of one CCD, or the common ones; empty where there are none.

    An event of unknown CCD (`ALL`) may be in the intervals of any.
    """
    if ccd == ALL and times:
        return merge(np.concatenate(list(times.values())))
    return times.get(ccd, times.get(ALL, np.zeros((0, 2))))


def longest(times: GoodTimes) -> Array:
    """Intervals of the CCD with the most good time."""
    return max(times.values(), key=length, default=np.zeros((0, 2)))


def cut_points(intervals_M2: Array, seconds: float, most: int | None = None) -> list[float]:
    """Times that cut intervals into parts of so many good seconds: start, ..., end of the last.

    What is left over at the end, shorter than a part, lies after the last point.

    Args:
        intervals_M2: sorted and disjoint.
        seconds: seconds of each part.
        most: parts; None: all that there are.
    """
    end_M = np.cumsum(intervals_M2[:, 1] - intervals_M2[:, 0])
    total = float(end_M[-1]) if len(end_M) else 0.0
    # A part that only rounding keeps from being whole is whole.
    parts = int(min(total / seconds + 1e-9, math.inf if most is None else most))
    points = [float(intervals_M2[0, 0])] if parts else []
    for part in range(1, parts + 1):
        good = min(part * seconds, total)
        at = min(int(np.searchsorted(end_M, good, side="left")), len(end_M) - 1)
        points.append(float(intervals_M2[at, 1] - (end_M[at] - good)))
    return points
