import pytest
import torch

from wolter.errors import InputError
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.fluxes import ERG_PER_KEV, counts_per_flux, source_rates
from wolter.xray.spectral.response import Response


@pytest.fixture(scope="module")
def flat():
    """100 cm^2 at all energies, one channel for each."""
    edges_E1 = torch.linspace(0.1, 10.1, 1001, dtype=torch.float64)
    matrix_EC = torch.eye(1000, dtype=torch.float64) * 100
    return Response(edges_E1, matrix_EC, edges_E1, 0)


def test_a_line_gives_area_over_its_energy(flat):
    line = {"line_energy": 1.5, "sigma": 0.01, "line_norm": 3.0}
    rate = counts_per_flux("gaussian", line, flat, (0.5, 2.0))
    assert rate == pytest.approx(100 / (1.5 * ERG_PER_KEV), rel=1e-3)


def test_a_power_law_of_slope_2_in_closed_form(flat):
    # photons 1/0.5 - 1/2, energy ln 4
    law = {"slope": 2.0, "pow_norm": 1.0}
    rate = counts_per_flux("powerlaw", law, flat, (0.5, 2.0))
    assert rate == pytest.approx(100 * 1.5 / (1.3863 * ERG_PER_KEV), rel=1e-3)
    hard = counts_per_flux("powerlaw", law, flat, (2.0, 8.0), flux_band_kev=(0.5, 2.0))
    assert hard == pytest.approx(100 * 0.375 / (1.3863 * ERG_PER_KEV), rel=1e-3)
    cut = counts_per_flux("powerlaw", law, flat, (0.3, 8.0), (0.5, 2.0), photons_kev=(0.5, 2.0))
    assert cut == pytest.approx(rate, rel=1e-3)


def test_every_spectrum_of_scenes_has_a_rate():
    rates = source_rates(epic_pn.response(), (0.5, 2.0))
    assert set(rates) == {"agn", "cluster", "remnant", "galaxy"}
    assert all(6e11 < rate < 8e11 for rate in rates.values())
    assert source_rates(epic_pn.response("thick"), (0.5, 2.0))["agn"] < 0.85 * rates["agn"]


def test_a_band_without_photons(flat):
    with pytest.raises(InputError, match=r"no photons between 20\.0 and 30\.0 keV"):
        counts_per_flux("powerlaw", {"slope": 2.0, "pow_norm": 1.0}, flat, (20.0, 30.0))
