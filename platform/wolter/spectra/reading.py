"""Reading of spectrum files as records on a model's grid, with flags."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.spectra.gridding import batch_of, mean_areascale
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.instruments import instrument as instruments
from wolter.xray.instruments.instrument import Instrument
from wolter.xray.ogip.pha import read_spectra
from wolter.xray.spectral.observation import (
    Observation,
    background_of,
    observation_of,
    read_observation,
)

ResponseChoice = Literal["files", "embedded"]


class Reading(TypedDict, total=False):
    """Keyword arguments of `read_observed`: files and response in place of the header's."""

    rmf: Path | str | None
    arf: Path | str | None
    background: Path | str | None
    response: ResponseChoice
    instrument: str


@dataclass(frozen=True)
class Record:
    """Spectrum as a model's input record.

    Attributes:
        name: name of the file.
        batch: one row, on the model's grid.
        flags: remarks on how it was read: `other_instrument:<name>` and
            `other_filter:<name>` than the model was trained on, `band_not_covered`,
            `fractional_counts`: no Poisson counts, but expected, weighted or corrected ones, of
            whose noise nothing is known, and `background_scale_varies` by channel: the background's
            counts were weighted by it.
        areascale: AREASCAL (its mean over the channels), which the batch's exposure holds.
    """

    name: str
    batch: SpectraBatch
    flags: tuple[str, ...] = ()
    areascale: float = 1.0

    @property
    def exposure_s(self) -> float:
        """Exposure as the file says, s."""
        return float(self.batch.exposure_B[0]) / self.areascale


def to_record(observation: Observation, spec: SpectraSpec, name: str = "") -> Record:
    """Convert an observation to a model's input record.

    Raises:
        InputError: it has no good channel on the grid.
    """
    flags = instrument_flags(instrument_of(observation), spec)
    flags += remarks_of(observation, spec.energy_edges)
    batch = batch_of([observation], spec.energy_edges)
    areascale = mean_areascale(observation)
    return Record(name or observation.name, batch, tuple(flags), areascale)


def remarks_of(observation: Observation, energy_edges: Sequence[float]) -> list[str]:
    """Flags of `Record` on how an observation was read on a grid, whatever the model."""
    flags = []
    edges_C1 = observation.response.channel_edges_C1.cpu()
    if not covers(edges_C1, energy_edges, observation.good_C):
        flags.append("band_not_covered")
    counts_C = observation.spectrum.counts_C[observation.good_C]
    if bool((counts_C != counts_C.round()).any()):
        flags.append("fractional_counts")
    scale = observation.background_scale
    if isinstance(scale, Tensor) and not torch.allclose(scale, scale.mean(), rtol=1e-3, atol=0):
        flags.append("background_scale_varies")
    return flags


def read_record(
    pha: Path, spec: SpectraSpec, *, name: str = "", **reading: Unpack[Reading]
) -> Record:
    """Read a spectrum file as a model's input record.

    Args:
        pha: spectrum (OGIP PHA type I).
        spec: spec of the model.
        name: name of the record; the path where none is given.
        reading: arguments of `read_observed`.

    Raises:
        InputError: a file is missing or bad, or the spectrum does not fit the response or grid.
    """
    return to_record(read_observed(pha, **reading), spec, name or str(pha))


def read_observed(
    pha: Path,
    *,
    rmf: Path | str | None = None,
    arf: Path | str | None = None,
    background: Path | str | None = None,
    response: ResponseChoice = "files",
    instrument: str = instruments.DEFAULT,
) -> Observation:
    """Read one spectrum with its response and background.

    Args:
        pha: spectrum (OGIP PHA type I).
        rmf: redistribution matrix in place of the one that the header names.
        arf: effective area in place of the one that the header names; "none" for none.
        background: spectrum in place of the one that the header names; "none" for none.
        response: "files", or "embedded" for the response of `instrument` that needs no files.
        instrument: name of the instrument of an embedded response.

    Raises:
        InputError: a file is missing or bad.
    """
    if response == "embedded":
        if rmf is not None or arf is not None:
            raise InputError(f"{rmf or arf}: not used with the embedded response; leave it out")
        return _read_with_embedded(Path(pha), instruments.load(instrument), background)
    return read_observation(Path(pha), rmf=rmf, arf=arf, background=background)


def _read_with_embedded(
    pha: Path, instrument: Instrument, background: Path | str | None
) -> Observation:
    spectrum, own = read_spectra(pha)
    if not (spectrum.telescope and instrument.is_of(spectrum.telescope, spectrum.instrument)):
        found = f"{spectrum.telescope} {spectrum.instrument}".strip() or "unknown"
        known = instruments.find(spectrum.telescope, spectrum.instrument)
        remedy = f"ask for instrument {known[0].name}, or " if known else ""
        raise InputError(
            f"{pha}: its instrument is {found}, the embedded response is that of "
            f"{instrument.telescope} {instrument.detectors[0]}; {remedy}pass the RMF and ARF of "
            "this spectrum"
        )
    if spectrum.grating.upper() not in ("", "NONE"):
        raise InputError(
            f"{pha}: taken behind the grating {spectrum.grating}, which the embedded response does "
            "not have; pass the RMF and ARF of this spectrum"
        )
    filter_name = instrument.filter_of(spectrum.filter, spectrum.date)
    if not filter_name:
        key, word = "FILTER", spectrum.filter
        if instrument.filter_is_year:
            key, word = "DATE-OBS", spectrum.date
        raise InputError(
            f"{pha}: {key} {word or 'missing'}; the embedded response knows "
            f"{_listed(instrument.filters)}: pass the RMF and ARF of this spectrum"
        )
    region = background_of(pha, spectrum, own, background)
    response = instrument.response(filter_name)
    return observation_of(spectrum, response, region, "the embedded response", pha.name)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def covers(
    channel_edges_C1: Tensor, energy_edges: Sequence[float], good_C: Tensor | None = None
) -> bool:
    """True if good channels span a grid, within one bin at its ends; edges in keV."""
    low, high = energy_edges[0], energy_edges[-1]
    centre_C = 0.5 * (channel_edges_C1[:-1] + channel_edges_C1[1:])
    inside_C = (centre_C >= low) & (centre_C < high)
    if good_C is not None and not bool(good_C[inside_C].all()):
        return False
    starts = float(channel_edges_C1[0]) <= energy_edges[1]
    return starts and float(channel_edges_C1[-1]) >= energy_edges[-2]


def instrument_of(observation: Observation) -> tuple[str, str, str]:
    """Telescope, instrument and filter of an observation; empty where they are not known."""
    # Spectra made by tools may lack the words that their responses have.
    spectrum, response = observation.spectrum, observation.response
    return (
        spectrum.telescope or response.telescope,
        spectrum.instrument or response.instrument,
        spectrum.filter or response.filter,
    )


def instrument_flags(words: tuple[str, str, str], spec: SpectraSpec) -> list[str]:
    """Differences from the response that the model was trained on, where both are known.

    Args:
        words: telescope, instrument and filter.
        spec: spec of the model.
    """
    trained = [_plain(word) for word in f"{spec.instrument}//".split("/")]
    telescope, instrument, filter_name = words
    flags = []
    if _is_other((telescope, instrument), (trained[0], trained[1])):
        flags.append(f"other_instrument:{telescope}/{instrument}")
    elif filter_name and trained[2] and _plain(filter_name) != trained[2]:
        flags.append(f"other_filter:{filter_name}")
    return flags


def _is_other(own: tuple[str, str], trained: tuple[str, str]) -> bool:
    """True if two known pairs of telescope and detector are different instruments.

    The archive's files do not say which part of ACIS they are of, and what is simulated does.
    """
    shared = set(instruments.find(*own)) & set(instruments.find(*trained))
    words = zip(map(_plain, own), map(_plain, trained), strict=True)
    return not shared and any(a and b and a != b for a, b in words)


def _plain(word: str) -> str:
    """Thin1 and Thin2 are one filter; case means nothing."""
    return word.strip().lower().rstrip("12") if word.lower().startswith("thin") else word.lower()
