"""A population of Chandra sources: selection, labels, catalogue features, response, determinism."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from wolter.errors import InputError
from wolter.spectra.folding import EDGES_KEV, bands_kev, fold
from wolter.spectra.population.classes import CLASSES, NAMES
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.observing import ObservingConfig, observe
from wolter.spectra.population.quantities import measured_slopes
from wolter.spectra.population.selection import signal_to_noise
from wolter.spectra.population.simulator import PopulationSimulator
from wolter.spectra.simulate import shard_table
from wolter.xray.emission.components import parse
from wolter.xray.instruments.instrument import load


def column(batch, simulator, name):
    return batch.parameters_BP[:, simulator.spec.names.index(name)]


def feature(batch, simulator, name):
    return batch.catalogue_BX[:, simulator.spec.catalogue.index(name)]


def test_a_block_depends_on_config_seed_and_number_alone(simulator, config, batch):
    travelled = pickle.loads(pickle.dumps(PopulationSimulator(config)))
    again = travelled.draw(3, 0)
    for name in ("counts_BC", "background_BC", "exposure_B", "parameters_BP", "catalogue_BX"):
        assert torch.equal(getattr(again, name).nan_to_num(), getattr(batch, name).nan_to_num())
    assert not torch.equal(simulator.draw(3, 1).counts_BC, batch.counts_BC)
    assert not torch.equal(simulator.draw(4, 0).counts_BC, batch.counts_BC)


def test_every_record_is_a_significant_detection(batch):
    ratio_B = signal_to_noise(batch.counts_BC, batch.background_BC, batch.background_scale_B)
    assert float(ratio_B.min()) >= 5
    share = (batch.counts_BC.sum(1) < 300).float().mean()
    assert 0.7 < share < 0.95


def test_without_selection_faint_sources_stay(config):
    batch = PopulationSimulator(replace(config, significance=0.0)).draw(3, 0)
    ratio_B = signal_to_noise(batch.counts_BC, batch.background_BC, batch.background_scale_B)
    assert 0.1 < (ratio_B < 5).float().mean() < 0.6


def test_classes_come_in_the_numbers_of_the_mix(batch):
    number = torch.bincount(batch.class_B.long(), minlength=len(NAMES))
    assert number.min() > 90
    assert number.max() < 170
    rare = PopulationConfig(mix="agn=3, CV=1", thermal="bremsstrahlung")
    assert rare.shares() == (0.75, 0, 0, 0, 0, 0, 0, 0.25)
    assert PopulationConfig(thermal="bremsstrahlung").shares()[0] == pytest.approx(1405 / 3132)


@pytest.mark.parametrize("mix", ["", "AGN", "AGN=-1", "QSO=1", "AGN=0", "AGN=inf", "AGN=nan"])
def test_a_mix_of_nothing_is_refused(mix):
    with pytest.raises(InputError, match="mix"):
        PopulationConfig(mix=mix)


def test_labels_are_missing_where_a_class_has_none(simulator, batch):
    assert not column(batch, simulator, "nh").isnan().any()
    slope, kt = (column(batch, simulator, name) for name in ("slope", "kt"))
    for k, each in enumerate(CLASSES):
        rows = batch.class_B == k
        for label, has in (
            (slope, [bool(v.slope) for v in each.variants]),
            (kt, [bool(v.kt) for v in each.variants]),
        ):
            missing = label[rows].isnan()
            assert bool(missing.all()) == (not any(has))
            assert bool(missing.any()) == (not all(has))


def test_labels_lie_within_their_ranges(simulator, batch):
    low_P, high_P = simulator.spec.bounds_2P()
    known = ~batch.parameters_BP.isnan()
    inside = (batch.parameters_BP >= low_P) & (batch.parameters_BP <= high_P)
    assert bool(inside[known].all())


def test_hardness_is_that_of_the_fluxes(simulator, batch):
    s, m, h, b = (column(batch, simulator, f"flux_{name}") for name in "smhb")
    torch.testing.assert_close(s + m + h, b, rtol=1e-4, atol=1e-19)
    hard_hs = column(batch, simulator, "hard_hs")
    torch.testing.assert_close(hard_hs, (h - s) / (h + s), rtol=0, atol=1e-5)
    assert hard_hs.abs().max() <= 1


def test_fluxes_of_bright_sources_are_measured(simulator, batch):
    bright = batch.counts_BC.sum(1) > 1000
    assert bright.sum() > 20
    for name in "mh":
        true = column(batch, simulator, f"flux_{name}")[bright]
        got, error = (
            10 ** feature(batch, simulator, f"log_{what}_{name}")[bright]
            for what in ("flux", "error")
        )
        known = error < 0.2 * true
        # Energies are recorded, not true: a few per cent of systematic difference.
        assert ((got / true)[known] - 1).abs().median() < 0.08


def test_slopes_are_measured_where_there_are_counts(simulator, batch):
    gamma, error = (feature(batch, simulator, name) for name in ("gamma", "gamma_error"))
    net = (batch.counts_BC - batch.background_BC * batch.background_scale_B[:, None]).sum(1)
    assert torch.equal(gamma.isnan(), net < 150)
    hmxb = (batch.class_B == NAMES.index("HMXB")) & ~gamma.isnan() & (error < 0.3)
    true = column(batch, simulator, "slope")
    pull = (gamma - true)[hmxb] / error[hmxb]
    assert pull.abs().median() < 1.5  # the class's iron lines are not in the power law


def test_variability_is_a_probability_or_missing(simulator, batch):
    intra, inter = (feature(batch, simulator, f"var_{each}_prob") for each in ("intra", "inter"))
    assert ((intra >= 0) & (intra <= 1)).all()
    assert 0.4 < inter.isnan().float().mean() < 0.7


def test_a_record_holds_the_response_that_its_counts_were_folded_through(simulator):
    edges_E1, edges_F1 = simulator.edges_E1, torch.tensor(EDGES_KEV, dtype=torch.float64)
    width_F, band_E = edges_F1.diff(), (edges_E1[1:] + edges_E1[:-1]) / 2
    at_E = (torch.searchsorted(edges_F1, band_E) - 1).clamp(0, len(width_F) - 1)
    density_F = bands_kev() ** -1.7
    flux_E = (density_F[at_E] * edges_E1.diff()).float() * 1e-4
    flux_F = (density_F * width_F).float() * 1e-4
    generator = torch.Generator().manual_seed(0)
    for detector in simulator.detectors:
        seen = observe(simulator.config.observing, detector, 8, generator)
        expected_BC = seen.expected(flux_E.expand(8, -1))
        got_BC = fold(
            flux_F.expand(8, -1),
            seen.folding_area_BF(),
            detector.offset_TA.expand(8, -1, -1),
            seen.exposure_B,
            torch.tensor(simulator.spec.energy_edges),
        )
        torch.testing.assert_close(got_BC.sum(1), expected_BC.sum(1), rtol=0.01, atol=0)


def test_photon_energies_are_fine_enough(simulator):
    """Bins of 10 and 20 eV: counts as through the response's own."""
    observing = simulator.config.observing
    embedded = simulator.detectors[:: observing.redistributions]
    for name, detector in zip(observing.detectors, embedded, strict=True):
        full = load(name).response().rebin(simulator.spec.energy_edges)
        model = parse("wabs * (powerlaw + gaussian)")
        values = {"nh": 0.3, "slope": 1.8, "pow_norm": 1e-3, "line_energy": 6.4, "sigma": 0.01}
        values["line_norm"] = 3e-5
        got, expected = (
            response.fold(model(response.energy_edges_E1, values), 1e5)[0]
            for response in (detector.response, full)
        )
        assert float(got.sum() / expected.sum()) == pytest.approx(1, abs=1e-3)
        chi2 = ((got - expected) ** 2 / expected).sum() / expected.sum()
        assert chi2 * 1000 < 0.02


def test_off_axis_area_is_smaller_and_background_larger(simulator):
    near, far = (
        observe(
            ObservingConfig(off_axis_arcmin=(theta, theta)),
            simulator.detectors[0],
            64,
            torch.Generator().manual_seed(0),
        )
        for theta in (0.0, 10.0)
    )
    ratio_BF = far.folding_area_BF() / near.folding_area_BF()
    energy = bands_kev()
    at_15, at_6 = ((energy - each).abs().argmin() for each in (1.5, 6.0))
    assert ratio_BF[:, at_15].mean() == pytest.approx(0.75, abs=0.01)
    assert ratio_BF[:, at_6].mean() == pytest.approx(0.55, abs=0.01)
    assert (far.background_BC.sum(1) / near.background_BC.sum(1)).median() > 50


def test_shards_name_their_sources(simulator):
    table = shard_table(simulator, 3, 0, 5)
    assert table["source_id"].to_pylist()[:2] == ["population-3-0", "population-3-1"]
    keys = np.array(table["split_key"])
    assert ((keys >= 0) & (keys < 1)).all()
    assert {"class", "catalogue", "folding_area", "folding_offsets", "expected"} <= set(
        table.column_names
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"counts": (0.0, 10.0)},
        {"counts": (10.0, math.inf)},
        {"counts_slope": 0.0},
        {"counts_slope": math.nan},
        {"significance": -1.0},
        {"significance": math.nan},
    ],
)
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(InputError, match="counts_slope"):
        PopulationConfig(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"years": (1990, 2005)},
        {"years": (2010, 2060)},
        {"off_axis_arcmin": (0.0, 100.0)},
        {"exposure_s": (0.0, 1e5)},
        {"exposure_s": (1e3, math.inf)},
        {"aperture": (0.0, 1.0)},
        {"aperture": (0.5, 1.5)},
        {"background_scale": (0.0, 0.5)},
        {"background_scale": (-0.1, 0.5)},
        {"background_scale": (0.5, 0.1)},
        {"usual_exposure_s": math.nan},
        {"exposure_dex": -1.0},
        {"background_dex": math.nan},
        {"redistributions": 0},
        {"tilt": -0.1},
    ],
)
def test_observations_that_cannot_be_simulated_are_refused(wrong):
    with pytest.raises(InputError, match=f"^{next(iter(wrong))} = "):
        ObservingConfig(**wrong)


def test_slopes_of_a_block_without_bright_sources_are_missing():
    counts_BC = torch.zeros(3, 155)
    counts_BC[:, ::31] = 3.0
    area_BC, shape_TC = torch.ones(3, 155), torch.full((34 * 22, 155), 1 / 155)
    slope_B, error_B = measured_slopes(counts_BC, 0 * counts_BC, area_BC, shape_TC, area_BC[0])
    assert slope_B.shape == error_B.shape == (3,)
    assert slope_B.isnan().all()
    assert error_B.isnan().all()


def test_slopes_are_those_of_the_likelihood_in_double_precision(simulator):
    """Within the rounding of single precision, far below the least error of a slope, 0.08."""
    detector = simulator.detectors[0]
    shape_TC, area_C = detector.power_law_TC, detector.area_YC[0]
    generator = torch.Generator().manual_seed(5)
    net_B = torch.tensor([200.0, 3000.0, 100_000.0]).repeat_interleave(8)
    tilt_B1 = torch.linspace(0.5, 1.5, len(net_B))[:, None]
    area_BC = area_C * torch.linspace(0.3, 1.0, area_C.shape[0]) ** tilt_B1
    expected_BC = shape_TC[torch.arange(len(net_B)) * 30 + 25] * area_BC / area_C
    expected_BC *= (net_B / expected_BC.sum(1))[:, None]
    background_BC = torch.full_like(expected_BC, 0.05)
    counts_BC = torch.poisson(expected_BC + background_BC, generator=generator)

    slope_B, error_B = measured_slopes(counts_BC, background_BC, area_BC, shape_TC, area_C)
    wanted_B, deviation_B = _slopes_in_double(counts_BC, background_BC, area_BC, shape_TC, area_C)
    assert deviation_B.min() < 0.03 < 0.3 < deviation_B.max()  # bright and faint
    torch.testing.assert_close(slope_B.double(), wanted_B, atol=5e-3, rtol=0)
    wanted_B = (deviation_B**2 + 0.08**2).sqrt()
    torch.testing.assert_close(error_B.double(), wanted_B, atol=5e-3, rtol=0)


def _slopes_in_double(counts_BC, background_BC, area_BC, shape_TC, area_C):
    """Mean and deviation (B) of the slope over the grid, from groups of 8 channels."""
    counts_BG, background_BG, shape_TG, relative_BG, size_G = (
        torch.nn.functional.pad(each.double(), (0, -each.shape[-1] % 8))
        .unflatten(-1, (-1, 8))
        .sum(-1)
        for each in (counts_BC, background_BC, shape_TC, area_BC / area_C, torch.ones_like(area_C))
    )
    net_B = (counts_BC - background_BC).double().sum(1)
    source_BTG = shape_TG * (relative_BG / size_G)[:, None]
    source_BTG *= net_B[:, None, None] / source_BTG.sum(2, keepdim=True)
    expected_BTG = source_BTG + background_BG[:, None]
    weight_BT = (counts_BG[:, None] * expected_BTG.log()).sum(2).softmax(1)
    slope_T = torch.linspace(-1.0, 5.6, 34, dtype=torch.double).repeat_interleave(22)
    mean_B = weight_BT @ slope_T
    return mean_B, (weight_BT * (slope_T - mean_B[:, None]) ** 2).sum(1).sqrt()


def test_other_detectors_are_refused():
    with pytest.raises(InputError, match="acis_s, acis_i or both"):
        ObservingConfig(detectors=("epic_pn",))


@pytest.mark.peers
def test_stars_have_lines_of_plasma():
    config = PopulationConfig(mix="LM-STAR=1", significance=0.0)
    batch = PopulationSimulator(config).draw(0, 0)
    kt = batch.parameters_BP[:, 2]
    assert not kt.isnan().any()
    assert 0.3 < kt.median() < 2
