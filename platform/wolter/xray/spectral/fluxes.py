"""Counts per energy flux of a spectrum, through a response."""

from collections.abc import Mapping

import torch

from wolter.errors import InputError
from wolter.xray.emission import components
from wolter.xray.spectral.response import Response

ERG_PER_KEV = 1.602176634e-9

# Spectra of the sources in simulated images, as observed: behind a Galactic column of 4e20 cm^-2.
SPECTRA: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "agn": ("tbabs * powerlaw", {"nh": 0.04, "slope": 1.9, "pow_norm": 1.0}),
    "cluster": ("tbabs * bremss", {"nh": 0.04, "brems_kt": 4.0, "brems_norm": 1.0}),
    "remnant": ("tbabs * bremss", {"nh": 0.04, "brems_kt": 0.6, "brems_norm": 1.0}),
    "galaxy": ("tbabs * bremss", {"nh": 0.04, "brems_kt": 0.8, "brems_norm": 1.0}),
}


def counts_per_flux(
    model: str,
    parameters: Mapping[str, float],
    response: Response,
    band_kev: tuple[float, float] = (0.5, 2.0),
    flux_band_kev: tuple[float, float] | None = None,
    photons_kev: tuple[float, float] | None = None,
) -> float:
    """Counts/s per erg cm^-2 s^-1 that arrives, i.e. after the model's absorption.

    Args:
        model: emission model; its norm drops out.
        parameters: parameters of the model.
        response: response of the instrument.
        band_kev: the channels that are counted, nominal energies.
        flux_band_kev: energies in which the flux is given; default: the same band.
        photons_kev: only photons of these energies exist, as where a spectrum was cut.

    Raises:
        InputError: unknown model or parameter, or a band without photons.
    """
    edges_E1 = response.energy_edges_E1.double()
    middle_E = (edges_E1[1:] + edges_E1[:-1]) / 2
    flux_E = components.parse(model)(edges_E1, dict(parameters))[0]
    low, high = flux_band_kev or band_kev
    inside_E = (middle_E >= low) & (middle_E < high)
    energy_flux = float((flux_E * middle_E)[inside_E].sum()) * ERG_PER_KEV
    if not energy_flux > 0:
        raise InputError(f"no photons between {low} and {high} keV; {model} through the response")
    if photons_kev is not None:
        flux_E = flux_E * ((middle_E >= photons_kev[0]) & (middle_E < photons_kev[1]))
    counted = response.band(*band_kev).to(dtype=torch.float64)
    return float(counted.fold(flux_E[None]).sum()) / energy_flux


def source_rates(response: Response, band_kev: tuple[float, float]) -> dict[str, float]:
    """Counts/s per erg cm^-2 s^-1 in the band, for every kind of source of `SPECTRA`."""
    return {
        kind: counts_per_flux(model, parameters, response, band_kev)
        for kind, (model, parameters) in SPECTRA.items()
    }
