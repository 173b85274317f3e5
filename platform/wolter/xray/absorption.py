"""Photoelectric absorption by interstellar gas: the factors exp(-N_H sigma(E)).

Shape suffixes: B batch, E energy bin, E1 its edges (E + 1), S special bins, Q their points.
"""

import torch
from torch import Tensor

from wolter.xray.expression import Component, Evaluate, Grid

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

# XSPEC lets nothing (less than 2e-22) through beyond this optical depth; it also keeps float32
# products from becoming denormal numbers, which are slow to compute with.
_OPAQUE = 50.0


def wabs_cross_section(energy_E: Tensor, interval_E: Tensor) -> Tensor:
    """Morrison & McCammon (1983) cross section in 1e-22 cm^2 per hydrogen atom.

    Args:
        energy_E: keV, float64.
        interval_E: index of the interval of the published table to use (its one-sided limit
            matters at an absorption edge).
    """
    table = torch.tensor(_MORRISON_MCCAMMON, dtype=torch.float64, device=energy_E.device)
    c0, c1, c2 = table[interval_E, 1:].unbind(-1)
    return (c0 + c1 * energy_E + c2 * energy_E**2) / energy_E**3 * 1e-2


def transmission(minus_depth: Tensor) -> Tensor:
    """exp(minus the optical depth), and 0 beyond a depth of 50 as in XSPEC."""
    return torch.threshold(minus_depth, -_OPAQUE, -torch.inf).exp_()


def _prepare_wabs(grid: Grid) -> Evaluate:
    """Mean transmission over each bin by the trapezoid rule between absorption edges, as XSPEC."""
    edges_E1 = grid.edges_E1
    breaks = torch.tensor(
        [row[0] for row in _MORRISON_MCCAMMON], dtype=torch.float64, device=edges_E1.device
    )

    def interval(energy: Tensor, right: bool) -> Tensor:
        return (torch.searchsorted(breaks, energy, right=right) - 1).clamp(min=0)

    # Bins that hold an absorption edge: the trapezoid of each piece, with one-sided limits.
    inside = breaks[(breaks >= edges_E1[0]) & (breaks <= edges_E1[-1])]
    points = torch.cat([edges_E1, inside]).sort().values
    points = points[torch.cat([points.diff() > 0, points.new_ones(1) > 0])]
    low, high = points[:-1], points[1:]
    special = torch.zeros(len(edges_E1) - 1, dtype=torch.bool, device=edges_E1.device)
    for side in (True, False):
        bins = torch.searchsorted(edges_E1, inside, right=side) - 1
        special[bins[(bins >= 0) & (bins < len(special))]] = True
    bin_of_piece = torch.searchsorted(edges_E1, low, right=True) - 1
    piece = special[bin_of_piece]
    low, high, bin_of_piece = low[piece], high[piece], bin_of_piece[piece]
    special_S = special.nonzero()[:, 0]
    share = (high - low) / edges_E1.diff()[bin_of_piece] / 2
    weight_QS = torch.cat([share, share])[:, None] * (bin_of_piece.repeat(2)[:, None] == special_S)
    special_sigma_Q = torch.cat(
        [
            wabs_cross_section(low, interval(low, True)),
            wabs_cross_section(high, interval(high, False)),
        ]
    )

    minus_sigma_E1 = grid.cast(-wabs_cross_section(edges_E1, interval(edges_E1, True)))
    minus_special_Q, weight_QS = grid.cast(-special_sigma_Q), grid.cast(weight_QS)

    def evaluate(nh_B1: Tensor) -> Tensor:
        edge_BE1 = transmission(nh_B1 * minus_sigma_E1)
        factor_BE = torch.lerp(edge_BE1[:, :-1], edge_BE1[:, 1:], 0.5)
        factor_BE[:, special_S] = transmission(nh_B1 * minus_special_Q) @ weight_QS
        return factor_BE

    return evaluate


WABS = Component("wabs", ("nh",), additive=False, prepare=_prepare_wabs)
"""Absorption of Morrison & McCammon (1983), abundances included; nh in 1e22 cm^-2. XSPEC's wabs."""
