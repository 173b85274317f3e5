"""Sky coordinates of EPIC-pn's detector images against the cores of galaxies in them."""

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter

from wolter.xray.instruments.pointing import celestial

pytestmark = pytest.mark.reference

CORES = {  # right ascension and declination of radio or optical cores, deg (J2000)
    "0085110101": (49.95067, 41.51170),  # NGC 1275
    "0200920101": (187.70593, 12.39112),  # M87
    "0400620101": (54.62094, -35.45066),  # NGC 1399
    "0781350101": (54.71633, -35.59439),  # NGC 1404
}


@pytest.mark.parametrize("observation", CORES)
def test_the_core_is_where_the_brightest_pixels_are(reference_data, observation):
    (path,) = (reference_data / "xmm_images" / "real" / "full").glob(f"{observation}*")
    counts_HW, header = fits.getdata(path), fits.getheader(path)
    smooth_HW = gaussian_filter(counts_HW.astype(float), 2)
    row, column = np.unravel_index(smooth_HW.argmax(), smooth_HW.shape)
    at = celestial(header).world_to_pixel_values(*CORES[observation])
    # Pixels are 4 arcsec; the satellite knows its attitude to 1 to 2 arcsec.
    assert np.hypot(at[0] - column, at[1] - row) * 4 < 6
