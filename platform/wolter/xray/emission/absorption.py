"""Photoelectric absorption by interstellar gas: the factors exp(-N_H sigma(E)).

Shape suffixes: B batch, E energy bin, E1 its edges (E + 1), S special bins, Q their points,
A grain radii.
"""

import math

import torch
from torch import Tensor

from wolter.xray.emission import photoionization
from wolter.xray.emission.expression import Component, Evaluate, Grid, Quantity

# Morrison & McCammon (1983, ApJ 270, 119), table 2: sigma(E) = (c0 + c1 E + c2 E^2) / E^3 in units
# of 1e-24 cm^2 per hydrogen atom, E in keV, from each lower energy to the next. Past their table
# (10 keV) the cross section goes on as E^-3.
_MORRISON_MCCAMMON = (
    (0.030, 17.3, 608.1, -2150.0),
    (0.100, 34.6, 267.9, -476.1),
    (0.284, 78.1, 18.8, 4.3),
    (0.400, 71.4, 66.8, -51.4),
    (0.532, 95.5, 145.8, -61.1),
    (0.707, 308.9, -380.6, 294.0),
    (0.867, 120.6, 169.3, -47.7),
    (1.303, 141.3, 146.8, -31.5),
    (1.840, 202.7, 104.7, -17.0),
    (2.471, 342.7, 18.7, 0.0),
    (3.210, 352.2, 18.7, 0.0),
    (4.038, 433.9, -2.4, 0.75),
    (7.111, 629.0, 30.9, 0.0),
    (8.331, 701.2, 25.2, 0.0),
    (10.00, 953.2, 0.0, 0.0),
)

_NUDGE = 1e-9  # relative, to either side of an absorption edge
_OPAQUE = 50.0  # optical depth beyond which XSPEC's wabs lets nothing through


def wabs_cross_section(energy_E: Tensor) -> Tensor:
    """Morrison & McCammon (1983), 1e-22 cm^2 per hydrogen atom; energies in keV, float64."""
    table = torch.tensor(_MORRISON_MCCAMMON, dtype=torch.float64, device=energy_E.device)
    interval_E = torch.searchsorted(table[:, 0].contiguous(), energy_E, right=True) - 1
    c0, c1, c2 = table[interval_E.clamp(min=0), 1:].unbind(-1)
    return (c0 + c1 * energy_E + c2 * energy_E**2) / energy_E**3 * 1e-2


def transmission(minus_depth: Tensor, opaque: float) -> Tensor:
    """exp(minus the optical depth), and 0 beyond a depth of `opaque`."""
    return torch.threshold(minus_depth, -opaque, -torch.inf).exp_()


def _prepare_wabs(grid: Grid) -> Evaluate:
    """Mean transmission over each bin by the trapezoid rule between absorption edges, as XSPEC."""
    edges_E1 = grid.edges_E1
    jumps = torch.tensor([row[0] for row in _MORRISON_MCCAMMON], dtype=torch.float64)
    inside = jumps.to(edges_E1.device)
    inside = inside[(inside >= edges_E1[0]) & (inside <= edges_E1[-1])]
    # Bins that hold or touch a jump: the trapezoid of each piece, with one-sided limits.
    special = torch.zeros(len(edges_E1) - 1, dtype=torch.bool, device=edges_E1.device)
    for side in (True, False):
        bins = torch.searchsorted(edges_E1, inside, right=side) - 1
        special[bins[(bins >= 0) & (bins < len(special))]] = True
    points = torch.cat([edges_E1, inside]).sort().values
    low, high = points[:-1], points[1:]
    bin_of_piece = (torch.searchsorted(edges_E1, low, right=True) - 1).clamp(max=len(special) - 1)
    piece = special[bin_of_piece] & (high > low)
    low, high, bin_of_piece = low[piece], high[piece], bin_of_piece[piece]
    special_S = special.nonzero()[:, 0]
    share = (high - low) / edges_E1.diff()[bin_of_piece] / 2
    weight_QS = torch.cat([share, share])[:, None] * (bin_of_piece.repeat(2)[:, None] == special_S)
    limits_Q = torch.cat([low * (1 + _NUDGE), high * (1 - _NUDGE)])

    minus_sigma_E1 = grid.cast(-wabs_cross_section(edges_E1))
    minus_limits_Q = grid.cast(-wabs_cross_section(limits_Q))
    weight_QS = grid.cast(weight_QS)

    def evaluate(nh_B1: Tensor) -> Tensor:
        edge_BE1 = transmission(nh_B1 * minus_sigma_E1, _OPAQUE)
        factor_BE = torch.lerp(edge_BE1[:, :-1], edge_BE1[:, 1:], 0.5)
        factor_BE[:, special_S] = transmission(nh_B1 * minus_limits_Q, _OPAQUE) @ weight_QS
        return factor_BE

    return evaluate


_COLUMN = {"nh": Quantity("1e22 cm^-2", (0.01, 10.0), logarithmic=True)}

WABS = Component("wabs", ("nh",), additive=False, prepare=_prepare_wabs, quantities=_COLUMN)
"""Absorption of Morrison & McCammon (1983), abundances included; nh in 1e22 cm^-2. XSPEC's wabs."""


# Wilms, Allen & McCray (2000, ApJ 542, 914), table 2: abundance per hydrogen nucleus, fraction in
# the gas phase (the rest is in grains), atomic weight.
_INTERSTELLAR = {
    2: (9.77e-2, 1.0, 4.003),
    6: (2.40e-4, 0.5, 12.011),
    7: (7.59e-5, 1.0, 14.007),
    8: (4.90e-4, 0.6, 15.999),
    10: (8.71e-5, 1.0, 20.180),
    11: (1.45e-6, 0.25, 22.990),
    12: (2.51e-5, 0.2, 24.305),
    13: (2.14e-6, 0.02, 26.982),
    14: (1.86e-5, 0.1, 28.086),
    16: (1.23e-5, 0.6, 32.065),
    17: (1.32e-7, 0.5, 35.453),
    18: (2.57e-6, 1.0, 39.948),
    20: (1.58e-6, 0.003, 40.078),
    24: (3.24e-7, 0.03, 51.996),
    26: (2.69e-5, 0.3, 55.847),
    27: (8.32e-8, 0.05, 58.933),
    28: (1.12e-6, 0.04, 58.693),
}
_MOLECULAR = 0.2  # of the hydrogen nuclei
_GRAIN_RADII_CM = (0.025e-4, 0.25e-4)  # with numbers falling as radius^-3.5
# 1 g/cm^3; the last digits stand for the atomic masses that XSPEC rounds.
_GRAIN_DENSITY = 1.0008 / 1.66054e-24


def tbabs_cross_section(edges_E1: Tensor) -> Tensor:
    """Interstellar gas, molecules and grains, 1e-22 cm^2 per hydrogen nucleus, in each bin.

    Wilms, Allen & McCray (2000), with their abundances and depletions. Grains of radius a, of mean
    chord 4a/3, shield their own atoms. Atomic cross sections are the mean of those at the two edges
    of a bin, as in XSPEC.

    Args:
        edges_E1: keV, float64, above 0.1.
    """

    def mean(at_edges_E1: Tensor) -> Tensor:
        return (at_edges_E1[1:] + at_edges_E1[:-1]) / 2

    edges_E1 = edges_E1 * 1e3
    hydrogen_E = mean(photoionization.atom(1, edges_E1))
    molecule_E = mean(photoionization.hydrogen_molecule(edges_E1))
    gas_E = (1 - _MOLECULAR) * hydrogen_E + _MOLECULAR / 2 * molecule_E
    solid_E = torch.zeros_like(gas_E)
    atoms = weight = 0.0
    for element, (abundance, in_gas, mass) in _INTERSTELLAR.items():
        sigma_E = mean(photoionization.atom(element, edges_E1))
        gas_E = gas_E + abundance * in_gas * sigma_E
        in_solid = abundance * (1 - in_gas)
        solid_E = solid_E + in_solid * sigma_E
        atoms, weight = atoms + in_solid, weight + in_solid * mass

    # Mean over the grains' mass of (1 - exp(-depth)) / depth.
    low, high = (math.log(radius) for radius in _GRAIN_RADII_CM)
    radius_A = torch.linspace(low, high, 100, dtype=torch.float64, device=gas_E.device).exp()
    mass_A = torch.sqrt(radius_A)  # radius^3 x radius^-3.5 x d ln(radius)
    mass_A[[0, -1]] *= 0.5
    per_volume = _GRAIN_DENSITY * atoms / weight
    depth_EA = 4 / 3 * radius_A * per_volume * (solid_E / atoms * 1e-18)[:, None]
    shield_E = (mass_A * -torch.expm1(-depth_EA) / depth_EA).sum(1) / mass_A.sum()
    return (gas_E + solid_E * shield_E) * 1e4


def _prepare_tbabs(grid: Grid) -> Evaluate:
    minus_sigma_E = grid.cast(-tbabs_cross_section(grid.edges_E1))
    # Beyond, float32 products would be denormal numbers, which are slow to compute with.
    opaque = 70.0 if grid.dtype == torch.float32 else 700.0

    def evaluate(nh_B1: Tensor) -> Tensor:
        return transmission(nh_B1 * minus_sigma_E, opaque)

    return evaluate


TBABS = Component("tbabs", ("nh",), additive=False, prepare=_prepare_tbabs, quantities=_COLUMN)
"""Absorption of Wilms, Allen & McCray (2000), with their abundances; nh in 1e22 cm^-2.

XSPEC's tbabs after `abund wilm`, to 1e-4 in every bin of 0.2-12 keV.
"""
