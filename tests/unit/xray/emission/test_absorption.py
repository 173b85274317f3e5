"""Absorption against XSPEC's own functions."""

import ctypes

import numpy as np
import pytest
import torch

from wolter.xray.emission.components import parse
from wolter.xray.emission.photoionization import atom


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


K_EDGES = [0.291, 0.4048, 1.311, 1.846, 2.477, 7.124, 8.348]  # keV
GRIDS = {  # keV: a canned response's, a coarse one, fine ones, edges upon the O K resonance, and
    # edges that rounding has put just below K edges
    "epic-pn": np.linspace(0.05, 16, 2068),
    "coarse": np.linspace(0.05, 16, 300),
    "fine": np.arange(0.2, 1.2, 0.0005),
    "resonance": np.sort(np.append(np.linspace(0.2, 12, 1001), 0.52743 + np.arange(-4, 5) * 1e-4)),
    "ev": np.linspace(0.2, 12, 11801),
    "rounded": np.sort(np.append(np.linspace(0.2, 12, 1001), np.nextafter(K_EDGES, 0))),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("nh", [0.01, 0.03, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("grid", GRIDS)
def test_tbabs_matches_xspec_to_1e4_in_every_bin(grid, nh, dtype, xspec, wilms_abundances):
    edges = GRIDS[grid]
    got = parse("tbabs")(torch.tensor(edges), {"nh": torch.tensor([nh], dtype=dtype)})[0]
    expected = xspec("C_tbabs", [nh], edges)
    # Through the resonance comes nothing at all: 1e-25 of the light is below float32's reach.
    seen = (edges[:-1] >= 0.2) & (edges[1:] <= 12.0) & (expected > 1e-25)
    assert seen.sum() > 0.9 * ((edges[:-1] >= 0.2) & (edges[1:] <= 12.0)).sum()
    np.testing.assert_allclose(got.double().numpy()[seen], expected[seen], rtol=1e-4)


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
