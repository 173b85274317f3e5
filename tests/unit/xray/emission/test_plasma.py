"""Thermal plasma from nnapec's network: table, bins, gradients, redshift; without the package."""

import builtins
import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from wolter.errors import InputError
from wolter.xray.emission import plasma, plasma_table
from wolter.xray.emission.components import parse
from wolter.xray.emission.expression import Grid
from wolter.xray.emission.plasma_table import ABUNDANCES, Network, PlasmaTable, bin_edges

ENERGY = torch.logspace(-1, 1.3, 1200, dtype=torch.float64)  # keV, of the stand-in
LOG_KT = torch.linspace(np.log(0.1), np.log(20.0), 177, dtype=torch.float64)


def stand_in_flux(energy: torch.Tensor, kt: torch.Tensor, abundance: torch.Tensor) -> torch.Tensor:
    """Photons / keV of a made-up plasma: a continuum, and one line with the abundance."""
    continuum = torch.exp(-energy / kt) / energy / kt.sqrt()
    line = torch.exp(-0.5 * ((energy - 1.86) / 0.02) ** 2)
    return continuum + abundance * line * torch.exp(-1.86 / kt)


@pytest.fixture
def stand_in(monkeypatch) -> PlasmaTable:
    """A table of a made-up plasma in the place of nnapec's."""
    edges = bin_edges(ENERGY)
    kt, abundance = LOG_KT.exp()[:, None, None], torch.tensor(ABUNDANCES)[:, None]
    flux = stand_in_flux(ENERGY, kt, abundance) * edges.diff()
    flux = flux / plasma_table.boltzmann(ENERGY, kt)
    table = PlasmaTable(edges, LOG_KT, flux.float())
    plasma._rows.cache_clear()
    monkeypatch.setattr(plasma, "plasma_table", lambda: table)
    yield table
    plasma._rows.cache_clear()


def evaluate(edges: torch.Tensor, **values: torch.Tensor | float) -> torch.Tensor:
    known = {"plasma_kt": 1.0, "abundance": 0.5, "plasma_norm": 1.0}
    return parse("plasma")(edges, known | values)


def test_interpolation_is_right_between_the_knots(stand_in):
    kt = torch.tensor([0.231, 0.77, 3.9], dtype=torch.float64)
    abundance = torch.tensor([0.13, 0.7, 3.3], dtype=torch.float64)
    edges = stand_in.edges_N1[300:1000]
    got = evaluate(edges, plasma_kt=kt, abundance=abundance)
    middle = (edges[1:] + edges[:-1]) / 2
    expected = stand_in_flux(middle, kt[:, None], abundance[:, None]) * edges.diff()
    torch.testing.assert_close(got, expected, rtol=3e-3, atol=1e-12)


@pytest.mark.parametrize("n", [3, 40, 900, 9000])
def test_photons_are_kept_on_wide_and_narrow_bins(stand_in, n):
    kt = torch.tensor([0.5, 2.0], dtype=torch.float64)
    whole = evaluate(torch.tensor([0.5, 8.0], dtype=torch.float64), plasma_kt=kt)
    parts = evaluate(torch.linspace(0.5, 8.0, n + 1, dtype=torch.float64), plasma_kt=kt)
    torch.testing.assert_close(parts.sum(1), whole.sum(1), rtol=2e-4, atol=0)
    assert parts.min() >= 0


def test_gradients_are_those_of_finite_differences(stand_in):
    edges = torch.linspace(0.5, 8.0, 30, dtype=torch.float64)
    kt = torch.tensor([0.31, 0.62, 3.1], dtype=torch.float64, requires_grad=True)
    abundance = torch.tensor([0.15, 0.7, 2.5], dtype=torch.float64, requires_grad=True)

    def flux(kt: torch.Tensor, abundance: torch.Tensor) -> torch.Tensor:
        return evaluate(edges, plasma_kt=kt, abundance=abundance)

    assert torch.autograd.gradcheck(flux, (kt, abundance), eps=1e-6, atol=1e-5)


def test_redshift_moves_energies_and_slows_the_arrival(stand_in):
    edges = torch.linspace(0.8, 6.0, 53, dtype=torch.float64)
    z = 0.25
    moved = evaluate(edges, redshift=z)
    rest = evaluate(edges * (1 + z))
    torch.testing.assert_close(moved, rest / (1 + z), rtol=2e-3, atol=0)
    each = evaluate(edges, redshift=torch.tensor([0.0, z], dtype=torch.float64))
    torch.testing.assert_close(each[1:], moved, rtol=1e-9, atol=0)


def test_two_temperatures_are_a_sum(stand_in):
    edges = torch.linspace(0.5, 8.0, 40, dtype=torch.float64)
    model = parse("plasma + plasma")
    assert model.parameters[4:] == ("plasma_kt_2", "abundance_2", "redshift_2", "plasma_norm_2")
    values = {"plasma_kt": 0.5, "abundance": 1.0, "plasma_norm": 1.0}
    second = {"plasma_kt_2": 3.0, "abundance_2": 0.3, "plasma_norm_2": 2.0}
    both = model(edges, values | second)
    one = evaluate(edges, **values)
    two = evaluate(edges, plasma_kt=3.0, abundance=0.3, plasma_norm=2.0)
    torch.testing.assert_close(both, one + two)


def test_values_beyond_the_table_are_held(stand_in):
    edges = torch.linspace(0.5, 8.0, 5, dtype=torch.float64)
    torch.testing.assert_close(evaluate(edges, abundance=0.0), evaluate(edges, abundance=0.02))
    held = evaluate(edges, plasma_kt=torch.tensor([20.0, 500.0], dtype=torch.float64))
    assert held.isfinite().all()


def test_a_network_is_its_layers():
    torch.manual_seed(0)
    weights = ((torch.randn(5, 2), torch.randn(5)), (torch.randn(6, 5), torch.randn(6)))
    shift, scale = torch.tensor([2.5, 32.0]), torch.tensor([1.4, 18.0])
    value_shift, value_scale = torch.randn(3).double(), torch.rand(3).double()
    network = Network(weights, shift, scale, value_shift, value_scale, ENERGY[:3])
    kt, abundance = torch.tensor([0.7, 3.0]), torch.tensor([0.3, 1.0])
    x = (torch.stack([abundance, kt], 1) - shift) / scale
    hidden = torch.nn.functional.gelu(x @ weights[0][0].T + weights[0][1])
    y = (hidden @ weights[1][0].T + weights[1][1])[:, :3]
    expected = 10 ** (y.double() * value_scale + value_shift)
    # The layers are float32, and a sum's order is not the same on all machines.
    torch.testing.assert_close(network(kt, abundance), expected, rtol=1e-5, atol=0)


def test_a_missing_package_is_said_with_the_remedy(monkeypatch):
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(
        InputError, match=r"nnapec; install it with: pip install 'wolter\[plasma\]'"
    ):
        parse("plasma").on(torch.linspace(0.5, 8.0, 5))


def test_a_missing_reader_is_said_with_the_remedy(monkeypatch, tmp_path):
    real = builtins.__import__

    def without_h5py(name: str, *rest: object) -> object:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    with pytest.raises(InputError, match=r"h5py; install it with: pip install 'wolter\[plasma\]'"):
        plasma_table.read_network(tmp_path / "nn_apec.h5")


def test_another_file_of_that_name_is_refused(tmp_path: Path):
    file = tmp_path / "nn_apec.h5"
    file.write_bytes(b"no network")
    with pytest.raises(InputError, match="not the network of nnapec"):
        plasma_table.read_network(file)


@pytest.mark.peers
class TestNnapec:
    """Against nnapec's own network, and XSPEC's bremsstrahlung."""

    def test_photons_are_the_networks(self):
        network = plasma_table.read_network(plasma_table.network_file())
        edges_N1 = bin_edges(network.energy_N)
        generator = torch.Generator().manual_seed(1)
        kt = 0.3 * 60 ** torch.rand(200, generator=generator)
        abundance = 0.1 * 30 ** torch.rand(200, generator=generator)
        with torch.no_grad():
            own = network(kt, abundance) * edges_N1.diff()
        inside = slice(int((edges_N1 < 0.5).sum()), int((edges_N1 < 8).sum()))
        edges = edges_N1[inside.start : inside.stop + 1]
        got = evaluate(edges, plasma_kt=kt.double(), abundance=abundance.double())
        expected = own[:, inside]
        weight = expected / expected.sum(1, keepdim=True)
        error = (got / expected - 1).abs()
        assert (error * weight).sum(1).mean() < 1e-3
        assert (error * weight).sum(1).max() < 0.03
        assert error[weight > 1e-4].quantile(0.99) < 0.01

    def test_hot_continuum_is_bremsstrahlung_with_helium(self):
        edges = torch.linspace(0.5, 6.0, 56, dtype=torch.float64)
        hot = evaluate(edges, plasma_kt=8.0, abundance=0.02)
        bremss = parse("bremss")(edges, {"brems_kt": 8.0, "brems_norm": 0.302})
        ratio = hot / bremss
        assert ratio.min() > 1.06
        assert ratio.max() < 1.11

    def test_metals_give_their_share_of_the_photons(self):
        edges = torch.tensor([0.5, 2.0], dtype=torch.float64)
        kt = torch.tensor([0.7, 1.0, 3.0, 8.0], dtype=torch.float64)
        solar = evaluate(edges, plasma_kt=kt, abundance=1.0)[:, 0]
        without = evaluate(edges, plasma_kt=kt, abundance=0.02)[:, 0]
        share = (1 - without / solar).tolist()
        assert share == pytest.approx([0.61, 0.56, 0.27, 0.13], abs=0.03)

    def test_all_of_the_grid_in_float32(self):
        grid = Grid.of(torch.linspace(0.2, 12.0, 800), torch.float32, None)
        flux = parse("plasma").on(grid.edges_E1)(
            {"plasma_kt": torch.tensor([0.1, 0.5, 5.0]), "abundance": 0.5, "plasma_norm": 1e-4}
        )
        assert flux.isfinite().all()
        assert flux.min() >= 0
