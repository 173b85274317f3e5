"""Redistributions: what moves and stretches recorded energies, and how far real files are apart."""

import pytest
import torch

from wolter.spectra.grid import PHOTONS_KEV, RECORDED_SHARES, acis_grid
from wolter.spectra.population.detector import Detector
from wolter.spectra.population.redistributions import Redistribution, draw_redistributions
from wolter.xray.instruments.instrument import load
from wolter.xray.spectral.redistribution import recorded_offsets


@pytest.fixture(scope="module")
def response():
    return load("acis_s").response("2000", torch.float64)


def offsets(response):
    return recorded_offsets(response, PHOTONS_KEV, RECORDED_SHARES)


def test_energies_move_and_lines_widen_as_far_as_asked(response):
    least, most = (Redistribution((at, at), (at, at)).of(response) for at in (0.0, 1.0))
    width_QA = torch.stack(
        [offsets(each)[2] - offsets(each)[0] for each in (least, response, most)]
    )
    inner = slice(6, -2)  # narrower lines are of few channels, broad ones end with the channels
    assert (width_QA[0] < width_QA[1])[inner].all()
    assert (width_QA[2] > width_QA[1])[inner].all()
    moved_A = offsets(most)[1] - offsets(least)[1]
    energy_A = torch.tensor(PHOTONS_KEV)
    assert 0.008 < float(moved_A[(energy_A - 1).abs().argmin()]) < 0.02
    assert 0.045 < float(moved_A[(energy_A - 3).abs().argmin()]) < 0.07


def test_the_area_stays(response):
    varied = Redistribution((0.3, 0.7), (0.5, 0.2)).of(response)
    energy_E = (response.energy_edges_E1[1:] + response.energy_edges_E1[:-1]) / 2
    inside_E = (energy_E > 0.5) & (energy_E < 9.5)
    torch.testing.assert_close(
        varied.area_E[inside_E], response.area_E[inside_E], rtol=0.01, atol=1e-3
    )
    assert (varied.matrix_EC >= 0).all()


def test_they_are_spread_over_their_ranges_and_depend_on_the_seed_alone():
    def drawn(seed):
        return draw_redistributions(9, torch.Generator().manual_seed(seed))

    assert drawn(0) == drawn(0) != drawn(1)
    for side in (0, 1):
        for name in ("offset", "width"):
            shares = sorted(getattr(each, name)[side] for each in drawn(0))
            assert (shares[0], shares[-1]) == (0, 1)
    assert draw_redistributions(0, torch.Generator()) == []


def test_a_detector_has_the_embedded_one_first():
    one, two = Detector.all_of("acis_i", (2000, 2001), acis_grid(), 2)
    assert torch.equal(one.folding_area_YF, two.folding_area_YF)
    assert not torch.equal(one.offset_TA, two.offset_TA)
    embedded = offsets(load("acis_i").response("2000")).float()
    torch.testing.assert_close(one.redistribution_QA, embedded, equal_nan=True)
