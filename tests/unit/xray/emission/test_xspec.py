"""XSPEC's models as components, through xspectrampoline."""

import pickle
import sys

import numpy as np
import pytest
import torch

from wolter.errors import InputError
from wolter.xray.emission.components import parse

EDGES = torch.linspace(0.3, 10, 200, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _needs_xspec(request, xspec):
    """Every test but that of the missing package needs the package."""


def test_xspec_models_agree_with_the_built_in_ones():
    names = "xspec('wabs') * (xspec('powerlaw') + xspec('bbody'))"
    params = {"wabs_nh": 0.3, "powerlaw_phoindex": 2.0, "powerlaw_norm": 1e-3}
    params |= {"bbody_kt": 0.15, "bbody_norm": 1e-5}
    ours = {"nh": 0.3, "slope": 2.0, "pow_norm": 1e-3, "kt": 0.15, "bb_norm": 1e-5}
    expected = parse("wabs * (powerlaw + bbody)")(EDGES, ours)
    torch.testing.assert_close(parse(names)(EDGES, params), expected, rtol=1e-4, atol=0)


def test_redshifted_power_law_with_batches_and_defaults(xspec):
    model = parse('wabs * xspec("zpowerlw")')
    assert model.parameters == ("nh", "zpowerlw_phoindex", "zpowerlw_redshift", "zpowerlw_norm")
    slope = torch.tensor([1.5, 2.5])
    flux = model(EDGES, {"nh": 0.1, "zpowerlw_phoindex": slope, "zpowerlw_norm": 2.0})
    assert flux.shape == (2, 199)
    assert flux.dtype == torch.float32
    for row, index in zip(flux, (1.5, 2.5), strict=True):  # redshift 0 by default
        expected = 2 * xspec("C_wabs", [0.1], EDGES.numpy())
        expected = expected * xspec("C_zpowerLaw", [index, 0.0], EDGES.numpy())
        np.testing.assert_allclose(row, expected, rtol=1e-4)


def test_models_with_switches_are_read():
    model = parse("xspec('bcempow')")
    assert "bcempow_switch" in model.defaults


def test_expressions_with_xspec_models_can_be_pickled_and_written():
    model = parse('wabs * xspec("zpowerlw")')
    copy = pickle.loads(pickle.dumps(model))
    values = {"nh": 0.1, "zpowerlw_phoindex": 2.0, "zpowerlw_norm": 1.0}
    torch.testing.assert_close(copy(EDGES, values), model(EDGES, values))


def test_no_gradient_is_said():
    norm = torch.ones(1, requires_grad=True)
    with pytest.raises(InputError, match="no gradient"):
        parse("xspec('powerlaw')")(EDGES, {"powerlaw_phoindex": 2.0, "powerlaw_norm": norm})


@pytest.mark.parametrize("name", ["nosuchmodel", "gsmooth"])
def test_unknown_or_convolution_models_are_refused(name):
    with pytest.raises(InputError, match=f'xspec\\("{name}"\\)'):
        parse(f"xspec('{name}')")


def test_a_missing_package_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "xspectrampoline", None)
    with pytest.raises(InputError, match="pip install xspectrampoline"):
        parse("xspec('apec')")
