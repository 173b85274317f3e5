"""Emission models of X-ray astronomy, integrated over energy bins and differentiable.

    model = parse("wabs * (powerlaw + gaussian + bbody)")
    flux_BE = model(energy_edges_E1, {"nh": nh_B, "slope": slope_B, ...})

Names, parameters and conventions are XSPEC's. Energies are in keV, nh in 1e22 cm^-2, fluxes in
photons cm^-2 s^-1 per bin. Shape suffixes: B batch, E energy bin, E1 its edges (E + 1).
"""

import ast
from bisect import bisect

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.emission.absorption import TBABS, WABS
from wolter.xray.emission.expression import (
    Component,
    Evaluate,
    Expression,
    Grid,
    PreparedModel,
    Quantity,
)
from wolter.xray.emission.plasma import PLASMA
from wolter.xray.emission.thermal import BREMSS, DISKBB
from wolter.xray.emission.xspec import xspec

__all__ = ["COMPONENTS", "Component", "Expression", "PreparedModel", "parse"]

# Exponents below this give float32 numbers too small to mean anything and slow to compute with.
_MAX_EXPONENT = {torch.float32: 70.0, torch.float64: 700.0}


def _prepare_powerlaw(grid: Grid) -> Evaluate:
    """Integral of norm E^-slope over each bin.

    With g the geometric centre and u half the log width of a bin, the integral of E^-slope is
    g^a 2u sinh(a u)/(a u), a = 1 - slope: free of cancellation, with no special case at slope 1.
    """
    log_E1 = grid.edges_E1.log()
    log_centre_E = grid.cast((log_E1[1:] + log_E1[:-1]) / 2)
    half_width_E = log_E1.diff() / 2
    log_width_E = grid.cast((2 * half_width_E).log())
    half_width_E = grid.cast(half_width_E)
    curvature_E = half_width_E**2 / 6
    widest = float(half_width_E.max())

    def evaluate(slope_B1: Tensor, norm_B1: Tensor) -> Tensor:
        a_B1 = 1 - slope_B1
        log_flux_BE = torch.addcmul(log_width_E, a_B1, log_centre_E)
        if widest * float(a_B1.detach().abs().max()) < 0.2:
            # log(sinh(x)/x) = x^2/6 - x^4/180 + ...: the next term is below 1e-5
            log_flux_BE = torch.addcmul(log_flux_BE, a_B1**2, curvature_E)
        else:
            x_BE = (a_B1 * half_width_E).abs().clamp(min=1e-3)
            log_flux_BE = log_flux_BE + x_BE + torch.log(-torch.expm1(-2 * x_BE) / (2 * x_BE))
        return norm_B1 * log_flux_BE.exp_()

    return evaluate


def _prepare_gaussian(grid: Grid) -> Evaluate:
    """Integral of a normal profile over each bin; its norm is the flux above 0 keV, as XSPEC's.

    A line of no width falls into one bin.
    """
    edges_E1 = grid.edges_E1
    n = len(edges_E1) - 1
    sorted_edges = edges_E1.tolist()

    def evaluate(energy_B1: Tensor, sigma_B1: Tensor, norm_B1: Tensor) -> Tensor:
        sigma_B1 = sigma_B1.clamp(min=1e-6)
        # Only the bins within reach of a line of the batch are computed.
        reach = 5.7 * float(sigma_B1.detach().max())
        centre_B1 = energy_B1.detach()
        lowest, highest = float(centre_B1.min()) - reach, float(centre_B1.max()) + reach
        first = max(bisect(sorted_edges, lowest) - 1, 0)
        last = min(bisect(sorted_edges, highest), n)
        if last <= first:
            return norm_B1 * edges_E1.new_zeros(n, dtype=grid.dtype)
        # Energies from the window's middle, so that float32 keeps the bin widths exact enough.
        middle = (lowest + highest) / 2
        offset_W = grid.cast(edges_E1[first : last + 1] - middle)
        z_BW = (offset_W - (energy_B1 - middle)) / (sigma_B1 * 2**0.5)
        # Probability outside +-z, accurate far from the centre; like XSPEC, the last 1e-8 of each
        # wing goes into one bin.
        tail_BW = torch.threshold(torch.erfc(z_BW.abs()), 2e-8, 0.0)
        z_low, z_high = z_BW[:, :-1], z_BW[:, 1:]
        low, high = tail_BW[:, :-1], tail_BW[:, 1:]
        share_BW = torch.where(
            z_low >= 0, low - high, torch.where(z_high <= 0, high - low, 2 - low - high)
        )
        above_zero_B1 = torch.erfc(energy_B1 / sigma_B1 * -(0.5**0.5))  # twice the part at E > 0
        return torch.nn.functional.pad(norm_B1 / above_zero_B1 * share_BW, (first, n - last))

    return evaluate


def _prepare_bbody(grid: Grid) -> Evaluate:
    """8.0525 norm E^2 / (kt^4 (exp(E/kt) - 1)), trapezoid rule over each bin, as XSPEC's.

    The norm is L39 / D10^2: luminosity in 1e39 erg/s over the squared distance in 10 kpc.
    """
    edges_E1 = grid.edges_E1
    energy_E1 = grid.cast(edges_E1)
    square_E1 = grid.cast(edges_E1**2)
    weight_E = grid.cast(8.0525 / 2 * edges_E1.diff())
    max_exponent = _MAX_EXPONENT.get(grid.dtype, 70.0)

    def evaluate(kt_B1: Tensor, norm_B1: Tensor) -> Tensor:
        exponent_BE1 = (energy_E1 * (1 / kt_B1)).clamp(max=max_exponent)
        density_BE1 = square_E1 / exponent_BE1.expm1_()
        pairs_BE = density_BE1[:, :-1] + density_BE1[:, 1:]
        return pairs_BE.mul_(weight_E) * (norm_B1 / kt_B1**4)

    return evaluate


COMPONENTS: dict[str, Component] = {
    component.name: component
    for component in (
        WABS,
        TBABS,
        Component(
            "powerlaw",
            ("slope", "pow_norm"),
            True,
            _prepare_powerlaw,
            quantities={
                "slope": Quantity("", (1.0, 4.0)),
                "pow_norm": Quantity(
                    "photon keV^-1 cm^-2 s^-1 at 1 keV", (1e-6, 1e-2), logarithmic=True
                ),
            },
        ),
        Component(
            "gaussian",
            ("line_energy", "sigma", "line_norm"),
            True,
            _prepare_gaussian,
            defaults={"sigma": 0.1},
            quantities={
                "line_energy": Quantity("keV", (5.0, 7.0)),
                "sigma": Quantity("keV", (0.01, 1.0), logarithmic=True),
                "line_norm": Quantity("photon cm^-2 s^-1", (1e-7, 1e-4), logarithmic=True),
            },
        ),
        Component(
            "bbody",
            ("kt", "bb_norm"),
            True,
            _prepare_bbody,
            quantities={
                "kt": Quantity("keV", (0.05, 2.0), logarithmic=True),
                "bb_norm": Quantity("1e39 erg s^-1 (10 kpc)^-2", (1e-7, 1e-3), logarithmic=True),
            },
        ),
        DISKBB,
        BREMSS,
        PLASMA,
    )
}
"""The built-in components by name."""


def parse(text: str) -> Expression:
    """Read a model expression such as `wabs * (powerlaw + gaussian + bbody)`.

    `xspec("name")` stands for any XSPEC model where the package xspectrampoline is installed.

    Raises:
        InputError: a syntax error, an unknown component, or a sum or product without meaning.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise InputError(f"model '{text}' is not an expression: {error.msg}") from None
    return _build(tree.body, text)


def _build(node: ast.expr, text: str) -> Expression:
    match node:
        case ast.Name(id=name):
            if name not in COMPONENTS:
                raise InputError(
                    f"unknown component '{name}' in model '{text}'; known: {', '.join(COMPONENTS)}"
                )
            return Expression.single(COMPONENTS[name])
        case ast.Call(func=ast.Name(id="xspec"), args=[ast.Constant(value=str(name))], keywords=[]):
            return xspec(name)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _build(left, text) * _build(right, text)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _build(left, text) + _build(right, text)
        case _:
            raise InputError(
                f"'{ast.unparse(node)}' in model '{text}': only component names, '*', '+', "
                'brackets and xspec("name") are allowed'
            )
