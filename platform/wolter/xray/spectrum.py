"""Observations: a spectrum with its response and background.

Shapes: C channels.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray import ogip
from wolter.xray.matrix import read_arf, read_rmf
from wolter.xray.pha import Spectrum, has_background, read_spectrum
from wolter.xray.response import Response, response_of

__all__ = ["Observation", "Spectrum", "read_observation", "read_spectrum"]


@dataclass(frozen=True, eq=False)
class Observation:
    """A spectrum, its response and, where there is one, its background; on the same channels."""

    spectrum: Spectrum
    response: Response
    background: Spectrum | None = None
    name: str = ""

    @property
    def background_scale(self) -> float | Tensor:
        """Background counts expected in the source region for each count of the background.

        exposure * BACKSCAL * AREASCAL of the source over the same of the background: a float, or a
        float64 tensor (C) where a scale varies by channel. 0 without a background, and in channels
        where the background has no area.
        """
        if self.background is None:
            return 0.0
        source, background = self.spectrum, self.background
        above = source.exposure_s * source.backscale * source.areascale
        below = background.exposure_s * background.backscale * background.areascale
        if isinstance(above, float) and isinstance(below, float):
            return above / below
        ratio_C = torch.as_tensor(above) / torch.as_tensor(below)
        return torch.where(torch.isfinite(ratio_C), ratio_C, 0.0)


def read_observation(
    pha: Path,
    *,
    rmf: Path | str | None = None,
    arf: Path | str | None = None,
    background: Path | str | None = None,
) -> Observation:
    """Read a spectrum with the files that its header names, beside it, unless others are given.

    Args:
        pha: spectrum (OGIP PHA type I).
        rmf: redistribution matrix in place of RESPFILE.
        arf: effective area in place of ANCRFILE; "none" where the matrix holds the area.
        background: background spectrum in place of BACKFILE; "none" for none.

    Raises:
        InputError: a file is missing or cannot be read, or the files do not belong together.
    """
    pha = Path(pha)
    spectrum = read_spectrum(pha)
    rmf_path = _follow(pha, rmf, spectrum.respfile, "RMF", "RESPFILE", "rmf")
    if rmf_path is None:
        raise InputError(f"{pha}: names no RMF (RESPFILE); pass rmf=")
    matrix = read_rmf(rmf_path)
    arf_path = _follow(pha, arf, spectrum.ancrfile, "ARF", "ANCRFILE", "arf")
    if arf_path is None and arf is None and not matrix.has_area:
        raise InputError(f"{pha}: names no ARF (ANCRFILE) and {rmf_path} holds no area; pass arf=")
    response = response_of(matrix, None if arf_path is None else read_arf(arf_path))
    _same_channels(spectrum, response, str(rmf_path))
    background_spectrum = _background(pha, spectrum, background)
    if background_spectrum is not None:
        _same_channels(background_spectrum, response, str(rmf_path))
    return Observation(spectrum, response, background_spectrum, name=pha.name)


def _follow(
    pha: Path, given: Path | str | None, named: str, what: str, keyword: str, option: str
) -> Path | None:
    """The file that is given, else the one that the header names; None for none."""
    if given is not None:
        return None if str(given).lower() == "none" else Path(given)
    if not named:
        return None
    found = ogip.beside(pha, named)
    if found is None:
        raise InputError(f"{pha}: its {what} {named} ({keyword}) is not beside it; pass {option}=")
    return found


def _background(pha: Path, spectrum: Spectrum, given: Path | str | None) -> Spectrum | None:
    path = _follow(pha, given, spectrum.backfile, "background", "BACKFILE", "background")
    if path is None and given is None and has_background(pha):
        path = pha
    return None if path is None else read_spectrum(path, "background")


def _same_channels(spectrum: Spectrum, response: Response, rmf: str) -> None:
    theirs = (response.first_channel, response.n_channels)
    if (spectrum.first_channel, spectrum.n_channels) != theirs:
        raise InputError(
            f"{spectrum.source}: {spectrum.n_channels} channels from {spectrum.first_channel}, but "
            f"{rmf} has {theirs[1]} from {theirs[0]}; pass the RMF of this spectrum"
        )
