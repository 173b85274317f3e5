"""Photoelectric cross sections of neutral atoms and of the hydrogen molecule.

From published analytic fits, and tables at three edges. Energies in eV, cross sections in megabarns
(1e-18 cm^2).
"""

from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

# Verner & Yakovlev (1995, A&AS 109, 125), table 1: one row a subshell, innermost first:
# (l, threshold, E_0, sigma_0, y_a, P, y_w).
_SUBSHELLS: dict[int, tuple[tuple[float, ...], ...]] = {
    6: (  # carbon
        (0, 291.0, 86.55, 74.21, 54.98, 1.503, 0.0),
        (0, 19.39, 10.26, 4564.0, 1.568, 10.85, 0.0),
        (1, 11.26, 9.435, 1152.0, 5.687, 6.336, 0.4474),
    ),
    7: (  # nitrogen
        (0, 404.8, 127.0, 47.48, 138.0, 1.252, 0.0),
        (0, 25.41, 14.82, 772.2, 2.306, 9.139, 0.0),
        (1, 14.53, 11.64, 10290.0, 2.361, 8.821, 0.4239),
    ),
    8: (  # oxygen
        (0, 538.0, 177.4, 32.37, 381.2, 1.083, 0.0),
        (0, 28.48, 19.94, 241.5, 3.241, 8.037, 0.0),
        (1, 13.62, 13.91, 1.22e5, 1.364, 11.4, 0.4103),
    ),
    10: (  # neon
        (0, 870.1, 314.4, 16.64, 2.042e5, 0.845, 0.0),
        (0, 48.47, 32.04, 56.15, 5.808, 6.678, 0.0),
        (1, 21.56, 20.0, 16910.0, 2.442, 10.43, 0.3345),
    ),
    11: (  # sodium
        (0, 1079.0, 421.6, 11.19, 5.642e7, 0.7736, 0.0),
        (0, 70.84, 45.37, 11.42, 239.5, 3.38, 0.0),
        (1, 38.14, 36.55, 248.6, 322.2, 3.57, 0.1465),
        (0, 5.139, 5.968, 1.46, 2.557e7, 3.789, 0.0),
    ),
    12: (  # magnesium
        (0, 1311.0, 271.1, 35.61, 23.74, 1.952, 0.0),
        (0, 94.0, 45.87, 16.71, 23.89, 4.742, 0.0),
        (1, 54.9, 49.37, 202.3, 10790.0, 2.96, 0.01463),
        (0, 7.646, 9.393, 3.034, 2.625e7, 3.923, 0.0),
    ),
    13: (  # aluminium
        (0, 1567.0, 367.0, 22.06, 44.05, 1.588, 0.0),
        (0, 125.6, 55.94, 14.25, 30.94, 4.399, 0.0),
        (1, 80.4, 64.45, 173.5, 11310.0, 2.762, 0.02337),
        (0, 11.33, 12.04, 5.384, 434.1, 4.088, 0.0),
        (1, 5.986, 18.6, 182.8, 2.797, 10.84, 0.3076),
    ),
    14: (  # silicon
        (0, 1846.0, 532.2, 11.84, 258.0, 1.102, 0.0),
        (0, 156.0, 70.17, 11.66, 47.42, 3.933, 0.0),
        (1, 106.0, 78.08, 153.2, 5.765e6, 2.639, 0.0002774),
        (0, 15.17, 14.13, 11.66, 22.88, 5.334, 0.0),
        (1, 8.152, 22.12, 184.5, 3.849, 9.721, 0.2921),
    ),
    16: (  # sulphur
        (0, 2477.0, 811.4, 6.649, 3734.0, 0.8646, 0.0),
        (0, 235.0, 104.7, 8.52, 94.69, 3.346, 0.0),
        (1, 170.0, 91.52, 188.3, 71.93, 3.633, 0.2485),
        (0, 21.3, 19.16, 10.03, 32.96, 5.038, 0.0),
        (1, 10.36, 29.75, 56.44, 13.21, 7.513, 0.2621),
    ),
    17: (  # chlorine
        (0, 2830.0, 970.0, 5.255, 1.856e6, 0.7888, 0.0),
        (0, 278.0, 109.2, 10.59, 24.91, 4.205, 0.0),
        (1, 209.0, 80.04, 305.3, 34.98, 4.457, 0.2017),
        (0, 25.31, 22.31, 6.628, 184.3, 4.196, 0.0),
        (1, 12.97, 33.98, 45.39, 22.32, 6.896, 0.2479),
    ),
    18: (  # argon
        (0, 3203.0, 1135.0, 4.28, 3.285e7, 0.7631, 0.0),
        (0, 326.0, 130.2, 9.185, 26.93, 4.021, 0.0),
        (1, 249.2, 164.7, 83.72, 54.52, 3.328, 0.627),
        (0, 28.92, 25.25, 6.394, 170.0, 4.223, 0.0),
        (1, 15.76, 38.54, 48.72, 26.4, 6.662, 0.2355),
    ),
    20: (  # calcium
        (0, 4043.0, 694.7, 15.86, 25.63, 1.966, 0.0),
        (0, 442.5, 120.1, 10.1, 24.68, 4.592, 0.0),
        (1, 352.3, 152.9, 128.2, 221.7, 3.087, 0.003343),
        (0, 48.3, 30.12, 7.227, 173.6, 4.165, 0.0),
        (1, 34.43, 44.87, 90.17, 14.65, 7.498, 0.2754),
        (0, 6.113, 7.366, 2.373, 208.2, 4.841, 0.0005841),
    ),
    24: (  # chromium
        (0, 5996.0, 1035.0, 10.25, 33.43, 1.822, 0.0),
        (0, 703.0, 158.8, 8.555, 22.58, 4.789, 0.0),
        (1, 585.0, 186.5, 154.0, 55.6, 3.823, 0.005785),
        (0, 79.0, 42.34, 5.602, 135.6, 4.374, 0.0),
        (1, 49.0, 65.67, 53.13, 19.81, 7.258, 0.2601),
        (2, 8.66, 7.244, 1485.0, 9.671, 15.75, 0.776),
        (0, 6.767, 9.636, 0.6532, 523.2, 4.641, 9.332e-5),
    ),
    26: (  # iron
        (0, 7124.0, 804.4, 20.55, 36.33, 2.118, 0.0),
        (0, 857.0, 57.27, 10.76, 27.85, 6.635, 0.0),
        (1, 724.0, 294.8, 71.91, 321.9, 2.837, 0.06314),
        (0, 104.0, 43.34, 5.921, 52.93, 5.129, 0.0),
        (1, 66.0, 76.3, 62.98, 14.79, 7.672, 0.2646),
        (2, 14.7, 14.07, 18500.0, 4.458, 16.91, 0.4039),
        (0, 7.902, 12.77, 1.468, 1.116e5, 4.112, 0.03238),
    ),
    27: (  # cobalt
        (0, 7725.0, 626.9, 35.82, 31.61, 2.476, 0.0),
        (0, 940.0, 88.88, 10.3, 27.97, 5.913, 0.0),
        (1, 800.0, 283.2, 90.75, 76.86, 3.416, 4.833e-5),
        (0, 115.0, 50.97, 4.896, 119.8, 4.513, 0.0),
        (1, 73.0, 82.56, 45.87, 19.73, 7.331, 0.2573),
        (2, 15.8, 15.81, 4931.0, 6.607, 15.32, 0.3676),
        (0, 7.864, 13.7, 1.555, 755.9, 4.337, 0.03355),
    ),
    28: (  # nickel
        (0, 8348.0, 736.6, 28.36, 36.22, 2.316, 0.0),
        (0, 1024.0, 113.2, 9.424, 27.12, 5.643, 0.0),
        (1, 876.0, 304.3, 86.11, 78.68, 3.408, 1.68e-5),
        (0, 125.0, 54.48, 4.611, 115.7, 4.548, 0.0),
        (1, 82.0, 88.96, 43.51, 19.42, 7.372, 0.2566),
        (2, 17.0, 6.063, 1186.0, 6.823, 22.23, 0.006227),
        (0, 7.637, 14.68, 1.437, 741.1, 4.342, 0.03908),
    ),
}

# Verner et al. (1996, ApJ 465, 487), table 1: all outer subshells together, below the threshold of
# the innermost subshells in _INNER: (E_0, sigma_0, y_a, P, y_w, y_0, y_1).
_OUTER: dict[int, tuple[float, ...]] = {
    6: (2.144, 502.7, 62.16, 5.101, 0.09157, 1.133, 1.607),
    7: (4.034, 823.5, 80.33, 3.928, 0.09097, 0.8598, 2.325),
    8: (1.24, 1745.0, 3.784, 17.64, 0.07589, 8.698, 0.1271),
    10: (4.87, 4287.0, 5.798, 8.355, 0.2434, 0.04236, 5.873),
    18: (17.09, 21.06, 264.5, 4.796, 0.4185, 1.688, 0.8943),
}
_INNER = {6: 1, 7: 1, 8: 1, 10: 1, 18: 3}  # how many subshells stay apart


@cache
def _edges() -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Energies and cross sections across an edge's fine structure, which the fits leave out.

    Straight lines join them. `edges.csv` holds O K (Gorczyca & McLaughlin 2000, J. Phys. B 33,
    L859), Ne K (Gorczyca 2000, Phys. Rev. A 61, 024702) and Fe L of the metal (Kortright & Kim
    2000, Phys. Rev. B 62, 12216), as the tbabs 2.3 of XSPEC has them: `benchmarks/_edges.py` makes
    it.
    """
    with (files("wolter.xray.emission") / "edges.csv").open() as file:
        table = np.loadtxt(file, delimiter=",", skiprows=2)
    of = table[:, 0].astype(int)
    return {int(z): (table[of == z, 1], table[of == z, 2]) for z in np.unique(of)}


def atom(element: int, energy_E: Tensor) -> Tensor:
    """Cross section of a neutral atom, Mb.

    Args:
        element: atomic number: 1, 2, or one of the tables above.
        energy_E: eV, float64, above 100.
    """
    if element == 1:
        return _hydrogen(energy_E)
    if element == 2:
        return _helium(energy_E)
    subshells = _SUBSHELLS[element]
    n_inner = _INNER.get(element, len(subshells))
    sigma_E = torch.zeros_like(energy_E)
    for subshell in subshells[:n_inner]:
        sigma_E += _subshell(energy_E, *subshell)
    if element in _OUTER:
        threshold = subshells[n_inner - 1][1]
        above_E = _reaches(energy_E, threshold)
        outer_E = _outer(energy_E, *_OUTER[element])
        for subshell in subshells[n_inner:]:
            sigma_E += torch.where(above_E, _subshell(energy_E, *subshell), 0.0)
        sigma_E += torch.where(above_E, 0.0, outer_E)
    if element in _edges():
        knots, values = _edges()[element]
        at_E = energy_E.cpu().numpy()
        edge_E = torch.from_numpy(np.interp(at_E, knots, values)).to(energy_E)
        inside_E = (energy_E >= knots[0]) & (energy_E < knots[-1])
        sigma_E = torch.where(inside_E, edge_E, sigma_E)
    return sigma_E


def hydrogen_molecule(energy_E: Tensor) -> Tensor:
    """Cross section of H2, Mb: Yan, Sadeghpour & Dalgarno (1998, ApJ 496, 1044), equation 18."""
    coefficients = (1.0, -2.003, -4.806, 50.577, -171.044, 231.608, -81.885)
    return _yan(energy_E, 15.4, 45.57, coefficients)


def _hydrogen(energy_E: Tensor) -> Tensor:
    """Band et al. (1990, A&A 237, 267): E^-3.5 (1 + sqrt(E_1 / 2 E))^-4, E_1 the threshold."""
    return 1.5682843e-5 * (energy_E / 1e3) ** -3.5 * (1 + torch.sqrt(6.7995 / energy_E)) ** -4


def _helium(energy_E: Tensor) -> Tensor:
    """Yan et al. (1998), equation 4, with the wings of its autoionisation resonances.

    The resonances are those of Oza (1986, Phys. Rev. A 33, 824): (q, nu, Gamma / Rydberg).
    """
    coefficients = (1.0, -4.7416, 14.8200, -30.8678, 37.3584, -23.4585, 5.9133)
    sigma_E = _yan(energy_E, 24.58, 733.0, coefficients)
    rydberg_E = energy_E / 13.6058
    for q, nu, gamma in (
        (2.81, 1.610, 2.64061e-3),
        (2.51, 2.795, 6.20116e-4),
        (2.45, 3.817, 2.56061e-4),
        (2.44, 4.824, 1.320159e-4),
    ):
        x_E = 2 * (rydberg_E - (3 - nu**-2 + 1.807317)) / gamma
        sigma_E = sigma_E * (x_E - q) ** 2 / (1 + x_E**2)
    return sigma_E


def _yan(
    energy_E: Tensor, threshold: float, scale: float, coefficients: tuple[float, ...]
) -> Tensor:
    """A series in the root of the threshold over the energy, from barns."""
    root_E = torch.sqrt(threshold / energy_E)
    series_E = torch.zeros_like(energy_E)
    for coefficient in reversed(coefficients):
        series_E = series_E * root_E + coefficient
    return scale * 1e-6 * series_E * (energy_E / 1e3) ** -3.5


def _subshell(
    energy_E: Tensor,
    momentum: float,
    threshold: float,
    e0: float,
    s0: float,
    ya: float,
    p: float,
    yw: float,
) -> Tensor:
    """Verner & Yakovlev (1995), equation 1."""
    y_E = energy_E / e0
    fit_E = (
        ((y_E - 1) ** 2 + yw**2)
        * y_E ** (p / 2 - 5.5 - momentum)
        * (1 + torch.sqrt(y_E / ya)) ** -p
    )
    return torch.where(_reaches(energy_E, threshold), s0 * fit_E, 0.0)


def _reaches(energy_E: Tensor, threshold: float) -> Tensor:
    """Compare energies with a threshold in single precision, as XSPEC does.

    Rounding can then not put the edge of a bin that lies on the threshold below it.
    """
    return energy_E.float() >= threshold


def _outer(
    energy_E: Tensor, e0: float, s0: float, ya: float, p: float, yw: float, y0: float, y1: float
) -> Tensor:
    """Verner et al. (1996), equation 1."""
    x_E = energy_E / e0 - y0
    y_E = torch.sqrt(x_E**2 + y1**2)
    return s0 * ((x_E - 1) ** 2 + yw**2) * y_E ** (p / 2 - 5.5) * (1 + torch.sqrt(y_E / ya)) ** -p
