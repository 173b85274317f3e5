"""The family of EPIC-pn backgrounds against observed ones."""

import pytest
import torch

from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.response import rebin_channels

pytestmark = pytest.mark.reference

BANDS = [0.3, 0.5, 0.7, 1.0, 1.35, 1.6, 2.0, 3.0, 5.0, 7.0, 7.7, 8.3, 9.2, 12.0]


@pytest.mark.parametrize(
    ("path", "filter_name", "arcmin2"),
    [
        # BACKSCAL in pixels of 0.05 arcsec; the blank sky fills the box of its SLCTEXPR
        ("xmm/ngc7793_ulx4/PNbackground_spectrum.fits", "medium", 6866200 * (0.05 / 60) ** 2),
        ("xmm_instrument/pntffg_spectrum.ds", "thin", 4 * 16060 * 15620 * (0.05 / 60) ** 2),
    ],
    ids=["ngc7793", "blank-sky"],
)
def test_observed_backgrounds_lie_within_the_family(reference_data, path, filter_name, arcmin2):
    """In every band within 98 % of the draws, and within a factor of 2.5 of their median."""
    from astropy.io import fits

    with fits.open(reference_data / path) as hdus:
        counts_C = torch.tensor(hdus[1].data["COUNTS"].astype(float))
        exposure_s = hdus[1].header["EXPOSURE"]
    response = epic_pn.response(filter_name)
    generator = torch.Generator().manual_seed(0)
    rate_BC = epic_pn.INSTRUMENT.draw_backgrounds(response, 1000, generator, (1.0, 1.0))
    family = rebin_channels(rate_BC, response.channel_edges_C1, BANDS)
    counts = rebin_channels(counts_C, response.channel_edges_C1, BANDS)
    observed = counts / exposure_s / arcmin2
    allowed = 1 + 2 / counts.clamp(min=1).sqrt()  # two sigma of the observed counts
    low, high = family.quantile(0.01, dim=0), family.quantile(0.99, dim=0)
    assert bool((observed * allowed > low).all()), observed / low
    assert bool((observed / allowed < high).all()), observed / high

    level = observed / family.median(dim=0).values
    assert float(level.min()) > 0.4
    assert float(level.max()) < 2.5
