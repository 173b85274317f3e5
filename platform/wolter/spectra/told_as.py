"""Spectra of one instrument told with the response of another, as a wrong file name makes them.

Shapes: B batch, C channel, C1 its edges, F narrow band, T and A see `wolter.spectra.folding`.
"""

from dataclasses import replace

import torch
from torch import Tensor

from wolter.spectra import folding
from wolter.spectra.schema import SpectraBatch, poisson_counts
from wolter.xray.instruments.instrument import load


def recorded_by(
    name: str, batch: SpectraBatch, edges_C1: Tensor, generator: torch.Generator
) -> SpectraBatch:
    """What another instrument would record of the sources, told with the records' own response.

    The photon flux is that of the noise-free counts over the effective area: lines are as broad as
    the records' instrument sees them. As many counts as the source has.

    Args:
        name: of the other instrument.
        batch: records with noise-free counts and narrow bands of the effective area.
        edges_C1: edges of the channels, keV.
        generator: source of the noise.

    Raises:
        InputError: there is no such instrument.
    """
    assert batch.expected_BKC is not None
    assert batch.folding_area_BF is not None
    described = folding.describe(load(name).response("", torch.float64))
    area_F, offset_TA = (each.to(edges_C1) for each in described)
    middle_C = (edges_C1[1:] + edges_C1[:-1]) / 2
    nearest_F = (folding.bands_kev().to(edges_C1)[:, None] - middle_C).abs().argmin(1)
    density_BC = batch.expected_BKC.sum(1) / edges_C1.diff()
    area_BF = torch.nan_to_num(batch.folding_area_BF).clamp_min(1.0)
    width_F = torch.tensor(folding.EDGES_KEV).to(edges_C1).diff()
    flux_BF = density_BC[:, nearest_F] * width_F / area_BF / batch.exposure_B[:, None]
    n = len(batch)
    shape_BC = folding.fold(
        flux_BF, area_F.expand(n, -1), offset_TA.expand(n, -1, -1), batch.exposure_B, edges_C1
    )
    return drawn_as(batch, shape_BC, generator)


def drawn_as(batch: SpectraBatch, shape_BC: Tensor, generator: torch.Generator) -> SpectraBatch:
    """Records with a source of another shape and as many expected counts, with new noise."""
    assert batch.expected_BKC is not None
    assert batch.expected_background_BC is not None
    total_B = batch.expected_BKC.sum((1, 2))
    factor_B = total_B / shape_BC.sum(1).clamp_min(1e-12)
    counts_BC, background_BC = poisson_counts(
        shape_BC * factor_B[:, None],
        batch.expected_background_BC,
        batch.background_scale_B,
        generator,
    )
    return replace(batch, counts_BC=counts_BC, background_BC=background_BC)
