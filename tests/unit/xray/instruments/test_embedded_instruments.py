"""The embedded EPIC-pn and ACIS: what holds without any file."""

import pytest
import torch

from wolter.errors import InputError
from wolter.xray.instruments import acis, epic_pn
from wolter.xray.instruments.ccd import Ccd, interpolate, transmission


@pytest.fixture(scope="module")
def pn():
    return epic_pn.response("thin", dtype=torch.float64)


def test_grids_are_those_of_the_instruments(pn):
    assert (pn.n_channels, pn.first_channel) == (4096, 0)
    assert float(pn.channel_edges_C1[-1]) == pytest.approx(20.48)
    assert pn.energy_edges_E1[0] == 0.05
    assert pn.energy_edges_E1[-1] == 16.0
    assert bool((pn.energy_edges_E1.diff() > 0).all())
    s3 = acis.response()
    assert (s3.n_channels, s3.first_channel) == (1024, 1)


def test_no_photon_is_lost_in_the_redistribution(pn):
    energy_E = (pn.energy_edges_E1[1:] + pn.energy_edges_E1[:-1]) / 2
    fraction_E = pn.matrix_EC.sum(1) / epic_pn.area(energy_E)
    inside = energy_E > 0.5  # below, the core reaches under channel 0
    assert bool((fraction_E <= 1 + 1e-12).all())
    assert float(fraction_E[inside].min()) > 0.99


def test_line_widths_and_centres(pn):
    centre_C = (pn.channel_edges_C1[1:] + pn.channel_edges_C1[:-1]) / 2
    for energy, fwhm_kev in [(0.6, 0.104), (1.0, 0.108), (2.0, 0.133), (6.0, 0.216)]:
        row_C = pn.matrix_EC[int(torch.searchsorted(pn.energy_edges_E1, energy)) - 1]
        core_C = row_C > row_C.max() / 2
        assert float(core_C.sum() * 0.005) == pytest.approx(fwhm_kev, abs=0.011)
        assert float(centre_C[row_C.argmax()]) == pytest.approx(energy, abs=0.012)


def test_filters_only_take_away_and_most_at_low_energies():
    energy_E = torch.linspace(0.1, 15, 500, dtype=torch.float64)
    thin, medium, thick = (epic_pn.area(energy_E, f) for f in ("thin", "medium", "thick"))
    assert bool((medium < thin).all())
    assert bool((thick < medium).all())
    at = interpolate(torch.tensor([0.3, 6.0], dtype=torch.float64), [(0.1, 1.0), (1.0, 1.0)])
    assert torch.equal(at, torch.ones_like(at))
    soft, hard = (thick / thin)[int(0.2 / 15 * 500)], (thick / thin)[int(6 / 15 * 500)]
    assert soft < 0.6
    assert hard > 0.95


def test_contamination_grows_with_time():
    energy_E = torch.tensor([0.67, 5.0], dtype=torch.float64)
    ratio = acis.area(energy_E, year=2018.0) / acis.area(energy_E, year=1999.6)
    assert float(ratio[0]) == pytest.approx(torch.exp(torch.tensor(-1.9)).item(), rel=0.05)
    assert float(ratio[1]) > 0.98


def test_knots_jump_at_an_edge():
    knots = [(1.0, 1.0), (2.0, 4.0), (2.0, 8.0), (4.0, 8.0)]
    at = torch.tensor([0.5, 1.0, 2**0.5, 2.0 - 1e-12, 2.0, 3.0, 4.0, 8.0], dtype=torch.float64)
    expected = torch.tensor([0.25, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0], dtype=torch.float64)
    torch.testing.assert_close(interpolate(at, knots), expected)


def test_redistribution_of_a_perfect_ccd_is_a_gaussian():
    edges = torch.linspace(0, 10, 2001, dtype=torch.float64)
    ccd = Ccd(edges, ((0.1, 100.0), (10.0, 100.0)), ((0.1, 0.0), (10.0, 0.0)), 0.1, 1.0, (0.0, 0.0))
    got = ccd.redistribution(torch.tensor([1.5], dtype=torch.float64))[0]
    exact = torch.special.ndtr((edges - 1.5) / (0.1 / 2.3548)).diff()
    torch.testing.assert_close(got, exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: epic_pn.response("open"), "unknown EPIC-pn filter 'open'; use thin"),
        (lambda: acis.response("x"), "unknown ACIS detector"),
        (lambda: acis.response("s", year=1990.0), "since 1999.6"),
        (lambda: transmission(torch.ones(1), {"lead": 1.0}), "unknown material"),
    ],
)
def test_bad_choices_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
