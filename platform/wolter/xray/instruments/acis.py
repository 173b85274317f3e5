"""Chandra ACIS, made from published numbers: nothing need be downloaded.

Effective area: the figures of the Chandra Proposers' Observatory Guide (chapter 6) as rounded
knots, with the edges of C, N, O, Al and Si K and Ir M. Contamination of the optical blocking
filter: its optical depth at 0.67 keV, which grows with time, as a layer of carbon (after Plucinsky
et al. 2018, SPIE 10699, 106996B; good to 0.1-0.2 in depth, and composition ignored). Line widths:
chapter 6.7, after correction for charge transfer.

Off axis: vignetting of the mirrors and growth of their PSF, after the Guide's chapter 4.

Counts of absorbed power laws, lines and blackbodies agree with those of mkarf and mkrmf files of
ACIS-S observations of 2002 and 2006 to 6 % on average and 12 % at worst in 0.5-1, 1-2, 2-5 and
5-8 keV; the area of ACIS-I is uncertain by 10 %.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.instruments.background import BackgroundLevels
from wolter.xray.instruments.ccd import Ccd, Knots, energy_grid, interpolate, transmission
from wolter.xray.instruments.event_rules import EventRules, no_flag
from wolter.xray.instruments.instrument import Instrument
from wolter.xray.spectral.response import Response

# keV, cm^2, mirrors and filter and quantum efficiency without contamination: S3, back-illuminated.
_AREA_S: Knots = (
    (0.20, 130.0), (0.25, 173.0), (0.283, 180.0), (0.285, 60.0), (0.30, 36.0), (0.32, 130.0),
    (0.35, 198.0), (0.40, 247.0), (0.45, 323.0), (0.50, 381.0), (0.529, 388.0), (0.540, 318.0),
    (0.56, 327.0), (0.60, 388.0), (0.684, 468.0), (0.70, 442.0), (0.80, 541.0), (0.90, 606.0),
    (1.00, 646.0), (1.20, 710.0), (1.40, 745.0), (1.559, 760.0), (1.559, 655.0), (1.70, 678.0),
    (1.838, 690.0), (1.90, 693.0), (2.00, 672.0), (2.04, 627.0), (2.06, 528.0), (2.08, 394.0),
    (2.11, 391.0), (2.15, 335.0), (2.20, 358.0), (2.30, 406.0), (2.40, 423.0), (2.60, 413.0),
    (2.80, 435.0), (3.50, 439.0), (4.00, 430.0), (4.50, 397.0), (5.00, 341.0), (5.50, 269.0),
    (6.00, 207.0), (6.50, 155.0), (7.00, 103.0), (7.50, 65.0), (8.00, 39.0), (8.50, 27.5),
    (9.00, 21.0), (9.50, 15.2), (10.0, 8.5), (10.5, 2.8), (11.0, 0.8),
)  # fmt: skip

# The same for I3, front-illuminated.
_AREA_I: Knots = (
    (0.20, 0.07), (0.283, 0.06), (0.285, 0.6), (0.30, 0.46), (0.32, 2.2), (0.35, 6.8), (0.40, 17.0),
    (0.45, 42.0), (0.50, 75.0), (0.529, 82.0), (0.540, 45.0), (0.56, 38.0), (0.60, 69.0),
    (0.684, 131.0), (0.70, 128.0), (0.80, 215.0), (0.90, 303.0), (1.00, 380.0), (1.10, 448.0),
    (1.20, 506.0), (1.30, 553.0), (1.40, 591.0), (1.559, 640.0), (1.559, 525.0), (1.70, 575.0),
    (1.838, 600.0), (1.838, 370.0), (1.90, 407.0), (2.00, 439.0), (2.04, 412.0), (2.06, 353.0),
    (2.08, 267.0), (2.11, 270.0), (2.15, 235.0), (2.20, 257.0), (2.30, 301.0), (2.40, 324.0),
    (2.60, 334.0), (2.80, 368.0), (3.00, 382.0), (3.50, 413.0), (4.00, 424.0), (4.50, 408.0),
    (5.00, 363.0), (5.50, 297.0), (6.00, 235.0), (6.50, 173.0), (7.00, 116.0), (7.50, 74.0),
    (8.00, 49.0), (8.50, 35.0), (9.00, 23.0), (9.50, 13.0), (10.0, 6.7), (10.5, 2.1), (11.0, 0.6),
)  # fmt: skip

_FWHM_S: Knots = (
    (0.3, 90.0), (0.5, 93.0), (1.0, 101.0), (1.5, 108.0), (2.0, 121.0), (3.0, 129.0), (4.0, 137.0),
    (6.0, 154.0), (8.0, 170.0), (11.0, 190.0),
)  # fmt: skip
_FWHM_I: Knots = (
    (0.3, 73.0), (0.7, 74.0), (1.0, 78.0), (1.5, 87.0), (2.0, 94.0), (3.0, 109.0), (4.0, 125.0),
    (6.0, 158.0), (8.0, 190.0), (11.0, 230.0),
)  # fmt: skip

# Optical depth of the contamination at 0.67 keV (calendar year, depth).
_CONTAMINATION: Knots = (
    (1999.6, 0.0), (2001.0, 0.17), (2002.4, 0.27), (2004.0, 0.42), (2006.2, 0.54), (2008.0, 0.60),
    (2010.0, 0.68), (2012.0, 0.90), (2014.0, 1.20), (2016.0, 1.55), (2018.0, 1.90), (2020.0, 2.20),
    (2023.0, 2.60),
)  # fmt: skip
_CARBON_AT_067_KEV = 6300.0  # cm^2/g

# Share of the area lost 10 arcmin off axis; the loss grows as the angle to the power _LOSS_POWER.
_LOSS_10_ARCMIN: Knots = ((0.2, 0.24), (1.5, 0.25), (3.0, 0.31), (6.0, 0.45), (8.0, 0.53))
_LOSS_POWER = 1.3

# Levels: Proposers' Observatory Guide, section 6.16; back- and front-illuminated.
_LINES = ((1.487, 3e-5), (1.740, 6e-5), (2.142, 1.0e-4), (7.478, 2.0e-4), (9.713, 2.5e-4))
_REGION = (0.003, 0.03)  # arcmin^2, 2-6 arcsec of radius
_BACKGROUND = {
    "s": BackgroundLevels((1.2e-3, 0.2), (1e-5, 1e-3), _LINES, 3e-3, _REGION),
    "i": BackgroundLevels((6e-4, 0.1), (1e-5, 2e-4), _LINES, 1e-3, _REGION),
}

# Good ASCA grades, and no bit of STATUS (CIAO).
_EVENTS = EventRules(
    good={"GRADE": lambda values: np.isin(values, (0, 2, 3, 4, 6)), "STATUS": no_flag},
    energy=("ENERGY",),
)

_YEARS = tuple(str(year) for year in range(2000, 2024))

_DETECTORS = {"s": (_AREA_S, _FWHM_S, "ACIS-S"), "i": (_AREA_I, _FWHM_I, "ACIS-I")}


def area(energy_E: Tensor, detector: str = "s", year: float = 2000.0) -> Tensor:
    """On-axis effective area in cm^2 at energies in keV.

    Args:
        energy_E: keV, 0.2-11.
        detector: s (S3) or i (I3).
        year: year of the observation, for the contamination; 1999.6 is a clean detector.
    """
    if detector not in _DETECTORS:
        raise InputError(f"unknown ACIS detector '{detector}'; use {', '.join(_DETECTORS)}")
    first, last = _CONTAMINATION[0][0], _CONTAMINATION[-1][0]
    if not first <= year:
        raise InputError(f"year {year}: ACIS has observed since {first}")
    at = torch.tensor([min(year, last)], dtype=torch.float64)
    depth = float(interpolate(at, _CONTAMINATION, log=False))
    layers = {"carbon": depth / _CARBON_AT_067_KEV}
    return interpolate(energy_E, _DETECTORS[detector][0]) * transmission(energy_E, layers)


def vignetting(energy_E: Tensor, theta_B: Tensor) -> Tensor:
    """Share (B, E) of the on-axis area that is left off axis.

    Proposers' Observatory Guide, chapter 4: at 10 arcmin a quarter is lost at 1.5 keV and 45 % at 6
    keV; good to 5 % of the area.

    Args:
        energy_E: keV.
        theta_B: off-axis angle, arcmin, 0-15.
    """
    loss_E = interpolate(energy_E, _LOSS_10_ARCMIN, log=False)
    growth_B = (theta_B / 10).clamp(min=0) ** _LOSS_POWER
    return (1 - growth_B[:, None] * loss_E.to(theta_B)).clamp_(min=0)


def radius_90_arcsec(theta_B: Tensor) -> Tensor:
    """Radius of 90 % of a point source's photons at 1.5 keV, arcsec.

    1 + 10 (theta / 10 arcmin)^2: Hickox & Markevitch (2006, ApJ 645, 95), section 3.

    Args:
        theta_B: off-axis angle, arcmin.
    """
    return 1 + 10 * (theta_B / 10) ** 2


def response(
    detector: str = "s", year: float = 2000.0, dtype: torch.dtype = torch.float32
) -> Response:
    """The on-axis response: channels 1-1024 of 14.6 eV, photon energies of 0.2-11 keV.

    Args:
        detector: s (S3) or i (I3).
        year: year of the observation, for the contamination.
        dtype: dtype of the matrix.
    """
    energy_edges_E1 = energy_grid([(0.2, 0.005), (2.0, 0.01)], 11.0)
    energy_E = (energy_edges_E1[1:] + energy_edges_E1[:-1]) / 2
    area_E = area(energy_E, detector, year)
    _, fwhm, name = _DETECTORS[detector]
    channel_edges_C1 = torch.arange(1025, dtype=torch.float64) * 0.0146
    ccd = Ccd(
        channel_edges_C1,
        fwhm,
        ((0.2, 0.5), (11.0, 0.5)),
        depth=0.05,
        power=1.2,
        shelf=(0.03, 0.015),
    )
    return Response(
        energy_edges_E1=energy_edges_E1,
        matrix_EC=(area_E[:, None] * ccd.redistribution(energy_E)).to(dtype),
        channel_edges_C1=channel_edges_C1,
        first_channel=1,
        telescope="CHANDRA",
        instrument=name,
    )


def _area(detector: str, energy_E: Tensor, year: str) -> Tensor:
    return area(energy_E, detector, float(year))


def _response(detector: str, year: str, dtype: torch.dtype) -> Response:
    return response(detector, float(year), dtype)


# INSTRUME of the archive's files is ACIS for both; what is simulated here says which. The filter is
# the year: the contamination of the optical blocking filter grows.
INSTRUMENTS = tuple(
    Instrument(
        name=f"acis_{detector}",
        title=name,
        telescope="CHANDRA",
        detectors=(name, "ACIS"),
        filters=_YEARS,
        band_kev=(0.5, 8.0),
        area=partial(_area, detector),
        make_response=partial(_response, detector),
        background=_BACKGROUND[detector],
        events=_EVENTS,
        filter_is_year=True,
    )
    for detector, (_, _, name) in _DETECTORS.items()
)
