"""Fine structure of absorption edges, measured from XSPEC: writes the table that tbabs reads.

    python benchmarks/_edges.py platform/wolter/xray/edges.csv

XSPEC's tbabs interpolates published cross sections near the edges of O K (Gorczyca & McLaughlin
2000, J. Phys. B 33, L859), Ne K (Gorczyca 2000, Phys. Rev. A 61, 024702) and Fe L (Kortright & Kim
2000, Phys. Rev. B 62, 12216). Its tbvarabs with one element alone, all of it gas, shows them: the
difference of two optical depths. What is kept is the fewest points between which straight lines
stay within a tolerance that moves the optical depth of 1e22 hydrogen nuclei per cm^2 by 5e-5.

Shapes: E energy.
"""

import csv
import ctypes
import math
import os
import sys
from pathlib import Path

import numpy as np

STEP_EV = 0.001
# Abundances of Wilms, Allen & McCray (2000); first and last energy of XSPEC's table, eV; tolerance
# in Mb.
EDGES = {
    8: (4.90e-4, 490.013, 584.498, 1e-5),
    10: (8.71e-5, 865.001, 870.179, 5e-5),
    26: (2.69e-5, 700.12, 795.0, 1e-4),
}
ELEMENTS = (2, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 20, 24, 26, 27, 28)  # tbvarabs' order
GRAINS = (1.0, 0.025, 0.25, 3.5)  # of which there are none, as nothing is depleted
WIDTH_KEV = 5e-10  # of the bins that stand for points
RELATIVE = 8e-7  # tolerance where it is larger: of any column that lets e^-57 through, 5e-5


def cross_section(element: int, energy_E: np.ndarray) -> np.ndarray:
    """XSPEC's cross section of one element (Mb) at energies in eV."""
    import xspectrampoline

    libraries = xspectrampoline.get_libraries()
    select = libraries.lib_xs_functions.FPSOLR
    select.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_int)]
    select(b"wilm", ctypes.byref(ctypes.c_int()))
    function = libraries.get_model("C_tbvabs")
    edges = (energy_E[:, None] / 1e3 + np.array([-0.5, 0.5]) * WIDTH_KEV).ravel()

    def depth_E(column: float, times: float) -> np.ndarray:
        abundances = [times if each == element else 0.0 for each in ELEMENTS]
        parameters = np.array([column, *abundances, 0.0, *GRAINS, *[1.0] * 18, 0.0])
        transmitted, errors = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
        function(edges, parameters, transmitted, errors)
        return -np.log(np.maximum(transmitted[::2], 1e-300))

    sigma_E = np.full(len(energy_E), np.nan)
    times = 100.0
    for column in (1e-4, 1e-3, 1e-2, 1e-1):  # 1e22 cm^-2: the deepest that lets light through
        own_E = depth_E(column, times) - depth_E(column, 0.0)
        good_E = own_E < 25
        sigma_E[good_E] = own_E[good_E] / (column * 1e4 * EDGES[element][0] * times)
    assert not np.isnan(sigma_E).any()
    return sigma_E


def thin(x_E: np.ndarray, y_E: np.ndarray, tolerance_E: np.ndarray) -> list[int]:
    """Indices of the fewest points from left to right whose chords are within the tolerance."""
    kept, last = [0], len(x_E) - 1
    while (start := kept[-1]) < last:
        lowest, highest, end = -math.inf, math.inf, start + 1
        for i in range(start + 1, last + 1):
            run, rise = x_E[i] - x_E[start], y_E[i] - y_E[start]
            if lowest <= rise / run <= highest:
                end = i
            lowest = max(lowest, (rise - tolerance_E[i]) / run)
            highest = min(highest, (rise + tolerance_E[i]) / run)
            if lowest > highest:
                break
        kept.append(end)
    return kept


def main(out: Path) -> None:
    """Write the table: atomic number, eV, Mb."""
    os.environ.pop("HEADAS", None)  # xspectrampoline brings its own
    with out.open("w", newline="") as file:
        file.write("# Absorption edges, by benchmarks/_edges.py, which says whose they are.\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("element", "eV", "Mb"))
        for element, (_, low, high, tolerance) in EDGES.items():
            energy_E = np.append(np.arange(low, high, STEP_EV), high - 1e-4).round(4)
            energy_E[0] += 1e-4  # the ends are XSPEC's own jumps
            sigma_E = cross_section(element, energy_E)
            tolerance_E = np.maximum(tolerance, RELATIVE * sigma_E)
            for i in thin(energy_E, sigma_E, tolerance_E):
                writer.writerow((element, f"{energy_E[i]:.4f}".rstrip("0"), f"{sigma_E[i]:.7g}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
