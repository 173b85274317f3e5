"""What emits in stars, YSOs and CVs: plasma, or bremsstrahlung with its strongest lines.

The second needs no package beyond wolter's own. Lines stand for the blends that a CCD does not
resolve, each with an equivalent width that peaks at one temperature; widths and the free-bound
continuum are round figures. Against APEC plasma of solar abundance: photons in 0.5-2 keV agree to
16 % at kT 0.5-15 keV, those in 2-7 keV to 20 % at 0.7-15 keV, blends to a half. Plasma below 0.4
keV is far too faint above 0.7 keV.

Shapes: B sources, E energy bin, K temperature, L line.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.spectra.population.config import Thermal
from wolter.xray.emission.components import parse
from wolter.xray.emission.expression import Evaluate, Expression, Grid
from wolter.xray.emission.plasma_table import network_file
from wolter.xray.emission.thermal import BREMSS

# Blends: keV, width (keV), temperature of the largest equivalent width (keV), equivalent width
# there at solar abundance (keV), width of the peak in temperature (dex).
_BLENDS = (
    (0.57, 0.010, 0.18, 0.50, 0.18),  # O VII
    (0.654, 0.004, 0.30, 0.20, 0.28),  # O VIII
    (0.78, 0.060, 0.45, 0.50, 0.20),  # Fe XVII
    (0.90, 0.050, 0.60, 0.60, 0.18),  # Fe XVIII-XX, Ne IX
    (1.04, 0.050, 0.85, 0.80, 0.22),  # Fe XXI-XXIII, Ne X
    (1.16, 0.050, 1.0, 0.25, 0.25),  # Fe XXIV
    (1.35, 0.008, 0.55, 0.25, 0.22),  # Mg XI
    (1.47, 0.010, 0.80, 0.17, 0.28),  # Mg XII
    (1.86, 0.010, 0.75, 0.35, 0.26),  # Si XIII
    (2.006, 0.004, 1.5, 0.14, 0.30),  # Si XIV
    (2.46, 0.012, 1.2, 0.25, 0.26),  # S XV
    (2.62, 0.004, 2.2, 0.09, 0.30),  # S XVI
    (6.68, 0.025, 2.2, 2.50, 0.32),  # Fe XXV
    (6.97, 0.008, 9.0, 0.40, 0.30),  # Fe XXVI
)
_BREMSS_NORM = 0.302  # of a plasma of norm 1
_HELIUM = 1.07  # more of it than bremss has
# Free-bound continuum over bremsstrahlung at 1 keV and solar abundance, and its power of kT.
_FREE_BOUND = 1.1
_FREE_BOUND_POWER = -1.3
_KT_KEV = (0.08, 64.0)
_TEMPERATURES = 320


def model_of(thermal: Thermal, text: str) -> Expression:
    """The model of a text, where `plasma` is what is wanted.

    Raises:
        InputError: plasma is wanted, and its packages are not installed.
    """
    model = parse(text)
    if "plasma" not in (component.name for component in model.components):
        return model
    if thermal == "plasma":
        try:
            network_file()
        except InputError as error:
            raise InputError(f"{error}; or simulate with --thermal bremsstrahlung") from None
        return model
    components = tuple(
        replace(each, prepare=_prepare) if each.name == "plasma" else each
        for each in model.components
    )
    return Expression(components, model.groups)


def _prepare(grid: Grid) -> Evaluate:
    """Interpolated bremsstrahlung and lines; no redshift."""
    low, high = (math.log(kt) for kt in _KT_KEV)
    log_kt_K = grid.cast(torch.linspace(low, high, _TEMPERATURES, dtype=torch.float64))
    middle_E = grid.cast((grid.edges_E1[1:] + grid.edges_E1[:-1]) / 2)
    bremss = BREMSS.prepare(grid)
    kt_K1 = log_kt_K.exp()[:, None]
    # Without its Boltzmann factor it varies slowly with temperature.
    slow_KE = bremss(kt_K1, torch.ones_like(kt_K1)) / _boltzmann(middle_E, kt_K1)
    slow_KE = slow_KE * _BREMSS_NORM * _HELIUM
    step = float(log_kt_K[1] - log_kt_K[0])
    energy_L, sigma_L, peak_L, width_L, dex_L = grid.cast(torch.tensor(_BLENDS)).T
    z_LE1 = (grid.edges_E1 - energy_L[:, None]) / sigma_L[:, None]
    profile_LE = grid.cast(torch.special.ndtr(z_LE1).diff(dim=1))
    bin_L = torch.searchsorted(grid.edges_E1, energy_L.double().contiguous()) - 1
    inside_L = (bin_L >= 0) & (bin_L < len(middle_E))
    bin_L = bin_L.clamp(0, len(middle_E) - 1)
    strength_L = width_L * inside_L / grid.cast(grid.edges_E1.diff())[bin_L]

    def evaluate(kt_B1: Tensor, abundance_B1: Tensor, _: Tensor, norm_B1: Tensor) -> Tensor:
        position_B1 = ((kt_B1.log() - log_kt_K[0]) / step).clamp(0, _TEMPERATURES - 1.001)
        lower_B = position_B1[:, 0].long()
        slow_BE = torch.lerp(slow_KE[lower_B], slow_KE[lower_B + 1], position_B1 - lower_B[:, None])
        bound_B1 = (0.2 + 0.8 * abundance_B1) * _FREE_BOUND * kt_B1**_FREE_BOUND_POWER
        continuum_BE = slow_BE * _boltzmann(middle_E, kt_B1) * (1 + bound_B1)
        away_BL = torch.log10(kt_B1 / peak_L) / dex_L
        line_BL = continuum_BE[:, bin_L] * strength_L * torch.exp(-(away_BL**2) / 2)
        flux_BE: Tensor = continuum_BE + (abundance_B1 * line_BL) @ profile_LE
        return norm_B1 * flux_BE

    return evaluate


def _boltzmann(energy_E: Tensor, kt_B1: Tensor) -> Tensor:
    return torch.exp(-(energy_E / kt_B1).clamp(max=60))
