"""Absorption against XSPEC's own functions."""

import ctypes

import numpy as np
import pytest
import torch

from wolter.xray.emission import parse
from wolter.xray.photoionization import atom

WINDOWS = [(0.490, 0.586), (0.700, 0.7965), (0.8645, 0.8705)]  # tbabs: fine structure of edges


@pytest.fixture
def wilms_abundances(xspec):
    """XSPEC with the abundances of tbabs' own paper, and back to its default afterwards."""
    select = pytest.importorskip("xspectrampoline").get_libraries().lib_xs_functions.FPSOLR
    select.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_int)]
    error = ctypes.c_int(0)
    select(b"wilm", ctypes.byref(error))
    assert error.value == 0
    yield
    select(b"angr", ctypes.byref(error))


def tbabs_ratio(xspec, edges, nh, dtype):
    got = parse("tbabs")(torch.tensor(edges), {"nh": torch.tensor([nh], dtype=dtype)})
    expected = xspec("C_tbabs", [nh], edges)
    ratio = got[0].double().numpy() / np.where(expected > 0, expected, 1)
    fine = np.any([(edges[1:] > low) & (edges[:-1] < high) for low, high in WINDOWS], axis=0)
    in_band = (edges[:-1] >= 0.2) & (edges[1:] <= 12.0) & (expected > 1e-25)
    return ratio, in_band & ~fine, in_band & fine


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("nh", [0.01, 0.1, 1.0])
def test_tbabs_matches_xspec_to_1e4_outside_fine_structure(nh, dtype, xspec, wilms_abundances):
    for n in (300, 2068):
        ratio, smooth, _ = tbabs_ratio(xspec, np.linspace(0.05, 16, n), nh, dtype)
        np.testing.assert_allclose(ratio[smooth], 1, rtol=1e-4)


def test_tbabs_fine_structure_is_right_to_a_percent(xspec, wilms_abundances):
    worst = []
    for n in (500, 1000, 1500, 2000, 2068, 2500, 3000):
        ratio, _, fine = tbabs_ratio(xspec, np.linspace(0.05, 16, n), 0.1, torch.float64)
        worst.append(np.sqrt(np.mean((ratio[fine] - 1) ** 2)))
    assert np.mean(worst) < 0.01


@pytest.mark.parametrize("name", ["wabs", "tbabs"])
def test_transmission_is_differentiable_and_falls_with_the_column(name):
    edges = torch.linspace(0.3, 10, 60, dtype=torch.float64)
    model = parse(name)
    nh = torch.tensor([0.02, 0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda column: model(edges, {"nh": column}), nh)
    low, high = model(edges, {"nh": nh.detach()})
    assert bool((high < low).all())
    assert bool(((low > 0) & (low < 1)).all())


def test_cross_section_at_threshold_of_hydrogen_and_carbon():
    """Textbook values: 1 Mb-scale K edge of carbon; hydrogen falls nearly as E^-3.5."""
    energy = torch.tensor([290.9, 291.1, 1000.0, 2000.0], dtype=torch.float64)
    below, above = atom(6, energy)[:2]
    assert float(above / below) > 15
    assert float(above) == pytest.approx(0.95, abs=0.05)
    ratio = atom(1, energy)[2] / atom(1, energy)[3]
    assert float(ratio) == pytest.approx(2**3.4, rel=0.03)
