"""Backgrounds of point sources: realistic ones, drawn about an instrument's levels.

Shape suffixes: B batch of backgrounds, E photon energy, C channel, L lines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.xray.emission.components import parse
from wolter.xray.spectral.response import Response

_STERADIAN = 60.0**-2 * (torch.pi / 180) ** 2  # per square arcminute
_SKY = parse("wabs * (powerlaw + gaussian + gaussian)")


@dataclass(frozen=True)
class BackgroundLevels:
    """Background of one detector per square arcminute of sky.

    Attributes:
        continuum: continuum of cosmic-ray particles at 6 keV, counts/s/keV; its photon index.
        protons: range of the soft-proton continuum at 1 keV, counts/s/keV.
        lines: fluorescence of the detector and its housing (keV, counts/s).
        noise: electronic noise at 0.2 keV, counts/s/keV.
        region_arcmin2: usual range of the source region.
        board_kev: lines beyond this energy come from a board behind the detector, whose image has
            a hole in the middle; none do by default.
    """

    continuum: tuple[float, float]
    protons: tuple[float, float]
    lines: Sequence[tuple[float, float]]
    noise: float
    region_arcmin2: tuple[float, float]
    board_kev: float = math.inf


def draw_backgrounds(
    levels: BackgroundLevels,
    response: Response,
    n: int,
    generator: torch.Generator,
    region_arcmin2: tuple[float, float] | None = None,
) -> Tensor:
    """Draw realistic backgrounds of a point source.

    Each is the sum, with random amplitudes and shapes, of the continuum of cosmic-ray particles, a
    broken power law of soft protons (neither focused, so neither folded through the area),
    instrumental fluorescence lines, low-energy noise, and the sky: the cosmic X-ray background
    (photon index 1.4, Galactic absorption) and the soft emission of the Local Bubble and Galactic
    halo (continuum and oxygen lines), folded through the response.

    Args:
        levels: levels of the instrument's background.
        response: response of the same instrument.
        n: number of backgrounds.
        generator: random state; the draws depend on nothing else.
        region_arcmin2: log-uniform range of the area of the source region; default: what is usual
            for the instrument.

    Returns:
        rate_BC, expected counts/s in the source region in every channel, float64.
    """
    draw = _Draw(n, generator)
    low, high = region_arcmin2 or levels.region_arcmin2
    region_B1 = draw.log_uniform(low, high)
    rate_BC = _particles(response, levels, draw) + _lines(response, levels, draw)
    return (rate_BC + _sky(response, draw)) * region_B1


class _Draw:
    """Independent random columns (B, 1)."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n, self.generator = n, generator

    def uniform(self, low: float, high: float) -> Tensor:
        unit_B1 = torch.rand(self.n, 1, generator=self.generator, dtype=torch.float64)
        return low + (high - low) * unit_B1

    def log_uniform(self, low: float, high: float) -> Tensor:
        return low * (high / low) ** self.uniform(0, 1)

    def log_normal(self, median: float, sigma: float, columns: int = 1) -> Tensor:
        normal = torch.randn(self.n, columns, generator=self.generator, dtype=torch.float64)
        return median * torch.exp(sigma * normal)


def _particles(response: Response, levels: BackgroundLevels, draw: _Draw) -> Tensor:
    """Cosmic rays, soft protons and noise, counts/s/arcmin^2 in each channel."""
    edges_C1 = response.channel_edges_C1.double()
    energy_C = ((edges_C1[1:] + edges_C1[:-1]) / 2).clamp(min=0.05)
    level, index = levels.continuum
    rays_BC = draw.log_normal(level, 0.2) * (energy_C / 6) ** -(index + draw.uniform(-0.1, 0.1))
    index_B1, break_B1 = draw.uniform(0.3, 0.9), draw.uniform(3.0, 7.0)
    steeper_BC = draw.uniform(0.3, 1.2) * torch.log(energy_C / break_B1).clamp(min=0)
    protons_BC = draw.log_uniform(*levels.protons) * energy_C**-index_B1
    noise_BC = draw.log_normal(levels.noise, 0.7) * torch.exp((0.2 - energy_C) / 0.035)
    return (rays_BC + protons_BC * torch.exp(-steeper_BC) + noise_BC) * edges_C1.diff()


def _lines(response: Response, levels: BackgroundLevels, draw: _Draw) -> Tensor:
    """Fluorescence, with the line shape of the response; counts/s/arcmin^2 in each channel.

    Amplitudes vary together by 30 %, one by one by 20 %; those of a board with a hole by much more.
    """
    line = torch.tensor(levels.lines, dtype=torch.float64)
    energy_L, level_L = line[:, 0].contiguous(), line[:, 1]
    matrix_EC = response.matrix_EC
    row = torch.searchsorted(response.energy_edges_E1, energy_L) - 1
    inside = (row >= 0) & (row < len(matrix_EC))
    shape_LC = matrix_EC[row[inside]].double()
    shape_LC = shape_LC / shape_LC.sum(1, keepdim=True).clamp(min=1e-30)
    amplitude_BL = draw.log_normal(1.0, 0.3) * draw.log_normal(1.0, 0.2, len(line)) * level_L
    hole_B1 = draw.uniform(0.1, 1.3)
    board_L = energy_L > levels.board_kev
    amplitude_BL = torch.where(board_L, amplitude_BL * hole_B1, amplitude_BL)
    return amplitude_BL[:, inside] @ shape_LC


def _sky(response: Response, draw: _Draw) -> Tensor:
    """Cosmic background and soft diffuse emission, counts/s/arcmin^2 in each channel."""
    edges_E1 = response.energy_edges_E1
    energy_E = (edges_E1[1:] + edges_E1[:-1]) / 2
    focused_BE = _SKY(
        edges_E1,
        {
            "nh": draw.log_uniform(0.01, 0.1)[:, 0],
            "slope": draw.uniform(1.35, 1.5)[:, 0],
            # 10.5 photons/cm^2/s/sr/keV at 1 keV, less what is resolved into sources
            "pow_norm": 10.5 * _STERADIAN * draw.uniform(0.5, 1.2)[:, 0],
            "line_energy": 0.569,  # O VII
            "sigma": 0.005,
            "line_norm": _STERADIAN * draw.log_uniform(3, 15)[:, 0],
            "line_energy_2": 0.654,  # O VIII
            "sigma_2": 0.005,
            "line_norm_2": _STERADIAN * draw.log_uniform(0.7, 5)[:, 0],
        },
    )
    thermal_BE = draw.log_normal(5e-6, 0.4) * torch.exp((0.4 - energy_E) / draw.uniform(0.1, 0.2))
    flux_BE = focused_BE + thermal_BE * edges_E1.diff()
    return response.fold(flux_BE).double()
