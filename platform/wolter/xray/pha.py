"""Spectra as files: OGIP PHA type I (OGIP/92-007) in and out.

Shapes: C channels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray import ogip
from wolter.xray.ogip import Array

Role = Literal["total", "background"]

# QUALITY of channels that a file does not list ("set bad by the user").
NOT_LISTED = 5
# More than any instrument has: a damaged DETCHANS must not fill the memory.
MOST_CHANNELS = 2**20

_WORDS = {
    "telescope": "TELESCOP",
    "instrument": "INSTRUME",
    "filter": "FILTER",
    "respfile": "RESPFILE",
    "ancrfile": "ANCRFILE",
    "backfile": "BACKFILE",
}


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Counts of one observation in consecutive channels.

    Attributes:
        counts_C: float64; Poisson counts (rates are multiplied by the exposure when read).
        exposure_s: s.
        backscale: extraction area in the instrument's own units: a float, or one for each channel.
        areascale: scale of the effective area: a float, or one for each channel.
        first_channel: number of the first channel.
        grouping_C: OGIP flags (1 starts a group, -1 continues it, 0 is a channel alone), or None.
        quality_C: OGIP flags (0 good), or None.
        source: path of the file, or empty.
        telescope, instrument, filter, respfile, ancrfile, backfile: as in the file; empty for none.
        descending: channels are turned round from the file's order, to ascend in energy (gratings).
    """

    counts_C: Tensor
    exposure_s: float
    backscale: float | Tensor = 1.0
    areascale: float | Tensor = 1.0
    first_channel: int = 0
    grouping_C: Tensor | None = None
    quality_C: Tensor | None = None
    source: str = ""
    telescope: str = ""
    instrument: str = ""
    filter: str = ""
    respfile: str = ""
    ancrfile: str = ""
    backfile: str = ""
    descending: bool = False

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.counts_C)

    @property
    def good_C(self) -> Tensor:
        """True for the channels that QUALITY does not exclude."""
        if self.quality_C is None:
            return torch.ones(self.n_channels, dtype=torch.bool)
        return self.quality_C == 0


def read_spectrum(path: Path, role: Role = "total") -> Spectrum:
    """Read a spectrum.

    Args:
        path: PHA file, gzip or not.
        role: which spectrum of a file that holds source and background, told apart by HDUCLAS2.

    Raises:
        InputError: not a PHA file of type I, damaged, without EXPOSURE, or with counts or scales
            that are negative or not finite.
    """
    path = Path(path)
    with ogip.open_tables(path) as tables:
        hdu = _choose(path, tables, role)
        header = hdu.header
        place_C, first_channel, n_channels = _channels(path, hdu)
        exposure_s = _exposure(path, header)
        counts_C = np.zeros(n_channels)
        counts_C[place_C] = _counts(path, hdu, exposure_s)
        quality_C = _flags(path, hdu, "QUALITY", place_C, n_channels, fill=NOT_LISTED)
        if quality_C is None and len(place_C) < n_channels:
            quality_C = torch.full((n_channels,), NOT_LISTED, dtype=torch.int16)
            quality_C[torch.from_numpy(place_C)] = 0
        words: dict[str, Any] = {name: ogip.text(header, key) for name, key in _WORDS.items()}
        return Spectrum(
            counts_C=torch.from_numpy(counts_C),
            exposure_s=exposure_s,
            backscale=_scale(path, hdu, "BACKSCAL", place_C, n_channels),
            areascale=_scale(path, hdu, "AREASCAL", place_C, n_channels),
            first_channel=first_channel,
            grouping_C=_flags(path, hdu, "GROUPING", place_C, n_channels, fill=0),
            quality_C=quality_C,
            source=str(path),
            **words,
        )


def has_background(path: Path) -> bool:
    """Whether the file holds a background spectrum of its own (HDUCLAS2 BKG)."""
    with ogip.open_tables(Path(path)) as tables:
        return any(_class(hdu) == "BKG" for hdu in _spectra(tables))


def _spectra(tables: list[Any]) -> list[Any]:
    found = ogip.with_columns(tables, "CHANNEL", "COUNTS") + ogip.with_columns(
        tables, "CHANNEL", "RATE"
    )
    return list({id(hdu): hdu for hdu in found}.values())


def _class(hdu: Any) -> str:
    return ogip.text(hdu.header, "HDUCLAS2").upper()


def _choose(path: Path, tables: list[Any], role: Role) -> Any:
    """The spectrum of the wanted role; a file with only one spectrum serves as either."""
    found = _spectra(tables)
    if not found:
        raise InputError(f"{path}: no table with CHANNEL and COUNTS or RATE; is this a PHA file?")
    backgrounds = [hdu for hdu in found if _class(hdu) == "BKG"]
    others = [hdu for hdu in found if _class(hdu) != "BKG"]
    hdu = ((backgrounds or others) if role == "background" else (others or backgrounds))[0]
    if _class(hdu) == "NET":
        raise InputError(
            f"{path}: background already subtracted (HDUCLAS2 NET); pass the total spectrum"
        )
    if np.ndim(hdu.data["CHANNEL"]) != 1 or "SPEC_NUM" in ogip.columns(hdu):
        raise InputError(
            f"{path}: several spectra in one table (PHA type II); split it into type I"
        )
    return hdu


def _channels(path: Path, hdu: Any) -> tuple[Any, int, int]:
    """Place of each row, number of the first channel, number of channels."""
    channel = ogip.column(path, hdu, "CHANNEL")
    if len(channel) == 0:
        raise InputError(f"{path}: no channels")
    if not np.isfinite(channel).all() or (channel != np.round(channel)).any():
        raise InputError(f"{path}: CHANNEL must hold whole numbers")
    n_channels = int(hdu.header.get("DETCHANS", len(channel)))
    first = int(channel.min())
    if len(channel) < n_channels:  # only some channels are listed
        given = ogip.column_minimum(hdu, "CHANNEL")
        first = given if given is not None else int(channel.max() >= n_channels)
    n_channels = max(n_channels, len(channel))
    if n_channels > MOST_CHANNELS:
        raise InputError(f"{path}: DETCHANS {n_channels} is too large; correct the keyword")
    place = channel.astype(np.int64) - first
    if (place < 0).any() or (place >= n_channels).any() or len(np.unique(place)) < len(place):
        raise InputError(
            f"{path}: channels {int(channel.min())}-{int(channel.max())} do not fit "
            f"DETCHANS {n_channels} from {first}, or repeat; correct CHANNEL, TLMIN or DETCHANS"
        )
    return place, first, n_channels


def _exposure(path: Path, header: Any) -> float:
    value = header.get("EXPOSURE")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: no EXPOSURE; add the keyword (seconds)")
    if not np.isfinite(value) or value <= 0:
        raise InputError(
            f"{path}: EXPOSURE {value} must be positive; correct the keyword (seconds)"
        )
    return float(value)


def _counts(path: Path, hdu: Any, exposure_s: float) -> Array:
    if "COUNTS" in ogip.columns(hdu):
        counts = ogip.column(path, hdu, "COUNTS")
    else:
        counts = ogip.column(path, hdu, "RATE") * exposure_s
        # Rates in float32 hide whole counts.
        whole = np.round(counts)
        if (np.abs(counts - whole) < 1e-3).all():
            counts = whole
    bad = ~np.isfinite(counts) | (counts < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{path}: counts {counts[row]:g} in row {row + 1}; counts must be finite and not "
            "negative: pass the spectrum before background subtraction"
        )
    return counts


def _scale(path: Path, hdu: Any, name: str, place_C: Any, n_channels: int) -> float | Tensor:
    """BACKSCAL or AREASCAL: a column, a keyword, or 1."""
    if name in ogip.columns(hdu):
        given = ogip.column(path, hdu, name)
        values = np.zeros(n_channels)
        values[place_C] = given
        if not np.isfinite(values).all() or (values < 0).any() or not (values > 0).any():
            raise InputError(f"{path}: column {name} must be finite and not negative")
        # One value for all stays a number.
        return float(given[0]) if (given == given[0]).all() else torch.from_numpy(values)
    value = hdu.header.get(name, 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: {name} {value!r} is not a number; correct the keyword")
    if not np.isfinite(value) or value <= 0:
        raise InputError(f"{path}: {name} {value} must be positive; correct the keyword")
    return float(value)


def _flags(
    path: Path, hdu: Any, name: str, place_C: Any, n_channels: int, fill: int
) -> Tensor | None:
    """GROUPING or QUALITY: a column, a keyword other than 0, or None."""
    flags = np.full(n_channels, fill, dtype=np.int16)
    if name in ogip.columns(hdu):
        flags[place_C] = ogip.column(path, hdu, name).astype(np.int16)
        return torch.from_numpy(flags)
    value = hdu.header.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value == 0:
        return None
    flags[place_C] = value
    return torch.from_numpy(flags)
