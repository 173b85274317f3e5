"""Backgrounds of point sources: a family of realistic ones, and estimates from observed ones.

Shape suffixes: B batch of backgrounds, E photon energy, C channel, L lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.emission.components import parse
from wolter.xray.spectral.response import Response

_STERADIAN = 60.0**-2 * (torch.pi / 180) ** 2  # per square arcminute
_SKY = parse("wabs * (powerlaw + gaussian + gaussian)")


@dataclass(frozen=True)
class _Instrument:
    """Background of one detector per square arcminute of sky.

    Attributes:
        continuum: of cosmic-ray particles at 6 keV, counts/s/keV; its photon index.
        protons: range of the soft-proton continuum at 1 keV, counts/s/keV.
        lines: fluorescence of the detector and its housing (keV, counts/s).
        noise: electronic noise at 0.2 keV, counts/s/keV.
        region: usual range of the source region, arcmin^2.
    """

    continuum: tuple[float, float]
    protons: tuple[float, float]
    lines: Sequence[tuple[float, float]]
    noise: float
    region: tuple[float, float]


# Levels: Katayama et al. (2004, A&A 414, 767), Carter & Read (2007, A&A 464, 1155) and the XMM-
# Newton Users' Handbook, section 3.3.7; ACIS: Proposers' Observatory Guide, section 6.16.
_EPIC_PN = _Instrument(
    continuum=(3.6e-4, 0.5),
    protons=(5e-5, 5e-3),
    lines=(
        (1.487, 2.5e-4),  # Al
        (1.740, 2.0e-5),  # Si
        (4.511, 1.0e-5),  # Ti
        (5.415, 3.0e-5),  # Cr
        (6.404, 2.0e-5),  # Fe
        (7.478, 1.1e-4),  # Ni
        (8.048, 7.0e-4),  # Cu K alpha
        (8.639, 1.3e-4),  # Zn
        (8.905, 1.3e-4),  # Cu K beta
        (9.572, 2.0e-5),  # Zn K beta
    ),
    noise=2e-2,
    region=(0.7, 2.8),
)
_ACIS_LINES = ((1.487, 3e-5), (1.740, 6e-5), (2.142, 1.0e-4), (7.478, 2.0e-4), (9.713, 2.5e-4))
_ACIS_S = _Instrument((1.2e-3, 0.2), (1e-5, 1e-3), _ACIS_LINES, 3e-3, (0.003, 0.03))
_ACIS_I = _Instrument((6e-4, 0.1), (1e-5, 2e-4), _ACIS_LINES, 1e-3, (0.003, 0.03))


def draw_backgrounds(
    response: Response,
    n: int,
    generator: torch.Generator,
    region_arcmin2: tuple[float, float] | None = None,
) -> Tensor:
    """Draw realistic backgrounds of an EPIC-pn or ACIS point source.

    Each is the sum, with random amplitudes and shapes, of the continuum of cosmic-ray particles, a
    broken power law of soft protons (neither focused, so neither folded through the area),
    instrumental fluorescence lines, low-energy noise, and the sky: the cosmic X-ray background
    (photon index 1.4, Galactic absorption) and the soft emission of the Local Bubble and Galactic
    halo (continuum and oxygen lines), folded through the response.

    Args:
        response: of EPIC-pn or ACIS.
        n: number of backgrounds.
        generator: random state; the draws depend on nothing else.
        region_arcmin2: log-uniform range of the area of the source region; default: what is usual
            for the instrument (30-60 arcsec of radius for EPIC-pn, 2-6 arcsec for ACIS).

    Returns:
        rate_BC, expected counts/s in the source region in every channel, float64.

    Raises:
        InputError: no background is known for the instrument.
    """
    instrument = _instrument(response)
    draw = _Draw(n, generator)
    low, high = region_arcmin2 or instrument.region
    region_B1 = draw.log_uniform(low, high)
    rate_BC = _particles(response, instrument, draw) + _lines(response, instrument, draw)
    return (rate_BC + _sky(response, draw)) * region_B1


def _instrument(response: Response) -> _Instrument:
    name = response.instrument.upper()
    if name in ("EPN", "PN"):
        return _EPIC_PN
    if name.startswith("ACIS"):
        return _ACIS_I if name.endswith("I") else _ACIS_S
    raise InputError(
        f"no background family for instrument '{response.instrument}'; give observed backgrounds"
    )


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


def _particles(response: Response, instrument: _Instrument, draw: _Draw) -> Tensor:
    """Cosmic rays, soft protons and noise, counts/s/arcmin^2 in each channel."""
    edges_C1 = response.channel_edges_C1.double()
    energy_C = ((edges_C1[1:] + edges_C1[:-1]) / 2).clamp(min=0.05)
    level, index = instrument.continuum
    rays_BC = draw.log_normal(level, 0.2) * (energy_C / 6) ** -(index + draw.uniform(-0.1, 0.1))
    index_B1, break_B1 = draw.uniform(0.3, 0.9), draw.uniform(3.0, 7.0)
    steeper_BC = draw.uniform(0.3, 1.2) * torch.log(energy_C / break_B1).clamp(min=0)
    protons_BC = draw.log_uniform(*instrument.protons) * energy_C**-index_B1
    noise_BC = draw.log_normal(instrument.noise, 0.7) * torch.exp((0.2 - energy_C) / 0.035)
    return (rays_BC + protons_BC * torch.exp(-steeper_BC) + noise_BC) * edges_C1.diff()


def _lines(response: Response, instrument: _Instrument, draw: _Draw) -> Tensor:
    """Fluorescence, with the line shape of the response; counts/s/arcmin^2 in each channel.

    Amplitudes vary together by 30 %, one by one by 20 %; the copper and nickel of the EPIC-pn
    board, whose image has a hole in the middle, by much more.
    """
    line = torch.tensor(instrument.lines, dtype=torch.float64)
    energy_L, level_L = line[:, 0].contiguous(), line[:, 1]
    matrix_EC = response.matrix_EC
    row = torch.searchsorted(response.energy_edges_E1, energy_L) - 1
    inside = (row >= 0) & (row < len(matrix_EC))
    shape_LC = matrix_EC[row[inside]].double()
    shape_LC = shape_LC / shape_LC.sum(1, keepdim=True).clamp(min=1e-30)
    amplitude_BL = draw.log_normal(1.0, 0.3) * draw.log_normal(1.0, 0.2, len(line)) * level_L
    hole_B1 = draw.uniform(0.1, 1.3)
    board_L = (energy_L > 7) & (instrument is _EPIC_PN)
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
