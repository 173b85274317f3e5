"""XMM-Newton EPIC-pn on axis, made from published numbers: nothing need be downloaded.

Effective area: the figure of the XMM-Newton Users' Handbook (section 3.2.2.1; thin filter) as
knots of about 2 % roughness, with the edges of C, N, O, Al and Si K and Au M and L. Filters: the
layers of section 3.3.6. Redistribution: full frame, singles and doubles, at the far end of the
CCDs (the broadest lines), see `wolter.xray.instruments.ccd.Ccd`.

Counts of absorbed power law, line and blackbody agree to 2 % in 0.3-1, 1-2, 2-5 and 5-8 keV with
those of the on-axis thin ARF and canned full-frame RMF of the calibration, and line widths to 4 %
from 0.5 to 12 keV (8 % from 0.35 keV; broader below). Real extraction regions hold less of the PSF.
"""

import torch
from torch import Tensor

from wolter.xray.instruments import epic_pn_camera
from wolter.xray.instruments.background import BackgroundLevels
from wolter.xray.instruments.ccd import Ccd, Knots, energy_grid, interpolate, transmission
from wolter.xray.instruments.event_rules import EventRules, no_flag
from wolter.xray.instruments.instrument import Imaging, Instrument
from wolter.xray.instruments.psf import Psf
from wolter.xray.spectral.response import Response

# keV, cm^2: mirrors, thin filter and quantum efficiency together.
_AREA_THIN: Knots = (
    (0.050, 16.0), (0.055, 120.0), (0.0705, 315.0), (0.0745, 208.0), (0.082, 200.0), (0.090, 147.0),
    (0.0945, 106.0), (0.104, 217.0), (0.111, 162.0), (0.126, 146.0), (0.145, 257.0), (0.160, 272.0),
    (0.175, 370.0), (0.210, 485.0), (0.250, 675.0), (0.284, 797.0), (0.284, 430.0), (0.293, 280.0),
    (0.297, 250.0), (0.304, 280.0), (0.313, 445.0), (0.350, 602.0), (0.401, 738.0), (0.410, 691.0),
    (0.428, 800.0), (0.490, 942.0), (0.528, 980.0), (0.540, 785.0), (0.548, 851.0), (0.575, 924.0),
    (0.670, 1050.0), (0.800, 1175.0), (1.00, 1278.0), (1.20, 1335.0), (1.40, 1370.0),
    (1.559, 1388.0), (1.559, 1310.0), (1.60, 1335.0), (1.839, 1363.0), (1.839, 1340.0),
    (1.90, 1358.0), (2.09, 1347.0), (2.21, 1260.0), (2.24, 1160.0), (2.262, 885.0), (2.31, 880.0),
    (2.345, 804.0), (2.47, 877.0), (2.65, 910.0), (2.72, 908.0), (2.77, 845.0), (3.08, 918.0),
    (3.25, 901.0), (4.25, 942.0), (5.00, 936.0), (5.57, 914.0), (6.00, 875.0), (6.50, 832.0),
    (7.00, 739.0), (7.52, 639.0), (8.00, 550.0), (9.00, 404.0), (10.0, 272.0), (11.0, 175.0),
    (11.8, 93.0), (11.92, 30.0), (12.0, 41.0), (12.4, 41.0), (13.0, 29.0), (13.7, 12.5),
    (13.75, 8.0), (14.0, 9.0), (15.0, 4.7), (16.0, 1.9),
)  # fmt: skip

# Filter layers in g/cm^2 beyond those of the thin filter (1600 A polyimide, 400 A aluminium).
_POLYIMIDE, _POLYPROPYLENE, _ALUMINIUM, _TIN = (1e-8 * rho for rho in (1.42, 0.90, 2.70, 7.30))
_EXTRA_LAYERS: dict[str, dict[str, float]] = {
    "thin": {},
    "medium": {"aluminium": 400 * _ALUMINIUM},
    "thick": {
        "polyimide": -1600 * _POLYIMIDE,
        "polypropylene": 3300 * _POLYPROPYLENE,
        "aluminium": 700 * _ALUMINIUM,
        "tin": 450 * _TIN,
    },
}

# FWHM of the core (keV, eV).
_FWHM: Knots = (
    (0.05, 94.0), (0.5, 96.0), (1.0, 107.0), (1.5, 118.0), (2.0, 130.0), (3.0, 152.0), (4.0, 174.0),
    (5.0, 195.0), (6.0, 216.0), (7.0, 236.0), (8.0, 254.0), (10.0, 285.0), (12.0, 302.0),
)  # fmt: skip

# Fraction of the charge lost at the window.
_CHARGE_LOSS: Knots = (
    (0.2, 0.80), (0.4, 0.60), (0.7, 0.55), (1.2, 0.465), (2.0, 0.44), (4.0, 0.38),
)  # fmt: skip


# Levels: Katayama et al. (2004, A&A 414, 767), Carter & Read (2007, A&A 464, 1155) and the XMM-
# Newton Users' Handbook, section 3.3.7.
_BACKGROUND = BackgroundLevels(
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
    region_arcmin2=(0.7, 2.8),  # 30-60 arcsec of radius
    board_kev=7.0,
)

# Singles and doubles (PATTERN 0-4) without a flag; RAWY 1-12, next to the read-out, is noisy: XMM-
# Newton Users' Handbook, section 3.3.
_EVENTS = EventRules(
    good={
        "PATTERN": lambda values: (values >= 0) & (values <= 4),
        "FLAG": no_flag,
        "RAWY": lambda values: values >= 13,
    },
    energy=("ENERGY", "PI"),
)


def area(energy_E: Tensor, filter: str = "thin") -> Tensor:  # noqa: A002 - the field's word
    """On-axis effective area in cm^2 at energies in keV.

    Args:
        energy_E: keV, 0.05-16.
        filter: thin, medium or thick.

    Raises:
        InputError: the filter is unknown.
    """
    layers = _EXTRA_LAYERS[INSTRUMENT.check_filter(filter)]
    return interpolate(energy_E, _AREA_THIN) * transmission(energy_E, layers)


def response(filter: str = "thin", dtype: torch.dtype = torch.float32) -> Response:  # noqa: A002
    """The on-axis response: 4096 channels of 5 eV from 0, photon energies of 0.05-16 keV.

    Args:
        filter: thin, medium or thick.
        dtype: dtype of the matrix.
    """
    energy_edges_E1 = energy_grid([(0.05, 0.003), (1.1, 0.005), (4.0, 0.01)], 16.0)
    energy_E = (energy_edges_E1[1:] + energy_edges_E1[:-1]) / 2
    channel_edges_C1 = torch.arange(4097, dtype=torch.float64) * 0.005
    ccd = Ccd(channel_edges_C1, _FWHM, _CHARGE_LOSS, depth=0.097, power=1.18, shelf=(0.095, 0.025))
    matrix_EC = area(energy_E, filter)[:, None] * ccd.redistribution(energy_E)
    return Response(
        energy_edges_E1=energy_edges_E1,
        matrix_EC=matrix_EC.to(dtype),
        channel_edges_C1=channel_edges_C1,
        first_channel=0,
        telescope="XMM",
        instrument="EPN",
        filter=filter.capitalize(),
    )


INSTRUMENT = Instrument(
    name="epic_pn",
    title="EPIC-pn",
    telescope="XMM",
    detectors=("EPN", "PN"),
    filters=tuple(_EXTRA_LAYERS),
    band_kev=(0.3, 10.0),
    area=area,
    make_response=response,
    background=_BACKGROUND,
    events=_EVENTS,
    imaging=Imaging(
        psf=Psf(),
        pixel_arcsec=4.1,
        detector_arcsec=epic_pn_camera.DETECTOR_ARCSEC,
        out_of_time=epic_pn_camera.OUT_OF_TIME,
        # The mean of NGC 1275, M87, NGC 1399 and NGC 1404 in four observations, which scatter by
        # 1.5 arcsec about it.
        pointing=(-52.4, 75.9),
        camera=epic_pn_camera,
    ),
)
