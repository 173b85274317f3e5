"""The energy grid on which spectra of any instrument are stored."""

from typing import Literal

import numpy as np

GridName = Literal["band", "acis"]

# keV; bands in which records tell the effective area of their response: finer than its features
# that filters, vignetting and the extraction region change.
AREA_EDGES = tuple(float(edge) for edge in np.geomspace(0.3, 10.0, 25))
# keV; photons by whose recorded energies records tell the redistribution of their response.
PHOTONS_KEV = tuple(float(energy) for energy in np.geomspace(0.3, 10.0, 49)[1::2])
RECORDED_SHARES = (0.16, 0.5, 0.84)  # quantiles of a photon's recorded energy
ACIS_CHANNEL_KEV = 0.0146  # width of the channels of ACIS


def energy_grid(low_kev: float, high_kev: float, channels: int) -> tuple[float, ...]:
    """Edges in keV of channels whose widths grow as the root of energy, as a CCD's resolution does.

    Args:
        low_kev: lowest edge.
        high_kev: highest edge.
        channels: number of channels.
    """
    edges = np.linspace(low_kev**0.5, high_kev**0.5, channels + 1) ** 2
    return tuple(float(edge) for edge in np.round(edges, 6))


def grid_within(band_kev: tuple[float, float]) -> tuple[float, ...]:
    """Edges of those channels of the default grid that lie within a band, keV."""
    low, high = band_kev
    return tuple(edge for edge in default_grid() if low <= edge <= high)


def named_grid(name: GridName, band_kev: tuple[float, float]) -> tuple[float, ...]:
    """Edges of a grid by its name: "acis" for `acis_grid`, "band" for `grid_within`."""
    return acis_grid() if name == "acis" else grid_within(band_kev)


def default_grid() -> tuple[float, ...]:
    """Edges in keV of the 256 channels from 0.3 to 10 keV that the pretrained families read.

    Widths are about a third of the EPIC-pn resolution (FWHM 65 eV at 0.3 keV to 180 eV at 10 keV)
    and finer from 5 to 7.4 keV, where the iron line lies, so that binning costs less than 1 % of
    a line's centroid error.
    """
    pieces = [
        0.3 + 0.02 * np.arange(60),
        1.5 + 0.03 * np.arange(50),
        3.0 + 0.05 * np.arange(40),
        5.0 + 0.04 * np.arange(60),
        np.linspace(7.4, 10.0, 47),
    ]
    return tuple(float(edge) for edge in np.round(np.concatenate(pieces), 6))


def acis_grid() -> tuple[float, ...]:
    """Edges in keV of the 155 channels from 0.5 to 8 keV that families of Chandra spectra read.

    Each holds 2, 4 or 8 of ACIS's channels of 14.6 eV, a third of its resolution or less. On a grid
    whose edges are none of ACIS's, neighbouring channels would hold different numbers of them.
    """
    steps = [*range(34, 206, 2), *range(206, 414, 4), *range(414, 551, 8)]
    return tuple(round(ACIS_CHANNEL_KEV * step, 6) for step in steps)
