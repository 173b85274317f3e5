"""A population of Chandra sources: classes, selection, response, determinism."""

import pytest
import torch

from wolter.spectra.folding import EDGES_KEV, fold
from wolter.spectra.population.classes import CLASSES, NAMES
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.observing import observe
from wolter.spectra.population.selection import signal_to_noise
from wolter.spectra.population.simulator import PopulationSimulator
from wolter.spectra.schema import SpectraBatch


@pytest.fixture(scope="module")
def simulator() -> PopulationSimulator:
    pytest.importorskip("h5py")
    return PopulationSimulator(PopulationConfig(mix="equal"))


@pytest.fixture(scope="module")
def batch(simulator) -> SpectraBatch:
    return simulator.draw(3, 0)


def test_a_block_depends_on_seed_and_number_alone(simulator, batch):
    again = PopulationSimulator(PopulationConfig(mix="equal")).draw(3, 0)
    assert torch.equal(again.counts_BC, batch.counts_BC)
    assert torch.equal(again.catalogue_BX.nan_to_num(), batch.catalogue_BX.nan_to_num())
    assert not torch.equal(simulator.draw(3, 1).counts_BC, batch.counts_BC)


def test_every_record_is_a_significant_detection(batch):
    ratio_B = signal_to_noise(batch.counts_BC, batch.background_BC, batch.background_scale_B)
    assert float(ratio_B.min()) >= 5
    assert batch.counts_BC.sum(1).median() < 300


def test_classes_come_in_equal_numbers(batch):
    number = torch.bincount(batch.class_B.long(), minlength=len(NAMES))
    assert number.min() > 90
    assert number.max() < 170


def test_labels_are_those_of_the_class_and_missing_where_there_are_none(batch):
    nh, slope, kt = batch.parameters_BP[:, :3].T
    assert not nh.isnan().any()
    for k, each in enumerate(CLASSES):
        rows = batch.class_B == k
        assert bool(slope[rows].isnan().all()) == (not any(v.slope for v in each.variants))
        assert bool(kt[rows].isnan().all()) == (not any(v.kt for v in each.variants))


def test_labels_lie_within_their_ranges(simulator, batch):
    low_P, high_P = simulator.spec.bounds_2P()
    known = ~batch.parameters_BP.isnan()
    inside = (batch.parameters_BP >= low_P) & (batch.parameters_BP <= high_P)
    assert bool(inside[known].all())


def test_a_record_holds_the_response_that_its_counts_were_folded_through(simulator):
    flux = torch.linspace(2.0, 0.5, len(EDGES_KEV) - 1)[None] * 1e-5
    edges_E1 = simulator.edges_E1
    edges_F1 = torch.tensor(EDGES_KEV, dtype=torch.float64)
    width_F = edges_F1.diff()
    at_E = (torch.searchsorted(edges_F1, (edges_E1[1:] + edges_E1[:-1]) / 2) - 1).clamp(0, 191)
    flux_E = flux[0][at_E] / width_F[at_E].float() * edges_E1.diff().float()
    generator = torch.Generator().manual_seed(0)
    for detector in simulator.detectors:
        seen = observe(simulator.config.observing, detector, 8, generator)
        expected_BC = seen.expected(flux_E.expand(8, -1))
        offset_BTA = detector.offset_TA.expand(8, -1, -1)
        got_BC = fold(
            flux.expand(8, -1),
            seen.folding_area_BF(),
            offset_BTA,
            seen.exposure_B,
            torch.tensor(simulator.spec.energy_edges),
        )
        torch.testing.assert_close(got_BC.sum(1), expected_BC.sum(1), rtol=0.01, atol=0)
