"""Fits of class models through the responses of records."""

import numpy as np
import pytest
import torch
from tests.chandra_sources import SPEC, described

from wolter.spectra import folding
from wolter.spectra.latents.class_fits import ClassModel, fit_classes
from wolter.spectra.population.classes import CLASSES, NAMES
from wolter.spectra.schema import SpectraBatch
from wolter.xray.emission import components as emission
from wolter.xray.stats.likelihood import cstat

EDGES = torch.tensor(SPEC.energy_edges)


def absorbed_power_laws(n: int, counts: float) -> SpectraBatch:
    """The same source, seen n times."""
    model = emission.parse("wabs * powerlaw")
    values = {"nh": 0.2, "slope": 1.7, "pow_norm": 1.0}
    flux_BF = model(torch.tensor(folding.EDGES_KEV).double(), values).float()
    area_F, offset_TA = described()
    plain_BC = folding.fold(flux_BF, area_F[None], offset_TA[None], torch.ones(1), EDGES)
    expected_BC = (counts * plain_BC / plain_BC.sum()).expand(n, -1).clone()
    background_BC = torch.full_like(expected_BC, 0.05)
    generator = torch.Generator().manual_seed(0)
    return SpectraBatch(
        counts_BC=torch.poisson(expected_BC + background_BC, generator),
        background_BC=torch.zeros_like(expected_BC),
        background_scale_B=torch.zeros(n),
        exposure_B=torch.full((n,), 1e4),
        expected_BKC=expected_BC[:, None],
        expected_background_BC=background_BC,
        folding_area_BF=area_F.expand(n, -1).clone(),
        folding_offsets_BTA=offset_TA.expand(n, -1, -1).clone(),
    )


@pytest.fixture(scope="module")
def fitted():
    batch = absorbed_power_laws(4, 5000)
    background_BC = batch.expected_background_BC
    fits = fit_classes(
        batch, background_BC, [NAMES.index("AGN")] * 4, EDGES, "bremsstrahlung", seed=1
    )
    return batch, background_BC, fits


def test_fits_are_better_than_the_truth_by_about_their_parameters(fitted):
    batch, background_BC, fits = fitted
    truth_B = cstat(batch.counts_BC, batch.expected_BKC.sum(1) + background_BC)
    for fit, truth in zip(fits, truth_B.tolist(), strict=True):
        assert truth - 25 < fit.statistic < truth + 4
        assert 3 <= fit.free <= 7


def test_fits_find_slope_and_hardness(fitted):
    model = emission.parse("wabs * powerlaw")
    bands = torch.tensor(folding.EDGES_KEV).double()
    flux_F = model(bands, {"nh": 0.2, "slope": 1.7, "pow_norm": 1.0})[0] * folding.bands_kev()
    energy_F = folding.bands_kev()
    soft, hard = (
        float(flux_F[(energy_F >= low) & (energy_F < high)].sum())
        for low, high in ((0.5, 1.2), (2.0, 7.0))
    )
    truth = (hard - soft) / (hard + soft)
    for fit in fitted[2]:
        assert fit.hard_hs == pytest.approx(truth, abs=0.04)
    assert np.median([fit.slope for fit in fitted[2]]) == pytest.approx(1.7, abs=0.15)


@pytest.mark.parametrize("each", CLASSES, ids=lambda each: each.name)
def test_every_model_of_every_class_can_be_evaluated_where_it_starts(each):
    generator = torch.Generator().manual_seed(0)
    for variant in each.variants:
        model = ClassModel.of(variant, "bremsstrahlung")
        start_RP = model.starts(generator)
        low_P, high_P = model.bounds_2P
        assert bool(((start_RP >= low_P - 1e-6) & (start_RP <= high_P + 1e-6)).all())
        flux_RKF = model.flux(start_RP)
        assert flux_RKF.shape == (len(start_RP), model.terms, folding.BANDS)
        assert bool((flux_RKF >= 0).all())
        assert bool(torch.isfinite(flux_RKF).all())
