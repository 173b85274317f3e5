"""The true model of a spectrum explains it, whatever the channels of its instrument."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from wolter.spectra import folding
from wolter.spectra.explained import gridded_of
from wolter.spectra.grid import grid_within
from wolter.spectra.gridding import batch_of
from wolter.spectra.model_check import UNEXPLAINED, Likelihood
from wolter.spectra.quick_looks import quick_looks, starts_of
from wolter.spectra.schema import Parameter, SpectraBatch, SpectraSpec
from wolter.xray.emission import components
from wolter.xray.instruments import instrument as instruments
from wolter.xray.ogip.pha import Spectrum
from wolter.xray.spectral.observation import Observation, read_observation
from wolter.xray.stats.goodness import goodness

COUNTS, EXPOSURE_S = 10_000, 1e4
TRUE = {"nh": 0.1, "slope": 1.8}
MODEL = "tbabs * powerlaw"


def seen_by(response, edges, counts):
    """A power law of so many counts, its record, spec and true parameters (P)."""
    flux_E = components.parse(MODEL)(response.energy_edges_E1, {**TRUE, "pow_norm": 1.0}).flatten()
    unit_C = response.fold(flux_E, EXPOSURE_S)
    norm = counts / float(unit_C.sum())
    counts_C = torch.poisson(norm * unit_C, torch.Generator().manual_seed(0))
    observation = Observation(Spectrum(counts_C, EXPOSURE_S), response)
    names = (Parameter("nh", 0.01, 1), Parameter("slope", 1, 3), Parameter("pow_norm", 1e-6, 1))
    spec = SpectraSpec(edges, names, model=MODEL)
    return observation, batch_of([observation], edges), spec, torch.tensor([*TRUE.values(), norm])


@cache
def observed(name):
    """The same of 10,000 counts, by an embedded instrument."""
    instrument = instruments.load(name)
    response = instrument.response("", torch.float64)
    return seen_by(response, grid_within(instrument.band_kev), COUNTS)


def deviation(batch, spec, parameters_P):
    """Standard deviations of C-stat above its expectation."""
    likelihood = Likelihood(gridded_of(batch, 0, spec), spec)
    seen_C = likelihood.seen_C
    expected_C = likelihood.expected(parameters_P[None])[0, seen_C]
    found = goodness(likelihood.counts_BC[0, seen_C], expected_C)
    return float((found.statistic - found.expected) / found.sigma)


@pytest.mark.parametrize(
    ("name", "nested"), [("epic_mos1", False), ("acis_s", False), ("epic_pn", True)]
)
def test_the_true_model_explains_a_bright_spectrum(name, nested):
    _, batch, spec, true_P = observed(name)
    assert (batch.filled_BC is None) == nested
    assert abs(deviation(batch, spec, true_P)) < 3
    if not nested:  # as if each bin of the grid held the same number of channels
        assert deviation(replace(batch, filled_BC=None), spec, true_P) > 5 * UNEXPLAINED


@pytest.mark.reference
def test_the_true_model_explains_a_spectrum_of_a_response_file(reference_data):
    """Channels of 4.8 to 5.4 eV, and as many counts as bright sources have."""
    file = reference_data / "xmm" / "ngc7793_ulx4" / "PN.pha"
    edges = grid_within(instruments.load("epic_pn").band_kev)
    _, batch, spec, true_P = seen_by(read_observation(file).response, edges, 100_000)
    assert abs(deviation(batch, spec, true_P)) < 4
    assert deviation(replace(batch, filled_BC=None), spec, true_P) > 3 * UNEXPLAINED


def test_channels_of_a_third_of_the_width_nest_in_the_grid():
    observation, _, spec, _ = observed("epic_mos1")
    edges_C1 = torch.arange(2401, dtype=torch.float64) * 0.005
    response = replace(
        observation.response,
        channel_edges_C1=edges_C1,
        matrix_EC=observation.response.matrix_EC.repeat_interleave(3, 1) / 3,
    )
    spectrum = replace(observation.spectrum, counts_C=torch.ones(2400, dtype=torch.float64))
    assert batch_of([Observation(spectrum, response)], spec.energy_edges).filled_BC is None


def test_channels_of_bad_quality_see_nothing():
    observation, _, spec, _ = observed("epic_pn")
    quality_C = torch.zeros(observation.response.n_channels, dtype=torch.long)
    quality_C[200:208] = 1  # 1.00 to 1.04 keV: two bins of the grid
    spectrum = replace(observation.spectrum, quality_C=quality_C)
    batch = batch_of([replace(observation, spectrum=spectrum)], spec.energy_edges)
    first = spec.energy_edges.index(1.0)
    assert batch.filled_BC[0, first - 1 : first + 3].tolist() == pytest.approx([1, 0, 0, 1])
    assert not gridded_of(batch, 0, spec).response.matrix_EC[:, first : first + 2].any()


def test_a_record_is_the_same_beside_those_of_other_instruments():
    _, mos, spec, true_P = observed("epic_mos1")
    _, pn, pn_spec, pn_true_P = observed("epic_pn")
    assert spec.energy_edges == pn_spec.energy_edges
    both = SpectraBatch.concatenate([pn, mos])
    assert deviation(both[1:], spec, true_P) == deviation(mos, spec, true_P)
    assert deviation(both[:1], spec, pn_true_P) == deviation(pn, spec, pn_true_P)


def test_other_foldings_of_a_record_agree_with_its_likelihood():
    _, batch, spec, true_P = observed("epic_mos1")
    batch = batch[torch.tensor([0, 0])]
    right_C = Likelihood(gridded_of(batch, 0, spec), spec).expected(true_P[None])[0]
    flux_F = components.parse(MODEL)(
        torch.tensor(folding.EDGES_KEV).double(), dict(zip(spec.names, true_P, strict=True))
    )
    photons_F = flux_F.flatten().float() * batch.folding_area_BF[0] * EXPOSURE_S
    offset_BTA = batch.folding_offsets_BTA.clone()
    for last in (1.0, 1.1):  # both records have one redistribution, and one each
        offset_BTA[1] *= last
        through = folding.Redistributions.of(offset_BTA, spec.energy_edges, batch.filled_BC)
        found_BC = through[torch.tensor([1, 0])](photons_F.expand(2, -1))
        torch.testing.assert_close(found_BC[1], right_C, rtol=1e-4, atol=1e-3)
    values = {p: true_P[i].expand(2).numpy() for i, p in enumerate(spec.names)}
    look = quick_looks(spec, batch, values, np.array([True, True]))[0]
    starts_G = starts_of(np.array(spec.energy_edges), len(look.counts_G))
    assert look.model_G == pytest.approx(np.add.reduceat(right_C.numpy(), starts_G), rel=1e-4)
