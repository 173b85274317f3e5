"""Simulation of one observation on all channels of a response, as XSPEC's `fakeit`.

Shapes: C channel, E energy bin.
"""

import torch
from torch import Tensor

from wolter.xray.ogip.pha import Spectrum
from wolter.xray.spectral.response import Response


def fakeit(
    response: Response,
    flux_E: Tensor,
    exposure_s: float,
    generator: torch.Generator,
    background_rate_C: Tensor | None = None,
    background_scale: float = 1.0,
) -> tuple[Spectrum, Spectrum | None]:
    """Draw source and background spectra with Poisson statistics.

    Args:
        response: response of the instrument.
        flux_E: photons cm^-2 s^-1 in each energy bin.
        exposure_s: exposure of both spectra.
        generator: source of randomness.
        background_rate_C: expected background in the source region, counts/s; None for none.
        background_scale: area of the source region over that of the background region.

    Returns:
        The spectrum of the source region and that of the background region, None for none.
    """
    expected_C = response.fold(flux_E[None], exposure_s)[0].double()
    if background_rate_C is None:
        return _spectrum(torch.poisson(expected_C, generator), response, exposure_s, 1.0), None
    background_C = background_rate_C.double() * exposure_s
    counts_C = torch.poisson(expected_C + background_C, generator)
    region_C = torch.poisson(background_C / background_scale, generator)
    return (
        _spectrum(counts_C, response, exposure_s, background_scale),
        _spectrum(region_C, response, exposure_s, 1.0),
    )


def _spectrum(
    counts_C: Tensor, response: Response, exposure_s: float, backscale: float
) -> Spectrum:
    return Spectrum(
        counts_C,
        exposure_s,
        backscale=backscale,
        first_channel=response.first_channel,
        telescope=response.telescope,
        instrument=response.instrument,
        filter=response.filter,
    )
