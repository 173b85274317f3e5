"""Emission models against XSPEC's own functions and closed forms."""

import numpy as np
import pytest
import torch

from wolter.errors import InputError
from wolter.xray.emission.components import COMPONENTS, parse

MODEL = "wabs * (powerlaw + gaussian + bbody)"
PRIOR = {
    "nh": (0.01, 1.0),
    "slope": (1.0, 3.0),
    "pow_norm": (4e-5, 4e-3),
    "line_energy": (5.0, 7.0),
    "sigma": (0.1, 0.1),
    "line_norm": (1e-6, 5e-5),
    "kt": (0.12, 0.20),
    "bb_norm": (1e-6, 5e-5),
}
# Edges that float32 holds exactly: XSPEC's Fortran models see nothing finer.
EDGES = np.linspace(0.05, 16.0, 2068).astype(np.float32).astype(np.float64)
IN_BAND = (EDGES[:-1] >= 0.2) & (EDGES[1:] <= 12.0)


def draws(n: int, seed: int = 0) -> np.ndarray:
    low, high = np.array(list(PRIOR.values())).T
    theta = np.random.default_rng(seed).uniform(low, high, (n, len(low)))
    theta[0], theta[1] = low, high
    theta[2] = np.where(np.arange(len(low)) % 2, low, high)
    return theta.astype(np.float32).astype(np.float64)


def columns(theta: np.ndarray, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(theta[:, i], dtype=dtype) for i, name in enumerate(PRIOR)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matches_xspec_to_1e4_in_every_bin_over_the_prior(dtype, xspec):
    theta = draws(200)
    edges, params = torch.tensor(EDGES), columns(theta, dtype)
    flux = parse(MODEL)(edges, params).double().numpy()
    terms = {k: v.double().numpy() for k, v in parse(MODEL).terms(edges, params).items()}
    for i, (nh, slope, pow_norm, energy, sigma, line_norm, kt, bb_norm) in enumerate(theta):
        absorbed = xspec("C_wabs", [nh], EDGES)
        expected = {
            "powerlaw": absorbed * pow_norm * xspec("C_powerLaw", [slope], EDGES),
            "gaussian": absorbed * line_norm * xspec("C_gaussianLine", [energy, sigma], EDGES),
            "bbody": absorbed * bb_norm * xspec("xsblbd_", [kt], EDGES),
        }
        np.testing.assert_allclose(
            flux[i, IN_BAND], sum(expected.values())[IN_BAND], rtol=1e-4, atol=1e-40
        )
        for name, value in expected.items():
            # Far in a wing a component is below float32's reach and of no weight in the sum.
            floor = 1e-12 * value.max()
            np.testing.assert_allclose(
                terms[name][i, IN_BAND], value[IN_BAND], rtol=1e-4, atol=floor, err_msg=name
            )


@pytest.mark.parametrize("n_bins", [50, 333])
def test_matches_xspec_on_wide_bins(n_bins, xspec):
    edges = np.geomspace(0.1, 12.0, n_bins + 1)
    for text, symbol, given in [
        ("wabs", "C_wabs", {"nh": 0.2}),
        ("powerlaw", "C_powerLaw", {"slope": 1.0, "pow_norm": 1.0}),
        ("powerlaw", "C_powerLaw", {"slope": 2.7, "pow_norm": 1.0}),
        ("powerlaw", "C_powerLaw", {"slope": -9.0, "pow_norm": 1.0}),
        ("bbody", "xsblbd_", {"kt": 1.5, "bb_norm": 1.0}),
        ("gaussian", "C_gaussianLine", {"line_energy": 1.0, "sigma": 0.3, "line_norm": 1.0}),
    ]:
        got = parse(text)(torch.tensor(edges), given)[0].numpy()
        params = [value for name, value in given.items() if "norm" not in name]
        np.testing.assert_allclose(got, xspec(symbol, params, edges), rtol=1e-4, atol=1e-30)


def test_powerlaw_is_the_closed_form_integral():
    edges = torch.linspace(0.05, 16, 2068, dtype=torch.float64)
    slope = torch.tensor([0.0, 1.0, 1.00001, 2.0, 3.0])
    flux = parse("powerlaw")(edges, {"slope": slope, "pow_norm": torch.tensor(2.0)})
    power = 1 - slope.double()[:, None]
    exact = 2 * torch.where(power == 0, edges.log(), edges**power / power).diff(dim=1)
    assert flux.dtype == torch.float32
    torch.testing.assert_close(flux.double(), exact, rtol=1e-5, atol=0)


def test_gaussian_of_no_width_falls_into_one_bin():
    edges = torch.linspace(1, 10, 91)
    given = {"line_energy": torch.tensor([6.43, 20.0]), "sigma": 0.0, "line_norm": 3.0}
    flux = parse("gaussian")(edges, given)
    assert flux[0].nonzero().flatten().tolist() == [54]
    assert flux[0, 54] == 3.0
    assert flux[1].sum() == 0


def test_gaussian_keeps_its_flux():
    edges = torch.linspace(0.05, 16, 2068)
    energy = torch.linspace(5, 7, 100)
    flux = parse("gaussian")(edges, {"line_energy": energy, "line_norm": 1e-5})
    torch.testing.assert_close(flux.sum(1), torch.full((100,), 1e-5), rtol=1e-5, atol=0)


def test_terms_sum_to_the_model():
    edges, params = torch.tensor(EDGES), columns(draws(70), torch.float64)
    model = parse(MODEL)
    terms = model.terms(edges, params)
    assert list(terms) == ["powerlaw", "gaussian", "bbody"]
    torch.testing.assert_close(sum(terms.values()), model(edges, params))


def test_prepared_model_gives_the_same_as_the_model():
    edges, params = torch.tensor(EDGES), columns(draws(70), torch.float32)
    model = parse(MODEL)
    assert torch.equal(model.on(edges)(params), model(edges, params))


def test_blocks_of_rows_give_the_same_as_one_pass():
    edges, params = torch.tensor(EDGES), columns(draws(70), torch.float64)
    grad = {**params, "nh": params["nh"].requires_grad_()}
    model = parse(MODEL)
    with torch.no_grad():
        blocks = model(edges, params)
    torch.testing.assert_close(blocks, model(edges, grad).detach(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("text", [MODEL])
def test_gradients_are_right_and_finite(text):
    edges = torch.linspace(0.3, 10, 40, dtype=torch.float64)
    model = parse(text)
    theta = torch.tensor(draws(3)[:, : len(PRIOR)])
    theta[:, 4] = 0.3

    def flux(*values: torch.Tensor) -> torch.Tensor:
        return model(edges, dict(zip(PRIOR, values, strict=True)))

    inputs = [theta[:, i].clone().requires_grad_() for i in range(len(PRIOR))]
    assert torch.autograd.gradcheck(flux, inputs, eps=1e-7, atol=1e-5)
    singles = {
        name: value.detach().float().requires_grad_()
        for name, value in zip(PRIOR, inputs, strict=True)
    }
    model(torch.tensor(EDGES), singles).sum().backward()
    assert all(value.grad.isfinite().all() for value in singles.values())


def test_expressions_are_distributed_and_named():
    model = parse("wabs * (powerlaw + wabs * bbody) + powerlaw")
    expected_names = "nh slope pow_norm nh_2 kt bb_norm slope_2 pow_norm_2"
    assert model.parameters == tuple(expected_names.split())
    assert model.term_names == ("powerlaw", "bbody", "powerlaw_2")
    assert str(model) == "wabs * powerlaw + wabs * wabs * bbody + powerlaw"
    edges = torch.linspace(0.3, 10, 100, dtype=torch.float64)
    values = dict(zip(model.parameters, [0.1, 2.0, 1e-3, 0.5, 0.15, 1e-5, 1.5, 1e-4], strict=True))
    one = {name: parse(name) for name in ("wabs", "powerlaw", "bbody")}
    expected = one["wabs"](edges, {"nh": 0.1}) * (
        one["powerlaw"](edges, {"slope": 2.0, "pow_norm": 1e-3})
        + one["wabs"](edges, {"nh": 0.5}) * one["bbody"](edges, {"kt": 0.15, "bb_norm": 1e-5})
    ) + one["powerlaw"](edges, {"slope": 1.5, "pow_norm": 1e-4})
    torch.testing.assert_close(model(edges, values), expected)


def test_operators_build_the_same_as_the_parser():
    parts = {name: parse(name) for name in COMPONENTS}
    model = parts["wabs"] * (parts["powerlaw"] + parts["gaussian"] + parts["bbody"])
    assert str(model) == MODEL == str(parse(str(model)))
    assert str((parts["powerlaw"] + parts["bbody"]) * parts["wabs"]) == "wabs * (powerlaw + bbody)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("powerlaw * bbody", "cannot multiply"),
        ("powerlaw + wabs", "cannot add"),
        ("wabs * apecc", "unknown component 'apecc'"),
        ("wabs * (powerlaw", "not an expression"),
        ("wabs ** 2", "only component names"),
        ("__import__('os').system('true')", "only component names"),
        ("", "not an expression"),
    ],
)
def test_bad_expressions_are_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=message) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_bad_parameters_and_edges_are_refused():
    edges = torch.linspace(0.3, 10, 100)
    for given, message in [
        ({"slope": 2.0}, "missing"),
        ({"slope": 2.0, "pow_norm": 1.0, "norm": 1.0}, "unknown"),
        ({"slope": torch.ones(2), "pow_norm": torch.ones(3)}, "different numbers"),
    ]:
        with pytest.raises(InputError, match=message):
            parse("powerlaw")(edges, given)
    for bad in (edges.flip(0), edges[:1], torch.linspace(0, 1, 3)):
        with pytest.raises(InputError, match="energ"):
            parse("powerlaw")(bad, {"slope": 2.0, "pow_norm": 1.0})
