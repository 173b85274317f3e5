"""Observations: a spectrum with its response and background.

Shapes: C channels.
"""

import filecmp
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.ogip import csc_names, tables
from wolter.xray.ogip.matrices import Rmf, read_arf, read_rmf
from wolter.xray.ogip.pha import Spectrum, read_spectra, read_spectrum
from wolter.xray.spectral.grouping import (
    cut,
    group_by_factor,
    group_index,
    group_min_counts,
    summed,
    turned,
)
from wolter.xray.spectral.response import Edges, Response, channel_bins, response_of
from wolter.xray.spectral.writing import write_spectrum

# Background counts in the source region for each that was measured; real ones are near 1e-2.
LARGEST_SCALE = 1e6

__all__ = [
    "Observation",
    "Spectrum",
    "background_of",
    "group_by_factor",
    "group_min_counts",
    "observation_of",
    "read_observation",
    "read_spectrum",
    "write_spectrum",
]


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
        ratio_C = torch.as_tensor(above / below)
        return torch.where(torch.isfinite(ratio_C), ratio_C, 0.0)

    @property
    def exposure_s(self) -> float:
        """Exposure of the source spectrum, s."""
        return self.spectrum.exposure_s

    def expected_counts(self, flux_BE: Tensor) -> Tensor:
        """Source counts expected of photon fluxes (..., E): folded, times exposure and AREASCAL."""
        counts_BC = self.response.fold(flux_BE, self.exposure_s)
        areascale = self.spectrum.areascale
        return counts_BC * (areascale.to(counts_BC) if isinstance(areascale, Tensor) else areascale)

    def band(self, low_kev: float, high_kev: float) -> "Observation":
        """The channels (or groups) whose centre is in [low, high) keV.

        Raises:
            InputError: no channel is.
        """
        channels = self.response.channels_between(low_kev, high_kev)
        return self._changed(
            self.response.band(low_kev, high_kev), lambda spectrum: cut(spectrum, channels)
        )

    def rebin(self, edges_kev: Edges) -> "Observation":
        """Channels summed into the given bins by their centre; those of bad QUALITY are left out.

        Raises:
            InputError: the edges do not ascend, or hold no good channel.
        """
        bin_C = channel_bins(self.response.channel_edges_C1, edges_kev).cpu()
        return self._summed(bin_C, edges_kev)

    def grouped(self) -> "Observation":
        """Apply GROUPING and QUALITY: channels summed into groups, those of bad QUALITY left out.

        Without GROUPING each good channel is a group. The nominal width of a group includes the
        bad channels inside and after it.

        Raises:
            InputError: QUALITY excludes every channel.
        """
        good_C, grouping_C = self.good_C, self.spectrum.grouping_C
        index_C = torch.arange(len(good_C)) if grouping_C is None else group_index(grouping_C)
        begins = torch.diff(index_C[good_C], prepend=torch.tensor([-1])) > 0
        bin_C = torch.full_like(index_C, -1).masked_scatter(good_C, torch.cumsum(begins, 0) - 1)
        # Channels where a group begins, and the end of the last one.
        good = torch.nonzero(good_C).flatten()
        bounds = torch.cat([good[begins], good[-1:] + 1])
        return self._summed(bin_C, self.response.channel_edges_C1.cpu()[bounds])

    @property
    def good_C(self) -> Tensor:
        """True for the channels that QUALITY excludes neither in source nor in background."""
        good_C = self.spectrum.good_C
        return good_C if self.background is None else good_C & self.background.good_C

    def _summed(self, bin_C: Tensor, edges_G1: Edges) -> "Observation":
        bin_C = torch.where(self.good_C, bin_C, -1)
        if not bool((bin_C >= 0).any()):
            raise InputError(
                f"{self.spectrum.source}: no channel of good QUALITY is left; check QUALITY"
            )
        n_bins = len(edges_G1) - 1
        return self._changed(
            self.response.sum_into(bin_C, edges_G1),
            lambda spectrum: summed(spectrum, bin_C, n_bins),
        )

    def _changed(self, response: Response, change: Callable[[Spectrum], Spectrum]) -> "Observation":
        background = None if self.background is None else change(self.background)
        return replace(
            self, response=response, spectrum=change(self.spectrum), background=background
        )


def read_observation(
    pha: Path,
    *,
    rmf: Path | str | None = None,
    arf: Path | str | None = None,
    background: Path | str | None = None,
) -> Observation:
    """Read a spectrum with the files that its header names, beside it, unless others are given.

    Where a spectrum of the Chandra Source Catalog names none that is there, its ARF and RMF are
    found by their names, see `wolter.xray.ogip.csc_names`.

    Args:
        pha: spectrum (OGIP PHA type I).
        rmf: redistribution matrix in place of RESPFILE.
        arf: effective area in place of ANCRFILE; "none" where the matrix holds the area.
        background: background spectrum in place of BACKFILE; "none" for none.

    Raises:
        InputError: a file is missing or cannot be read, or the files do not belong together.
    """
    pha = Path(pha)
    spectrum, own = read_spectra(pha)
    rmf_path = _follow(pha, rmf, spectrum.respfile, "RMF", "RESPFILE", "rmf")
    if rmf_path is None:
        raise InputError(f"{pha}: names no RMF (RESPFILE); give --rmf FILE")
    matrix = read_rmf(rmf_path)
    _same_channels(spectrum, matrix, str(rmf_path))
    arf_path = _follow(pha, arf, spectrum.ancrfile, "ARF", "ANCRFILE", "arf")
    area = None if arf_path is None else read_arf(arf_path)
    try:
        response = response_of(matrix, area, trusted=arf is not None)
    except InputError as error:
        if area is not None:
            raise
        raise InputError(f"{pha}: no ARF (ANCRFILE), and {error}") from error
    background_spectrum = background_of(pha, spectrum, own, background)
    return observation_of(spectrum, response, background_spectrum, str(rmf_path), pha.name)


def observation_of(
    spectrum: Spectrum,
    response: Response,
    background: Spectrum | None,
    source: str,
    name: str = "",
) -> Observation:
    """Join a spectrum, a response and a background as their files have them.

    Args:
        spectrum: channels in the order of its file.
        response: response of the same channels.
        background: background of the same channels, or None.
        source: source of the response, for messages.
        name: name of the observation.

    Raises:
        InputError: the channels differ, or the scale of the background is no number.
    """
    for part in (spectrum, background):
        if part is not None:
            _same_channels(part, response, source)
    if response.descending:
        spectrum = turned(spectrum)
        background = background and turned(background)
    observation = Observation(spectrum, response, background, name=name)
    scale = torch.as_tensor(observation.background_scale)
    if not bool((scale <= LARGEST_SCALE).all()):
        raise InputError(
            f"{spectrum.source}: {float(scale.max()):g} background counts expected for each that "
            "was measured; correct EXPOSURE, BACKSCAL or AREASCAL"
        )
    return observation


def _follow(
    pha: Path, given: Path | str | None, named: str, what: str, keyword: str, option: str
) -> Path | None:
    """The file that is given, else the one that the header names; None for none."""
    if given is not None:
        return None if str(given).lower() == "none" else Path(given)
    found = tables.beside(pha, named) if named else None
    found = found or csc_names.companion(pha, option)
    if found is None and named:
        otherwise = "" if option == "rmf" else " or none"  # a spectrum needs an RMF
        raise InputError(
            f"{pha}: its {what} {named} ({keyword}) is not beside it; "
            f"give --{option} FILE{otherwise}"
        )
    return found


def background_of(
    pha: Path, spectrum: Spectrum, own: Spectrum | None, given: Path | str | None
) -> Spectrum | None:
    """The background of a spectrum: the given one, the named one, or that of its own file.

    Args:
        pha: file of the spectrum.
        spectrum: read from it.
        own: background that the same file holds, if there is one.
        given: in place of them; "none" for none.

    Raises:
        InputError: it is missing, cannot be read, or is the spectrum itself.
    """
    named = spectrum.backfile
    if own is not None and csc_names.same_source(Path(named).name, pha.name):
        named = ""  # also where it names itself by another version
    path = _follow(pha, given, named, "background", "BACKFILE", "background")
    if path is None:
        return own if given is None else None
    if own is None and path.is_file() and filecmp.cmp(path, pha, shallow=False):
        raise InputError(
            f"{pha}: is its own background, and holds no other (HDUCLAS2 BKG); "
            "give --background FILE"
        )
    return read_spectrum(path, "background")


def _same_channels(spectrum: Spectrum, response: Response | Rmf, rmf: str) -> None:
    theirs = (response.first_channel, response.n_channels)
    if (spectrum.first_channel, spectrum.n_channels) != theirs:
        raise InputError(
            f"{spectrum.source}: {spectrum.n_channels} channels from {spectrum.first_channel}, "
            f"{rmf} has {theirs[1]} from {theirs[0]}; pass the RMF of this spectrum"
        )
