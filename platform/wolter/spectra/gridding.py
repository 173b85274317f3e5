"""Gridding of observations: counts on the energy grid of a dataset.

Shapes: A band of the effective area, B batch, C channel, Q share of a photon's counts.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.spectra.folding import describe
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.schema import SpectraBatch
from wolter.xray.spectral.observation import Observation
from wolter.xray.spectral.redistribution import recorded_offsets
from wolter.xray.spectral.response import rebin_channels, width_in_bins

# Part of a bin's width that channels may lack or exceed, and still nest in bins. Those of EPIC-pn
# in response files are 4.8 to 5.4 eV wide and reach 0.24 on the default grid, which 30,000 counts
# tell; those of the embedded response nest.
NESTED = 0.1


def batch_of(observations: Sequence[Observation], energy_edges: tuple[float, ...]) -> SpectraBatch:
    """Grid observations of any instrument into one batch.

    Args:
        observations: spectra with their responses and backgrounds.
        energy_edges: keV, the C+1 edges of the grid; a channel goes where its centre lies.

    Raises:
        InputError: an observation has no good channel on the grid, or AREASCAL leaves it no area.
    """
    counts, backgrounds, scales, areas, exposures, offsets = [], [], [], [], [], []
    narrow_areas, narrow_offsets, filled = [], [], []
    for observation in map(without_areascale, observations):
        binned = observation.rebin(energy_edges)
        scale, background_C = one_background_scale(observation, energy_edges)
        counts.append(binned.spectrum.counts_C)
        backgrounds.append(background_C)
        scales.append(scale)
        areas.append(binned.response.area_between(AREA_EDGES))
        exposures.append(observation.exposure_s)
        offsets.append(recorded_offsets(observation.response, PHOTONS_KEV, RECORDED_SHARES))
        area_F, offset_TA = describe(observation.response)
        narrow_areas.append(area_F)
        narrow_offsets.append(offset_TA)
        edges_C1 = observation.response.channel_edges_C1.cpu()
        filled.append(filled_by_channels(edges_C1, energy_edges, observation.good_C))
    filled_BC = torch.stack(filled)
    return SpectraBatch(
        counts_BC=torch.stack(counts).float(),
        background_BC=torch.stack(backgrounds).float(),
        background_scale_B=torch.tensor(scales),
        exposure_B=torch.tensor(exposures),
        area_BA=torch.stack(areas).float(),
        redistribution_BQA=torch.stack(offsets).float(),
        folding_area_BF=torch.stack(narrow_areas),
        folding_offsets_BTA=torch.stack(narrow_offsets),
        filled_BC=None if bool(filled_BC.isnan().all()) else filled_BC,
    )


def filled_by_channels(
    edges_C1: Tensor, energy_edges: Sequence[float], good_C: Tensor | None = None
) -> Tensor:
    """Width of the channels whose counts are in each bin of a grid (C) over the width of the bin.

    NaN where channels nest in the bins: none lacks or exceeds more than `NESTED` of its width.

    Args:
        edges_C1: edges of the channels, keV.
        energy_edges: edges of the bins, keV.
        good_C: channels that count; None: all.
    """
    width_C = width_in_bins(edges_C1, energy_edges, good_C)
    filled_C = (width_C / torch.tensor(energy_edges, dtype=torch.float64).diff()).float()
    nested = bool(((filled_C - 1).abs() <= NESTED).all())
    return torch.full_like(filled_C, torch.nan) if nested else filled_C


def without_areascale(observation: Observation) -> Observation:
    """Apply AREASCAL to exposure and response, and set it to 1.

    The exposure is multiplied by the mean of AREASCAL over the good channels, the response by the
    remaining factor of each channel. Expected counts of source and background do not change.

    Raises:
        InputError: AREASCAL is 0 in every good channel.
    """
    spectrum, background = observation.spectrum, observation.background
    own = spectrum.areascale
    if not isinstance(own, Tensor) and own == 1:
        return observation
    mean = mean_areascale(observation)
    if not mean > 0:
        raise InputError(f"{spectrum.source}: AREASCAL is {mean:g}; a spectrum needs an area")
    response = observation.response
    if isinstance(own, Tensor):
        relative_C = (own / mean).to(response.matrix_EC)
        response = replace(response, matrix_EC=response.matrix_EC * relative_C)
        if background is not None:
            # Infinite where the source has no area: no background is expected there either.
            background = replace(background, areascale=background.areascale * mean / own)
    spectrum = replace(spectrum, exposure_s=spectrum.exposure_s * mean, areascale=1.0)
    return replace(observation, spectrum=spectrum, response=response, background=background)


def mean_areascale(observation: Observation) -> float:
    """AREASCAL of the source, or its mean over the good channels where it varies."""
    own = observation.spectrum.areascale
    return float(own[observation.good_C].mean()) if isinstance(own, Tensor) else float(own)


def one_background_scale(
    observation: Observation, energy_edges: tuple[float, ...]
) -> tuple[float, Tensor]:
    """Single background scale, and background counts (C) weighted for it.

    A scale that varies by channel becomes its mean over the background's counts. The counts of each
    channel are weighted by the channel's scale over that mean. Their total does not change, and the
    weighted counts times the mean scale are the expected background of the source region.
    """
    if observation.background is None:
        return 0.0, torch.zeros(len(energy_edges) - 1, dtype=torch.float64)
    counts_C = observation.background.counts_C * observation.good_C
    edges_C1 = observation.response.channel_edges_C1
    scale = observation.background_scale
    if isinstance(scale, Tensor):
        weight_C = counts_C + 1e-12
        mean = float((scale * weight_C).sum() / weight_C.sum())
        if mean > 0:
            counts_C = counts_C * scale / mean
        scale = mean
    return scale, rebin_channels(counts_C, edges_C1, energy_edges)
