"""Observations as records: their counts on the energy grid of a data set.

Shapes: A band of the effective area, B batch, C grid channel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from wolter.data.grid import AREA_EDGES
from wolter.data.schema import SpectraBatch
from wolter.xray.spectrum import Observation


def batch_of(observations: Sequence[Observation], energy_edges: tuple[float, ...]) -> SpectraBatch:
    """Put observations of any instrument on one grid.

    Args:
        observations: spectra with their responses and backgrounds.
        energy_edges: keV, the C+1 edges of the grid; a channel goes where its centre lies.

    Raises:
        InputError: an observation has no good channel on the grid.
    """
    counts, backgrounds, scales, areas = [], [], [], []
    for observation in observations:
        binned = observation.rebin(energy_edges)
        counts_C = binned.spectrum.counts_C
        background_C = torch.zeros_like(counts_C)
        if binned.background is not None:
            background_C = binned.background.counts_C
        counts.append(counts_C)
        backgrounds.append(background_C)
        scales.append(_one_scale(binned.background_scale, background_C))
        areas.append(binned.response.area_between(AREA_EDGES))
    exposures = [observation.exposure_s for observation in observations]
    return SpectraBatch(
        counts_BC=torch.stack(counts).float(),
        background_BC=torch.stack(backgrounds).float(),
        background_scale_B=torch.tensor(scales),
        exposure_B=torch.tensor(exposures),
        area_BA=torch.stack(areas).float(),
    )


def _one_scale(scale: float | Tensor, background_C: Tensor) -> float:
    """The scale, or its mean over the background's counts where it varies by channel."""
    if isinstance(scale, Tensor):
        weight_C = background_C + 1e-12
        return float((scale * weight_C).sum() / weight_C.sum())
    return scale
