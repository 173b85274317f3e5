"""Reading of spectra: OGIP PHA type I (OGIP/92-007).

Shapes: C channels.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.ogip import tables as ogip
from wolter.xray.ogip.pha_columns import Rows, channel_flags, counts, exposure, rows_of, scale

Role = Literal["total", "background"]

# Columns of a background on either side of a grating spectrum, with the keyword of its scale.
_SIDES = {"BACKGROUND_UP": "BACKSCUP", "BACKGROUND_DOWN": "BACKSCDN"}

_WORDS = {
    "telescope": "TELESCOP",
    "instrument": "INSTRUME",
    "filter": "FILTER",
    "date": "DATE-OBS",
    "grating": "GRATING",
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
        telescope, instrument, filter, date, grating, respfile, ancrfile, backfile: as in the file;
            empty for none.
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
    date: str = ""
    grating: str = ""
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
        InputError: not a PHA file of type I, damaged, without EXPOSURE, with counts or scales that
            are negative or not finite, or with counts that are not Poisson's.
    """
    path = Path(path)
    with ogip.open_tables(path) as tables:
        if role == "background":
            own = _background_in(path, tables)
            if own is not None:
                return own
        return _spectrum(path, _source(path, tables))


def read_spectra(path: Path) -> tuple[Spectrum, Spectrum | None]:
    """Read a spectrum and the background that its own file holds, if there is one.

    The background is a table of HDUCLAS2 BKG, or the columns BACKGROUND_UP and BACKGROUND_DOWN of a
    grating spectrum together, whose scales BACKSCUP and BACKSCDN add up.

    Raises:
        InputError: as `read_spectrum`.
    """
    path = Path(path)
    with ogip.open_tables(path) as tables:
        return _spectrum(path, _source(path, tables)), _background_in(path, tables)


def spectrum_tables(tables: list[Any]) -> list[Any]:
    """Tables with the columns of a spectrum, whatever their names and classes."""
    found = ogip.with_columns(tables, "CHANNEL", "COUNTS") + ogip.with_columns(
        tables, "CHANNEL", "RATE"
    )
    return list({id(hdu): hdu for hdu in found}.values())


def spectrum_class(hdu: Any) -> str:
    """HDUCLAS2 of a table: TOTAL, BKG, NET, or empty."""
    return ogip.text(hdu.header, "HDUCLAS2").upper()


def _spectrum(path: Path, hdu: Any) -> Spectrum:
    header = hdu.header
    rows = _rows(path, hdu)
    exposure_s = exposure(path, header)
    words: dict[str, Any] = {name: ogip.text(header, key) for name, key in _WORDS.items()}
    return Spectrum(
        counts_C=counts(path, hdu, rows, exposure_s),
        exposure_s=exposure_s,
        backscale=scale(path, hdu, "BACKSCAL", rows),
        areascale=scale(path, hdu, "AREASCAL", rows),
        first_channel=rows.first_channel,
        grouping_C=channel_flags(path, hdu, "GROUPING", rows),
        quality_C=channel_flags(path, hdu, "QUALITY", rows),
        source=str(path),
        **words,
    )


def _source(path: Path, tables: list[Any]) -> Any:
    """Source spectrum of a file: the only one that is no background, or the only one."""
    found = spectrum_tables(tables)
    if not found:
        raise InputError(f"{path}: no table with CHANNEL and COUNTS or RATE; is this a PHA file?")
    totals = [hdu for hdu in found if spectrum_class(hdu) not in ("BKG", "NET")]
    backgrounds = [hdu for hdu in found if spectrum_class(hdu) == "BKG"]
    chosen = totals or backgrounds
    if not chosen:
        raise InputError(
            f"{path}: background already subtracted (HDUCLAS2 NET); pass the total spectrum"
        )
    return _only(path, chosen)


def _only(path: Path, found: list[Any]) -> Any:
    if len(found) > 1:
        raise InputError(f"{path}: {len(found)} spectra of one kind; split it into one a file")
    return found[0]


def _background_in(path: Path, tables: list[Any]) -> Spectrum | None:
    found = spectrum_tables(tables)
    backgrounds = [hdu for hdu in found if spectrum_class(hdu) == "BKG"]
    if backgrounds:
        return _spectrum(path, _only(path, backgrounds))
    sided = [hdu for hdu in found if set(_SIDES) & set(ogip.columns(hdu))]
    return _both_sides(path, _only(path, sided)) if sided else None


def _both_sides(path: Path, hdu: Any) -> Spectrum:
    """Sum of the backgrounds on both sides of a grating spectrum."""
    spectrum, rows = _spectrum(path, hdu), _rows(path, hdu)
    sides = [name for name in _SIDES if name in ogip.columns(hdu)]
    for name in sides:
        key = _SIDES[name]
        if key not in ogip.columns(hdu) and ogip.number(path, hdu.header, key) is None:
            raise InputError(f"{path}: {name} without its scale; add the keyword {key}")
    parts = [counts(path, hdu, rows, spectrum.exposure_s, name) for name in sides]
    scales = [scale(path, hdu, _SIDES[name], rows) for name in sides]
    return replace(
        spectrum, counts_C=sum(parts[1:], parts[0]), backscale=sum(scales[1:], scales[0])
    )


def _rows(path: Path, hdu: Any) -> Rows:
    if hdu.data["CHANNEL"].ndim != 1 or "SPEC_NUM" in ogip.columns(hdu):
        raise InputError(
            f"{path}: several spectra in one table (PHA type II); split it into type I"
        )
    return rows_of(path, hdu)
