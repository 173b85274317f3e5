"""XMM-Newton EPIC-MOS1 and MOS2 on axis, made from published numbers: nothing need be downloaded.

Effective area: the mirrors and filters are of EPIC-pn's make (`epic_pn.area` over the quantum
efficiency of its 280 micrometres of silicon), and the reflection gratings let 44 % of the light
through (XMM-Newton Users' Handbook, sections 3.2.2 and 3.3.6). Quantum efficiency: 40 % of each
pixel is open, under the gate oxide alone, and the rest lies under the electrodes (Turner et al.
2001, A&A 365, L27). The thickness of electrodes and oxides is approximate, and so is the depth that
gives good patterns: both are what the area of an observation of 2012 asks for.

Redistribution: widths that grow as the square root of the energy, as those that the handbook shows
(section 3.3.4) after the cooling of 2002; surface loss of charge, which distorts lines below 0.6
keV and has grown with time, is taken as that of a thin layer. MOS1 and MOS2 share all but the PSF.

The area agrees with that of the MOS1 observation of MN Lup, 1.7 arcmin off axis and within 83 % of
the PSF, to 2 % in 0.3-8 keV as a whole and to 7 % in every band between the edges; the narrow dip
that follows the Si edge is left out. No matrix of the calibration has been compared: widths are
good to some 10 %, and shoulders of lines below 0.6 keV are a guess.

Shapes: E energy.
"""

import torch
from torch import Tensor

from wolter.xray.instruments import epic_pn
from wolter.xray.instruments.background import BackgroundLevels
from wolter.xray.instruments.ccd import SILICON_LENGTH, Ccd, Knots, energy_grid, interpolate
from wolter.xray.instruments.event_rules import EventRules, no_flag
from wolter.xray.instruments.instrument import Imaging, Instrument
from wolter.xray.instruments.psf import Psf
from wolter.xray.spectral.response import Response

_GRATINGS = 0.44  # share of the light that passes the reflection gratings
_OPEN = 0.40  # share of a pixel without electrodes
_ELECTRODES = 0.26  # micrometres of silicon
_OXIDE = (0.10, 0.76)  # micrometres of SiO2: open, and with the electrodes
_DEPTH, _PN_DEPTH = 29.0, 280.0  # micrometres in which photons are recorded

# Photoelectric mass attenuation of oxygen in cm^2/g (keV, mu): Henke et al. (1993), Elam et al.
# (2002), rounded. SiO2 has 2.2 g/cm^3 and 53 % of oxygen by weight.
_OXYGEN: Knots = (
    (0.05, 1.2e5), (0.10, 3.7e4), (0.15, 1.8e4), (0.20, 1.1e4), (0.30, 4550.0), (0.40, 2300.0),
    (0.5317, 1170.0), (0.5317, 2.26e4), (0.60, 1.68e4), (0.70, 1.16e4), (0.80, 8300.0),
    (1.00, 4590.0), (1.50, 1549.0), (2.00, 695.0), (3.00, 217.0), (5.00, 47.9), (10.0, 5.95),
    (16.0, 1.5),
)  # fmt: skip
_SIO2_DENSITY, _OXYGEN_SHARE, _SILICON_DENSITY = 2.2, 0.533, 2.33

# FWHM of the core (keV, eV): 70 eV at 1 keV.
_FWHM: Knots = (
    (0.1, 50.0), (0.5, 60.0), (1.0, 70.0), (1.5, 79.0), (2.0, 86.0), (3.0, 99.0), (4.0, 111.0),
    (6.0, 132.0), (8.0, 150.0), (10.0, 167.0), (12.0, 182.0),
)  # fmt: skip

# Fraction of the charge lost at the surface.
_CHARGE_LOSS: Knots = ((0.1, 0.6), (0.6, 0.4), (12.0, 0.4))

# Cosmic rays leave a third to a half of EPIC-pn's counts in the same field (Carter & Read 2007, A&A
# 464, 1155). Which lines: Kuntz & Snowden (2008, A&A 478, 575); Al and Si are the strongest. Levels
# are approximate, about those of the MN Lup observation. CCDs in an anomalous state, noisy below 1
# keV, are left out.
_BACKGROUND = BackgroundLevels(
    continuum=(1.4e-4, 0.3),
    protons=(2e-5, 2e-3),
    lines=(
        (1.487, 1.8e-4),  # Al
        (1.740, 1.4e-4),  # Si
        (2.123, 1.0e-5),  # Au M
        (5.410, 1.2e-5),  # Cr
        (6.400, 1.0e-5),  # Fe
        (7.470, 5.0e-6),  # Ni
        (8.630, 5.0e-6),  # Zn
        (9.713, 2.0e-5),  # Au L
    ),
    noise=5e-3,
    region_arcmin2=(0.7, 2.8),  # 30-60 arcsec of radius
)

# Singles to quadruples (PATTERN 0-12) without a flag: handbook, section 3.3.
_EVENTS = EventRules(
    good={"PATTERN": lambda values: (values >= 0) & (values <= 12), "FLAG": no_flag},
    energy=("ENERGY", "PI"),
)

# King profiles of the calibration (release note XMM-CCF-REL-116), round; the terms in energy times
# off-axis angle are those of 1 keV. Images off axis are elliptical as EPIC-pn's are.
_PSF = {
    1: Psf(
        core_arcsec=4.838,
        core_per_kev=-0.236,
        core_per_arcmin=-0.016,
        slope=1.462,
        slope_per_kev=-0.010,
        slope_per_arcmin=-0.0026,
        slope_per_arcmin2=0.0,
    ),
    2: Psf(
        core_arcsec=4.556,
        core_per_kev=-0.203,
        core_per_arcmin=-0.009,
        slope=1.406,
        slope_per_kev=-0.005,
        slope_per_arcmin=-0.0012,
        slope_per_arcmin2=0.0,
    ),
}


def quantum_efficiency(energy_E: Tensor) -> Tensor:
    """Share of photons at energies in keV that leave a good pattern in the CCD."""
    length_E = interpolate(energy_E, SILICON_LENGTH)
    oxygen_E = _OXYGEN_SHARE * _SIO2_DENSITY * 1e-4 * interpolate(energy_E, _OXYGEN)
    silicon = (1 - _OXYGEN_SHARE) * _SIO2_DENSITY / _SILICON_DENSITY
    oxide_E = oxygen_E + silicon / length_E  # per micrometre
    passed_E = _OPEN * torch.exp(-_OXIDE[0] * oxide_E)
    passed_E += (1 - _OPEN) * torch.exp(-_ELECTRODES / length_E - _OXIDE[1] * oxide_E)
    return -passed_E * torch.expm1(-_DEPTH / length_E)


def area(energy_E: Tensor, filter: str = "thin") -> Tensor:  # noqa: A002 - the field's word
    """On-axis effective area of one camera in cm^2 at energies in keV.

    Args:
        energy_E: keV, 0.1-12.
        filter: thin, medium or thick.

    Raises:
        InputError: the filter is unknown.
    """
    pn_E = -torch.expm1(-_PN_DEPTH / interpolate(energy_E, SILICON_LENGTH))
    return _GRATINGS * epic_pn.area(energy_E, filter) / pn_E * quantum_efficiency(energy_E)


def _response(detector: str, filter_name: str, dtype: torch.dtype) -> Response:
    """800 channels of 15 eV from 0, photon energies of 0.1-12 keV."""
    energy_edges_E1 = energy_grid([(0.1, 0.005), (2.0, 0.01)], 12.0)
    energy_E = (energy_edges_E1[1:] + energy_edges_E1[:-1]) / 2
    channel_edges_C1 = torch.arange(801, dtype=torch.float64) * 0.015
    ccd = Ccd(channel_edges_C1, _FWHM, _CHARGE_LOSS, depth=0.05, power=1.2, shelf=(0.03, 0.015))
    return Response(
        energy_edges_E1=energy_edges_E1,
        matrix_EC=(area(energy_E, filter_name)[:, None] * ccd.redistribution(energy_E)).to(dtype),
        channel_edges_C1=channel_edges_C1,
        first_channel=0,
        telescope="XMM",
        instrument=detector,
        filter=filter_name.capitalize(),
    )


def _camera(number: int) -> Instrument:
    detector = f"EMOS{number}"
    return Instrument(
        name=f"epic_mos{number}",
        title=f"EPIC-MOS{number}",
        telescope="XMM",
        detectors=(detector, f"MOS{number}"),
        filters=epic_pn.INSTRUMENT.filters,
        band_kev=(0.3, 10.0),
        area=area,
        make_response=lambda filter_name, dtype: _response(detector, filter_name, dtype),
        background=_BACKGROUND,
        events=_EVENTS,
        imaging=Imaging(
            psf=_PSF[number],
            pixel_arcsec=1.1,
            detector_arcsec=0.05,
            # Handbook, section 3.3.10: the frame store is read behind the image.
            out_of_time={"PrimeFullWindow": 0.0035},
        ),
    )


INSTRUMENTS = (_camera(1), _camera(2))
