"""Emission models of X-ray astronomy, integrated over energy bins and differentiable.

    model = parse("wabs * (powerlaw + gaussian + bbody)")
    flux_BE = model(energy_edges_E1, {"nh": nh_B, "slope": slope_B, ...})

Names, parameters and conventions are XSPEC's. Energies are in keV, nh in 1e22 cm^-2, fluxes in
photons cm^-2 s^-1 per bin. Shape suffixes: B batch, E energy bin, E1 its edges (E + 1).
"""

import ast

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.absorption import WABS
from wolter.xray.expression import Component, Evaluate, Expression, Grid, PreparedModel

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
    u2_E = grid.cast(half_width_E**2)
    widest = float(half_width_E.max())

    def evaluate(slope_B1: Tensor, norm_B1: Tensor) -> Tensor:
        a_B1 = 1 - slope_B1
        log_flux_BE = torch.addcmul(log_width_E, a_B1, log_centre_E)
        if widest * float(a_B1.detach().abs().max()) < 0.3:
            # log(sinh(x)/x) = x^2/6 - x^4/180 + ...; the next term is below 3e-7
            curve_E = u2_E / 6 if widest * float(a_B1.detach().abs().max()) < 0.1 else None
            a2_B1 = a_B1 * a_B1
            if curve_E is not None:
                log_flux_BE = torch.addcmul(log_flux_BE, a2_B1, curve_E)
            else:
                x2_BE = a2_B1 * u2_E
                log_flux_BE = log_flux_BE + x2_BE * (1 / 6 - x2_BE / 180)
        else:
            x_BE = (a_B1 * u2_E.sqrt()).abs().clamp(min=1e-4)
            log_flux_BE = log_flux_BE + x_BE + torch.log(-torch.expm1(-2 * x_BE) / (2 * x_BE))
        return norm_B1 * torch.exp(log_flux_BE)

    return evaluate


def _prepare_gaussian(grid: Grid) -> Evaluate:
    """Integral of a normal profile of the given width (keV) over each bin; width 0: one bin."""
    edges_E1 = grid.edges_E1
    n = len(edges_E1) - 1

    def evaluate(energy_B1: Tensor, sigma_B1: Tensor, norm_B1: Tensor) -> Tensor:
        sigma_B1 = sigma_B1.clamp(min=1e-6)
        reach_B1 = 5.7 * sigma_B1.detach()
        span = torch.stack([(energy_B1 - reach_B1).min(), (energy_B1 + reach_B1).max()]).detach()
        first, last = (
            torch.searchsorted(edges_E1, span.double()) + span.new_tensor([-1, 0])
        ).tolist()
        first, last = max(int(first), 0), min(int(last), n)
        if last <= first:
            return norm_B1 * edges_E1.new_zeros(n, dtype=grid.dtype)
        # Energies from the window's middle, so that float32 keeps the bin widths exact enough.
        middle = float(span.double().mean())
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
        return torch.nn.functional.pad(norm_B1 / 2 * share_BW, (first, n - last))

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
        small_BE1 = torch.exp((energy_E1 * (-1 / kt_B1)).clamp(min=-max_exponent))
        density_BE1 = square_E1 * small_BE1 / (1 - small_BE1)
        pairs_BE = density_BE1[:, :-1] + density_BE1[:, 1:]
        return pairs_BE * weight_E * (norm_B1 / kt_B1**4)

    return evaluate


COMPONENTS: dict[str, Component] = {
    component.name: component
    for component in (
        WABS,
        Component("powerlaw", ("slope", "pow_norm"), True, _prepare_powerlaw),
        Component(
            "gaussian",
            ("line_energy", "sigma", "line_norm"),
            True,
            _prepare_gaussian,
            defaults={"sigma": 0.1},
        ),
        Component("bbody", ("kt", "bb_norm"), True, _prepare_bbody),
    )
}
"""The built-in components by name."""


def parse(text: str) -> Expression:
    """Read a model expression such as `wabs * (powerlaw + gaussian + bbody)`.

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
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _build(left, text) * _build(right, text)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _build(left, text) + _build(right, text)
        case _:
            raise InputError(
                f"'{ast.unparse(node)}' in model '{text}': only component names, '*', '+' and "
                "brackets are allowed"
            )
