"""Folding agrees with Sherpa's on real responses.

In float64 the two do the same sums: 1e-12 leaves room for their order. In float32 (the default)
each channel sums up to 1,400 products: 1e-5 of every channel that expects counts at all. One
spectrum at a time adds in one running sum, ten times less exactly than a batch, and still within.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from wolter.xray.spectral.response import Response, read_response

pytestmark = [pytest.mark.reference, pytest.mark.peers]
EXPOSURE = 25e3
SLOPES = np.array([0.5, 1.001, 1.7, 2.0, 2.5, 3.0, 4.0])
SETS = [
    ("xmm/ngc7793_ulx4/PN.rmf", "xmm/ngc7793_ulx4/PN.arf"),
    ("xmm_instrument/epn_e3_ff20_sdY9_v19.0.rmf", "xmm_instrument/pn_thin_onaxis.arf"),
    ("chandra/3c273/3c273.rmf", "chandra/3c273/3c273.arf"),
    ("chandra/qso/qso.wrmf", "chandra/qso/qso.warf"),
    (
        "chandra/acisf01575/acisf01575_001N001_r0085_rmf3.fits.gz",
        "chandra/acisf01575/acisf01575_001N001_r0085_arf3.fits.gz",
    ),
]


def powerlaws(response: Response) -> torch.Tensor:
    """Photons cm^-2 s^-1 in each bin of power laws of norm 1e-3."""
    edges = response.energy_edges_E1.numpy()
    power = 1 - SLOPES[:, None]
    return torch.from_numpy(1e-3 * (edges[1:] ** power - edges[:-1] ** power) / power)


def sherpa_counts(io, rmf: Path, arf: Path, flux_BE: torch.Tensor) -> torch.Tensor:
    matrix, area = io.read_rmf(str(rmf)), io.read_arf(str(arf))
    rows = [matrix.apply_rmf(area.apply_arf(flux)) for flux in flux_BE.numpy()]
    return torch.from_numpy(np.array(rows)) * EXPOSURE


@pytest.mark.parametrize(("rmf", "arf"), SETS)
def test_fold(reference_data, rmf, arf):
    from sherpa.astro import io

    rmf, arf = reference_data / rmf, reference_data / arf
    exact = read_response(rmf, arf, dtype=torch.float64)
    flux_BE = powerlaws(exact)
    expected = sherpa_counts(io, rmf, arf, flux_BE)
    torch.testing.assert_close(exact.fold(flux_BE, EXPOSURE), expected, rtol=1e-12, atol=0)
    fast = read_response(rmf, arf)
    batch = fast.fold(flux_BE.repeat(10, 1), EXPOSURE)[: len(SLOPES)]
    torch.testing.assert_close(batch.double(), expected, rtol=1e-5, atol=0)
    for flux_E, counts_C in zip(flux_BE, expected, strict=True):
        torch.testing.assert_close(
            fast.fold(flux_E, EXPOSURE).double(), counts_C, rtol=2e-5, atol=0
        )


def test_band_and_rebin_on_a_real_response(reference_data):
    folder = reference_data / "xmm" / "ngc7793_ulx4"
    response = read_response(folder / "PN.rmf", folder / "PN.arf", dtype=torch.float64)
    flux_BE = powerlaws(response)
    counts_BC = response.fold(flux_BE)
    band = response.band(0.3, 10)
    start = band.first_channel
    assert (start, band.n_channels) == (56, 1944)
    torch.testing.assert_close(
        band.fold(flux_BE), counts_BC[:, start : start + band.n_channels], rtol=1e-12, atol=0
    )
    edges = np.geomspace(0.3, 10, 111)
    rebinned = response.rebin(edges).fold(flux_BE)
    torch.testing.assert_close(rebinned.sum(1), band.fold(flux_BE).sum(1))
