"""CCD detector model: absorbing layers and energy redistribution.

Shape suffixes: E energy, C channel, C1 channel edges, Q absorption depths, N collected energies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.errors import InputError

Knots = Sequence[tuple[float, float]]
"""(energy in keV, value); an energy given twice is an absorption edge, a jump of the value."""

# Photoelectric mass attenuation in cm^2/g (keV, mu); rounded from the public tables of Henke,
# Gullikson & Davis (1993), Elam et al. (2002) and NIST; compounds by weight of their elements.
_MASS_ATTENUATION: Mapping[str, Knots] = {
    "aluminium": (
        (0.05, 8.5e3), (0.0727, 4.4e3), (0.0728, 1.5e5), (0.10, 1.21e5), (0.15, 8.88e4),
        (0.20, 5.28e4), (0.30, 2.24e4), (0.40, 1.16e4), (0.60, 4320.0), (0.80, 2080.0),
        (1.0, 1180.0), (1.5596, 360.0), (1.5596, 3950.0), (2.0, 2260.0), (3.0, 787.0),
        (5.0, 192.0), (10.0, 25.6), (16.0, 6.1),
    ),
    "polyimide": (
        (0.05, 1.4e5), (0.10, 3.49e4), (0.15, 1.42e4), (0.20, 7320.0), (0.25, 4350.0),
        (0.2842, 3200.0), (0.2842, 3.45e4), (0.35, 2.20e4), (0.4099, 1.56e4), (0.4099, 1.76e4),
        (0.5431, 8900.0), (0.5431, 1.32e4), (0.70, 6820.0), (1.0, 2730.0), (1.5, 886.0),
        (3.0, 118.0), (5.0, 25.0), (10.0, 2.86), (16.0, 0.64),
    ),
    "polypropylene": (
        (0.05, 1.2e5), (0.10, 2.45e4), (0.15, 9740.0), (0.20, 4980.0), (0.25, 2980.0),
        (0.2842, 2190.0), (0.2842, 4.12e4), (0.35, 2.62e4), (0.45, 1.49e4), (0.60, 7260.0),
        (0.80, 3400.0), (1.0, 1890.0), (1.5, 599.0), (3.0, 76.8), (5.0, 16.0), (10.0, 1.78),
        (16.0, 0.39),
    ),
    "tin": (
        (0.05, 2.5e4), (0.10, 5470.0), (0.15, 4580.0), (0.20, 5320.0), (0.25, 4920.0),
        (0.40, 3500.0), (0.4849, 2700.0), (0.55, 8200.0), (0.60, 1.32e4), (0.714, 9400.0),
        (0.714, 9900.0), (0.80, 9240.0), (1.0, 8150.0), (1.5, 3290.0), (2.0, 1660.0),
        (3.929, 311.0), (3.929, 960.0), (4.465, 950.0), (4.465, 1070.0), (6.0, 525.0),
        (10.0, 136.0), (16.0, 38.0),
    ),
    "carbon": (
        (0.05, 1.25e5), (0.10, 2.86e4), (0.15, 1.14e4), (0.20, 5810.0), (0.25, 3480.0),
        (0.2842, 2560.0), (0.2842, 4.80e4), (0.35, 3.06e4), (0.45, 1.74e4), (0.60, 8470.0),
        (0.80, 3970.0), (1.0, 2210.0), (1.5, 700.0), (3.0, 89.6), (5.0, 18.7), (10.0, 2.08),
        (16.0, 0.46),
    ),
}  # fmt: skip

_SILICON_K_KEV = 1.839  # absorption edge
_SILICON_LINE_KEV = 1.740  # fluorescence

# Chance that the silicon K photon leaves the CCD (the escape peak), above the edge.
_ESCAPE: Knots = (
    (1.839, 0.023), (2.5, 0.016), (3.5, 0.012), (5.0, 0.0074), (6.0, 0.0048), (8.0, 0.002),
    (10.0, 0.0009), (16.0, 0.0001),
)  # fmt: skip

# Attenuation length of X-rays in silicon, micrometres, from the same tables.
SILICON_LENGTH: Knots = (
    (0.05, 0.10), (0.10, 0.06), (0.15, 0.06), (0.20, 0.075), (0.30, 0.14), (0.40, 0.28),
    (0.50, 0.46), (0.60, 0.74), (0.80, 1.55), (1.0, 2.73), (1.5, 8.0), (1.839, 13.9),
    (1.839, 1.34), (2.0, 1.55), (3.0, 4.39), (4.0, 9.48), (5.0, 17.5), (6.0, 29.2), (8.0, 66.0),
    (10.0, 127.0), (16.0, 500.0),
)  # fmt: skip

_STEP_KEV = 0.01
_DEPTHS = 200


@dataclass(frozen=True)
class Ccd:
    """Energy redistribution of a CCD: line width, charge loss, shelf.

    A photon absorbed at the depth x under the entrance window has the fraction
    1 - loss exp(-(x / depth)^power) of its charge collected (the model of Popp et al. 1999, SPIE
    3765, 693), and photoelectrons of a thin layer leave any charge, evenly: the low-energy
    shoulder and shelf of every line, and their jump at the Si K edge, follow from the attenuation
    length of silicon. Then come the silicon escape peak and the Gaussian core.

    Attributes:
        channel_edges_C1: keV.
        fwhm: core of the collected energy, (keV, eV).
        loss: fraction of the charge that is lost at the window (keV, fraction).
        depth: depth of the lossy layer, micrometres.
        power: how sharply it ends.
        shelf: depth in micrometres of the layer of the flat shelf, below and above the Si K edge.
    """

    channel_edges_C1: Tensor
    fwhm: Knots
    loss: Knots
    depth: float
    power: float
    shelf: tuple[float, float]

    def redistribution(self, energy_E: Tensor) -> Tensor:
        """Probability of each channel (E, C), float64, for photon energies in keV."""
        edge_Q1 = torch.linspace(0, 6, _DEPTHS + 1, dtype=torch.float64) * self.depth
        middle_Q = (edge_Q1[1:] + edge_Q1[:-1]) / 2
        lost_Q = torch.exp(-((middle_Q / self.depth) ** self.power))
        loss_E = interpolate(
            energy_E.clamp(min=self.loss[0][0], max=self.loss[-1][0]), self.loss, log=False
        )
        kept_EQ = 1 - loss_E[:, None] * lost_Q
        length_E1 = interpolate(energy_E, SILICON_LENGTH)[:, None]
        share_EQ = -torch.exp(-edge_Q1 / length_E1).diff(dim=1)
        share_EQ[:, -1] += torch.exp(-edge_Q1[-1] / length_E1[:, 0])  # all that goes deeper

        is_above_E = energy_E >= _SILICON_K_KEV
        layer_E = torch.where(is_above_E, self.shelf[1], self.shelf[0])
        shelf_E = -torch.expm1(-layer_E / length_E1[:, 0])
        escape_E = torch.where(is_above_E, interpolate(energy_E, _ESCAPE), 0.0)
        escaped_E = (energy_E - _SILICON_LINE_KEV).clamp(min=0)

        collected = _Histogram(energy_E)
        collected.add(energy_E[:, None] * kept_EQ, share_EQ * (1 - shelf_E - escape_E)[:, None])
        collected.add(escaped_E[:, None], escape_E[:, None])
        even_Q = (torch.arange(_DEPTHS, dtype=torch.float64) + 0.5) / _DEPTHS
        collected.add(energy_E[:, None] * even_Q, (shelf_E / _DEPTHS)[:, None].expand(-1, _DEPTHS))

        collected_N = torch.arange(collected.n, dtype=torch.float64) * _STEP_KEV
        sigma_N = interpolate(collected_N.clamp(min=self.fwhm[0][0]), self.fwhm, log=False) / 2354.8
        edge_NC1 = (self.channel_edges_C1 - collected_N[:, None]) / sigma_N[:, None]
        blur_NC: Tensor = torch.special.ndtr(edge_NC1).diff(dim=1)
        return collected.share_EN @ blur_NC


class _Histogram:
    """Shares of collected energies on a fine grid, keeping the mean of each contribution."""

    def __init__(self, energy_E: Tensor) -> None:
        self.n = int(float(energy_E.max()) / _STEP_KEV) + 3
        self.share_EN = energy_E.new_zeros(len(energy_E), self.n)

    def add(self, collected_EQ: Tensor, share_EQ: Tensor) -> None:
        """Split each share between the two grid energies around it."""
        position_EQ = collected_EQ / _STEP_KEV
        lower_EQ = position_EQ.floor().long()
        upper_share_EQ = position_EQ - lower_EQ
        self.share_EN.scatter_add_(1, lower_EQ, share_EQ * (1 - upper_share_EQ))
        self.share_EN.scatter_add_(1, lower_EQ + 1, share_EQ * upper_share_EQ)


def interpolate(energy_E: Tensor, knots: Knots, log: bool = True) -> Tensor:
    """Value of a knotted curve at energies in keV; straight in log-log, or linear.

    Beyond the knots the outermost line goes on. Exactly at an edge the value is that above it.
    """
    table = torch.tensor(knots, dtype=torch.float64)
    x, y = (table.log() if log else table).T.contiguous()
    at = energy_E.log() if log else energy_E
    right = torch.searchsorted(x, at.contiguous(), right=True).clamp(1, len(x) - 1)
    right = torch.where(x[right] == x[right - 1], right + 1, right).clamp(max=len(x) - 1)
    left = right - 1
    value: Tensor = y[left] + (at - x[left]) * (y[right] - y[left]) / (x[right] - x[left])
    return value.exp() if log else value


def transmission(energy_E: Tensor, layers: Mapping[str, float]) -> Tensor:
    """Fraction of photons that passes layers of given thickness.

    Args:
        energy_E: keV.
        layers: g/cm^2 of each material; negative removes a layer.
    """
    unknown = set(layers) - set(_MASS_ATTENUATION)
    if unknown:
        raise InputError(f"unknown material {sorted(unknown)}; known: {list(_MASS_ATTENUATION)}")
    depth_E = torch.zeros_like(energy_E)
    for material, column in layers.items():
        depth_E += column * interpolate(energy_E, _MASS_ATTENUATION[material])
    return torch.exp(-depth_E)


def energy_grid(pieces: Sequence[tuple[float, float]], end: float) -> Tensor:
    """Edges in keV from (start, width) pieces up to `end`, float64."""
    stops = [start for start, _ in pieces[1:]] + [end]
    edges = [
        start + width * torch.arange(round((stop - start) / width), dtype=torch.float64)
        for (start, width), stop in zip(pieces, stops, strict=True)
    ]
    return torch.cat([*edges, torch.tensor([end], dtype=torch.float64)])
