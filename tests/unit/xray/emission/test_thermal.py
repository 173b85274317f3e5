"""Disk and bremsstrahlung against XSPEC and closed forms."""

import numpy as np
import pytest
import torch
from scipy import integrate, special

from wolter.xray.emission.components import parse
from wolter.xray.emission.thermal import gaunt_factor

EDGES = np.linspace(0.05, 16.0, 2068).astype(np.float32).astype(np.float64)
IN_BAND = (EDGES[:-1] >= 0.2) & (EDGES[1:] <= 12.0)
SYMBOLS = {"diskbb": "xsdskb_", "bremss": "xsbrms_"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SYMBOLS)
def test_matches_xspec_to_1e4_in_every_bin(name, dtype, xspec):
    temperature = np.geomspace(0.1, 20, 12).astype(np.float32)
    model = parse(name)
    norm = dict.fromkeys(model.parameters[1:], 1.0)
    kt = {model.parameters[0]: torch.tensor(temperature, dtype=dtype)}
    flux = model(torch.tensor(EDGES), kt | norm).double().numpy()
    for row, t in zip(flux, temperature, strict=True):
        expected = xspec(SYMBOLS[name], [t], EDGES)
        # XSPEC's own table of the disk drifts beyond 25 kT
        inside = IN_BAND & (EDGES[1:] < 25 * t) & (expected > 0)
        np.testing.assert_allclose(row[inside], expected[inside], rtol=1e-4)


def test_disk_is_the_integral_over_its_rings():
    edges = torch.tensor([0.99, 1.01], dtype=torch.float64)
    got = float(parse("diskbb")(edges, {"tin": 0.7, "disk_norm": 3.0}))

    def density(energy: float) -> float:
        rings = integrate.quad(
            lambda t: t ** (-11 / 3) / np.expm1(energy / (0.7 * t)), 0.01, 1, epsabs=0
        )
        return 3 / 361 * energy**2 * rings[0]

    assert got == pytest.approx(integrate.quad(density, 0.99, 1.01)[0], rel=1e-6)


def test_gaunt_factor_of_hot_plasma_is_the_born_approximation():
    u = torch.logspace(-3, 1.6, 50, dtype=torch.float64)[None]
    got = gaunt_factor(u, torch.tensor([[5e-4]], dtype=torch.float64))
    born = 0.5513 * special.k0e(u.numpy() / 2)
    np.testing.assert_allclose(got.numpy(), born, rtol=1e-6)


@pytest.mark.parametrize("name", SYMBOLS)
def test_gradients_are_right_and_finite(name):
    edges = torch.linspace(0.3, 10, 20, dtype=torch.float64)
    model = parse(name)

    def flux(kt: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
        return model(edges, dict(zip(model.parameters, (kt, norm), strict=True)))

    kt = torch.tensor([0.15, 0.62, 3.1], dtype=torch.float64, requires_grad=True)
    norm = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(flux, (kt, norm), eps=1e-6, atol=1e-5)
    single = torch.tensor([0.1, 1.0, 30.0], requires_grad=True)
    wide = torch.tensor(EDGES)
    model(wide, dict(zip(model.parameters, (single, 1.0), strict=True))).sum().backward()
    assert bool(single.grad.isfinite().all())
