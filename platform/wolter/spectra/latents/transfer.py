"""Sources of the population seen by another instrument: EPIC-pn, on the grid of ACIS.

Shapes: B source, C channel, E photon energy, F narrow band.
"""

import torch

from wolter.spectra.folding import describe
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.gridding import filled_by_channels
from wolter.spectra.population import quantities
from wolter.spectra.population.classes import CLASSES
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.emission import Emission
from wolter.spectra.population.selection import steep_counts
from wolter.spectra.population.thermal import model_of
from wolter.spectra.schema import SpectraBatch, poisson_counts
from wolter.xray.instruments.instrument import load
from wolter.xray.spectral.redistribution import recorded_offsets
from wolter.xray.spectral.response import rebin_channels

EXPOSURE_S = (5e3, 5e4)
BACKGROUND_SCALE = 0.1
MOST_BACKGROUND = 0.3  # of the source's counts


def seen_by(
    instrument: str, config: PopulationConfig, n: int, generator: torch.Generator
) -> SpectraBatch:
    """Draw sources of the population as another instrument would see them.

    Labels are those of the population; there are no catalogue features.

    Args:
        instrument: name of an instrument with an embedded response.
        config: mix and models of the classes, range of their counts, and grid.
        n: number of sources.
        generator: source of randomness.

    Raises:
        InputError: plasma is wanted, and its package is not installed.
    """
    own = load(instrument)
    full = own.response("", torch.float64)
    seen = full.rebin(config.energy_edges)
    edges_E1 = full.energy_edges_E1
    variants = [(k, each) for k, one in enumerate(CLASSES) for each in one.variants]
    share_V = torch.tensor([config.shares()[k] * each.share for k, each in variants])
    which_B = torch.multinomial(share_V, n, replacement=True, generator=generator)
    flux_BE = torch.zeros(n, len(edges_E1) - 1)
    class_B, label_B3 = torch.zeros(n), torch.zeros(n, 3)
    for v, (k, variant) in enumerate(variants):
        rows = (which_B == v).nonzero()[:, 0]
        if len(rows) == 0:
            continue
        emission = Emission.of(variant, edges_E1, model_of(config.thermal, variant.model))
        values = emission.draw(len(rows), generator)
        flux_BE[rows], norms = emission(values)
        class_B[rows] = float(k)
        label_B3[rows] = torch.stack(quantities.labels(emission, values, norms), 1)
    low, high = EXPOSURE_S
    exposure_B = low * (high / low) ** torch.rand(n, generator=generator)
    unit_BC = (flux_BE @ seen.matrix_EC.float()) * exposure_B[:, None]
    wanted_B = steep_counts(*config.counts, config.counts_slope, n, generator)
    factor_B = wanted_B / unit_BC.sum(1).clamp_min(1e-30)
    rate_BC = own.draw_backgrounds(full, n, generator, (1.0, 1.0))
    rate_BC = rebin_channels(rate_BC, full.channel_edges_C1, config.energy_edges).float()
    background_BC = rate_BC * exposure_B[:, None]
    most_B = MOST_BACKGROUND * wanted_B / background_BC.sum(1).clamp_min(1e-9)
    background_BC = background_BC * most_B.clamp(max=1.0)[:, None]
    expected_BC, scale_B = unit_BC * factor_B[:, None], torch.full((n,), BACKGROUND_SCALE)
    counts_BC, region_BC = poisson_counts(expected_BC, background_BC, scale_B, generator)
    flux_B4 = quantities.fluxes(flux_BE, edges_E1) * factor_B[:, None]
    flux_B4 = flux_B4.clamp(min=quantities.FAINTEST)
    area_F, offset_TA = describe(full)
    recorded_QA = recorded_offsets(full, PHOTONS_KEV, RECORDED_SHARES).float()
    filled_C = filled_by_channels(full.channel_edges_C1, config.energy_edges)
    nested = bool(filled_C.isnan().all())
    return SpectraBatch(
        counts_BC=counts_BC,
        background_BC=region_BC,
        background_scale_B=scale_B,
        exposure_B=exposure_B,
        parameters_BP=torch.cat([label_B3, quantities.hardness(flux_B4), flux_B4], 1),
        expected_BKC=expected_BC[:, None],
        expected_background_BC=background_BC,
        area_BA=full.area_between(AREA_EDGES).float().expand(n, -1).clone(),
        redistribution_BQA=recorded_QA.expand(n, -1, -1).clone(),
        folding_area_BF=area_F.expand(n, -1).clone(),
        folding_offsets_BTA=offset_TA.expand(n, -1, -1).clone(),
        filled_BC=None if nested else filled_C.expand(n, -1).clone(),
        class_B=class_B,
    )
