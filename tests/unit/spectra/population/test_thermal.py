"""Bremsstrahlung with lines in the place of plasma."""

import pytest
import torch

from wolter.errors import InputError
from wolter.spectra.population import thermal
from wolter.spectra.population.thermal import model_of
from wolter.xray.emission.components import parse

EDGES = torch.linspace(0.4, 9.0, 1721, dtype=torch.float64)
MIDDLE = (EDGES[1:] + EDGES[:-1]) / 2


def photons(model, kt: list[float], abundance: float, low: float, high: float) -> torch.Tensor:
    values = {"plasma_kt": torch.tensor(kt), "abundance": abundance, "plasma_norm": 1.0}
    flux_BE = model(EDGES, values)
    return flux_BE[:, (low <= MIDDLE) & (high > MIDDLE)].sum(1)


def test_hot_gas_without_metals_is_bremsstrahlung():
    got = model_of("bremsstrahlung", "plasma")(
        EDGES, {"plasma_kt": 20.0, "abundance": 0.0, "plasma_norm": 1.0}
    )
    bremss = parse("bremss")(EDGES, {"brems_kt": 20.0, "brems_norm": 0.302 * 1.07})
    torch.testing.assert_close(got, bremss, rtol=0.01, atol=0)


def test_lines_are_where_their_temperature_is():
    model = model_of("bremsstrahlung", "plasma")
    iron = photons(model, [1.0, 4.0], 1.0, 6.5, 6.9) / photons(model, [1.0, 4.0], 1.0, 5.5, 5.9)
    soft = photons(model, [1.0, 4.0], 1.0, 0.9, 1.1) / photons(model, [1.0, 4.0], 1.0, 1.5, 1.7)
    assert iron[1] > 1.4
    assert soft[0] > 2 * soft[1]
    none = photons(model, [4.0], 0.0, 6.5, 6.9) / photons(model, [4.0], 0.0, 5.5, 5.9)
    assert none < 0.8


def test_only_plasma_is_replaced():
    model = model_of("bremsstrahlung", "wabs * (plasma + bbody)")
    assert model.parameters == parse("wabs * (plasma + bbody)").parameters
    assert model.components[2] is parse("bbody").components[0]


def test_a_missing_package_names_both_remedies(monkeypatch):
    def missing() -> None:
        raise InputError("the component 'plasma' needs the package nnapec; install it")

    monkeypatch.setattr(thermal, "network_file", missing)
    with pytest.raises(InputError, match=r"nnapec; install it; or .*--thermal bremsstrahlung"):
        model_of("plasma", "wabs * plasma")
    model_of("plasma", "wabs * powerlaw")


@pytest.mark.peers
def test_agrees_with_plasma():
    kt = [0.5, 0.7, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0]
    approximate, plasma = (model_of(each, "plasma") for each in ("bremsstrahlung", "plasma"))
    soft = photons(approximate, kt, 1.0, 0.5, 2) / photons(plasma, kt, 1.0, 0.5, 2)
    hard = photons(approximate, kt, 1.0, 2, 7) / photons(plasma, kt, 1.0, 2, 7)
    assert soft.sub(1).abs().max() < 0.17
    assert hard[1:].sub(1).abs().max() < 0.21
