"""Thermal emission with integrals of its own: multi-temperature disk and bremsstrahlung.

Shape suffixes: B batch, E energy bin, E1 its edges, N knots of a table.
"""

import numpy as np
import torch
from torch import Tensor

from wolter.xray.emission.expression import Component, Evaluate, Grid, Quantity

# --- disk -----------------------------------------------------------------------------------------

_LOG_X_LOW, _LOG_X_STEP, _LOG_X_COUNT = np.log(1e-5), 0.03, 620  # E / kT_in from 1e-5 to 1000


def _disk_table() -> Tensor:
    """Table of x + ln of the integral of s^(5/3) / (exp(x s) - 1) over s > 1, in ln x."""
    x_N = np.exp(_LOG_X_LOW + _LOG_X_STEP * np.arange(_LOG_X_COUNT))[:, None]
    node, weight = np.polynomial.legendre.leggauss(200)
    longest_N = np.log1p(60 / x_N)
    log_s = longest_N * (node + 1) / 2
    s = np.exp(log_s)
    # exp(x) / (exp(x s) - 1), written so that nothing overflows
    boltzmann = np.exp(-x_N * (s - 1)) / -np.expm1(-x_N * s)
    integral_N = (s ** (8 / 3) * boltzmann * weight).sum(1) * longest_N[:, 0] / 2
    return torch.from_numpy(np.log(integral_N))


def _cubic(table_N: Tensor, position: Tensor) -> Tensor:
    """Cubic interpolation in an equally spaced table; positions in steps from its first entry."""
    position = position.clamp(1, len(table_N) - 3 - 1e-3)
    lower = position.detach().floor().long()
    t = position - lower
    before, left, right, after = (table_N[lower + i] for i in (-1, 0, 1, 2))
    bend = 2 * before - 5 * left + 4 * right - after
    twist = 3 * (left - right) + after - before
    return left + t / 2 * (right - before + t * (bend + t * twist))


def _prepare_diskbb(grid: Grid) -> Evaluate:
    """Disk of temperature T ~ r^(-3/4), two Gauss points a bin.

    Mitsuda et al. (1984, PASJ 36, 741) in XSPEC's units: norm/361 E^2 times the integral over
    t = T / T_in from 0 to 1 of t^(-11/3) / (exp(E / t kT_in) - 1). XSPEC interpolates a table
    of this integral and differs from it by up to 9e-5 (more where E > 25 kT_in).
    """
    edges_E1 = grid.edges_E1
    centre_E, half_E = (edges_E1[1:] + edges_E1[:-1]) / 2, edges_E1.diff() / 2
    points_E = [centre_E + half_E * sign / 3**0.5 for sign in (-1, 1)]
    energy = [grid.cast(point) for point in points_E]
    log_energy = [grid.cast(point.log()) for point in points_E]
    factor = [grid.cast(half_E * point**2 / 361) for point in points_E]
    table_N = grid.cast(_disk_table().to(edges_E1.device))

    def evaluate(tin_B1: Tensor, norm_B1: Tensor) -> Tensor:
        log_tin_B1 = tin_B1.log()
        total_BE: Tensor | float = 0.0
        for i in range(2):
            position_BE = (log_energy[i] - log_tin_B1 - _LOG_X_LOW) / _LOG_X_STEP
            log_integral_BE = _cubic(table_N, position_BE) - energy[i] / tin_B1
            total_BE = total_BE + factor[i] * torch.exp(log_integral_BE.clamp(min=-80))
        return norm_B1 * total_BE

    return evaluate


# --- bremsstrahlung -------------------------------------------------------------------------------

_RYDBERG_KEV = 0.01358  # rounded as in XSPEC
_HELIUM = 0.085  # atoms per hydrogen atom

# Ratio of the free-free Gaunt factor to the Born approximation, c0 + c1 u + c2 u^2 with u = E/kT:
# Kellogg, Baldwin & Koch (1975, ApJ 199, 299) with the corrected entries that XSPEC uses. Rows:
# 1000 gamma^2 = _GAMMA_KNOTS, interpolated; columns: u up to each of _U_STOPS, and beyond.
_U_STOPS = (0.03, 0.3, 1.0, 5.0, 15.0)
_GAMMA_STOPS = (1.773, 3.0, 5.6234, 10.0, 30.0)
_GAMMA_KNOTS = (1.0, 1.7783, 3.0, 5.6234, 10.0, 30.0)
_GAMMA_WIDTHS = (0.7783, 1.2217, 2.6234, 4.3766, 20.0, 70.0)
_KELLOGG = (
    (
        (1.001, 1.004, 1.017, 1.036, 1.056, 1.121),
        (1.001, 1.005, 1.017, 1.046, 1.073, 1.115),
        (0.9991, 1.005, 1.030, 1.055, 1.102, 1.176),
        (0.9970, 1.005, 1.035, 1.069, 1.134, 1.186),
        (0.9962, 1.004, 1.042, 1.100, 1.193, 1.306),
        (0.9874, 0.9962, 1.047, 1.156, 1.327, 1.485),
        (0.9681, 0.9755, 1.020, 1.208, 1.525, 1.965),
    ),
    (
        (0.3029, 0.1616, 0.04757, 0.0130, 0.0049, -0.0032),
        (0.4905, 0.2155, 0.08357, 0.02041, 0.00739, 0.00029),
        (0.6540, 0.2833, 0.08057, 0.03257, 0.00759, -0.00151),
        (1.029, 0.3910, 0.1266, 0.05149, 0.01274, 0.00324),
        (0.9569, 0.4891, 0.1764, 0.05914, 0.01407, -0.00024),
        (1.236, 0.7579, 0.3260, 0.1077, 0.0280, 0.00548),
        (1.327, 1.017, 0.6017, 0.2050, 0.0605, 0.00187),
    ),
    (
        (-1.323, -0.254, -0.01571, -0.001, -0.000184, 0.00008),
        (-4.762, -0.3386, -0.03571, -0.001786, -0.0003, 0.00001),
        (-6.349, -0.4206, -0.02571, -0.003429, -0.000234, 0.00005),
        (-13.231, -0.59, -0.04571, -0.005714, -0.000445, -0.00004),
        (-7.672, -0.6852, -0.0643, -0.005857, -0.00042, 0.00004),
        (-7.143, -0.9947, -0.12, -0.01007, -0.000851, -0.00004),
        (-3.175, -1.116, -0.2270, -0.01821, -0.001729, 0.00023),
    ),
)

# Gaunt factor of cool plasma, gamma^2 > 0.1: Kurucz (1970, SAO Special Report 309). Rows: log10 u
# from -4 in steps of 0.5; columns: log10 gamma^2 from -1 in steps of 0.5.
_KURUCZ = (
    (5.40, 5.25, 5.00, 4.69, 4.48, 4.16, 3.85),
    (4.77, 4.63, 4.40, 4.13, 3.87, 3.52, 3.27),
    (4.15, 4.02, 3.80, 3.57, 3.27, 2.98, 2.70),
    (3.54, 3.41, 3.22, 2.97, 2.70, 2.45, 2.20),
    (2.94, 2.81, 2.65, 2.44, 2.21, 2.01, 1.81),
    (2.41, 2.32, 2.19, 2.02, 1.84, 1.67, 1.50),
    (1.95, 1.90, 1.80, 1.68, 1.52, 1.41, 1.30),
    (1.55, 1.56, 1.51, 1.42, 1.33, 1.25, 1.17),
    (1.17, 1.30, 1.32, 1.30, 1.20, 1.15, 1.11),
    (0.86, 1.00, 1.15, 1.18, 1.15, 1.11, 1.08),
    (0.59, 0.76, 0.97, 1.09, 1.13, 1.10, 1.08),
    (0.38, 0.53, 0.76, 0.96, 1.08, 1.09, 1.09),
)


def _prepare_bremss(grid: Grid) -> Evaluate:
    """Hydrogen and helium, trapezoid rule over each bin, as XSPEC.

    norm (g_1 + 4 n_He/n_H g_2) exp(-E/kT) / (E sqrt(kT)); the norm is 3.02e-15 / (4 pi D^2) times
    the emission measure, D in cm.
    """
    energy_E1 = grid.cast(grid.edges_E1)
    weight_E = grid.cast(grid.edges_E1.diff() / 2)

    def evaluate(kt_B1: Tensor, norm_B1: Tensor) -> Tensor:
        u_BE1 = energy_E1 / kt_B1
        gaunt_BE1 = gaunt_factor(u_BE1, _RYDBERG_KEV / kt_B1)
        gaunt_BE1 = gaunt_BE1 + 4 * _HELIUM * gaunt_factor(u_BE1, 4 * _RYDBERG_KEV / kt_B1)
        # XSPEC stops at E = 50 kT.
        density_BE1 = torch.where(u_BE1 > 50, 0.0, gaunt_BE1 * torch.exp(-u_BE1.clamp(max=50)))
        density_BE1 = density_BE1 / energy_E1
        pairs_BE = density_BE1[:, :-1] + density_BE1[:, 1:]
        return norm_B1 / kt_B1.sqrt() * pairs_BE * weight_E

    return evaluate


def gaunt_factor(u_BE: Tensor, gamma2_B1: Tensor) -> Tensor:
    """Thermally averaged free-free Gaunt factor, as XSPEC's bremss.

    Args:
        u_BE: photon energy over kT.
        gamma2_B1: Z^2 Rydberg over kT.
    """
    born_BE = 0.5513 * _scaled_k0(u_BE / 2)
    warm_BE = torch.where(gamma2_B1 < 1e-3, born_BE, born_BE * _kellogg(u_BE, gamma2_B1))
    return torch.where(gamma2_B1 > 0.1, _kurucz(u_BE, gamma2_B1), warm_BE)


def _kellogg(u_BE: Tensor, gamma2_B1: Tensor) -> Tensor:
    coefficient = u_BE.new_tensor(_KELLOGG)
    u_BE = u_BE.clamp(min=0.003)
    column_BE = torch.bucketize(u_BE.detach(), u_BE.new_tensor(_U_STOPS))
    gamma_B1 = (1000 * gamma2_B1).clamp(max=100)
    row_B1 = torch.bucketize(gamma_B1.detach(), u_BE.new_tensor(_GAMMA_STOPS))
    share_B1 = (gamma_B1 - u_BE.new_tensor(_GAMMA_KNOTS)[row_B1]) / u_BE.new_tensor(_GAMMA_WIDTHS)[
        row_B1
    ]

    def polynomial(row: Tensor) -> Tensor:
        c0, c1, c2 = coefficient[:, row, column_BE]
        value: Tensor = c0 + u_BE * (c1 + u_BE * c2)
        return value

    return torch.lerp(polynomial(row_B1), polynomial(row_B1 + 1), share_B1)


def _kurucz(u_BE: Tensor, gamma2_B1: Tensor) -> Tensor:
    table = u_BE.new_tensor(_KURUCZ)
    row_BE, column_B1 = 2 * u_BE.log10() + 8, 2 * gamma2_B1.log10() + 2
    inside_BE = (row_BE < 11) & (column_B1 >= 0) & (column_B1 < 6)
    row = row_BE.detach().clamp(0, 10).long()
    column = column_B1.detach().clamp(0, 5).long()
    low_BE, high_BE = (
        torch.lerp(table[row + i, column], table[row + i, column + 1], column_B1 - column)
        for i in range(2)
    )
    return torch.where(inside_BE, torch.lerp(low_BE, high_BE, row_BE - row), 0.0)


def _scaled_k0(x: Tensor) -> Tensor:
    """exp(x) K_0(x): Abramowitz & Stegun (1964) 9.8.1, 9.8.5, 9.8.6; torch's has no gradient."""
    small = x.clamp(max=2)
    t = (small / 3.75) ** 2
    i0 = _horner(t, 1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813)
    q = (small / 2) ** 2
    series = _horner(
        q, -0.57721566, 0.42278420, 0.23069756, 0.03488590, 0.00262698, 0.00010750, 0.00000740
    )
    below = torch.exp(small) * (series - torch.log(small / 2) * i0)
    large = x.clamp(min=2)
    above = _horner(
        2 / large, 1.25331414, -0.07832358, 0.02189568, -0.01062446, 0.00587872, -0.00251540,
        0.00053208,
    ) / large.sqrt()  # fmt: skip
    return torch.where(x <= 2, below, above)


def _horner(x: Tensor, *coefficients: float) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


DISKBB = Component(
    "diskbb",
    ("tin", "disk_norm"),
    True,
    _prepare_diskbb,
    quantities={
        "tin": Quantity("keV", (0.1, 2.0), logarithmic=True),
        "disk_norm": Quantity("km^2 (10 kpc)^-2", (1e-3, 100.0), logarithmic=True),
    },
)
"""Disk blackbody; tin in keV, norm (R_in / km)^2 / (D / 10 kpc)^2 cos(inclination)."""

BREMSS = Component(
    "bremss",
    ("brems_kt", "brems_norm"),
    True,
    _prepare_bremss,
    quantities={
        "brems_kt": Quantity("keV", (0.2, 20.0), logarithmic=True),
        "brems_norm": Quantity("3.02e-15 cm^-5", (1e-6, 1e-2), logarithmic=True),
    },
)
"""Thermal bremsstrahlung; kt in keV."""
