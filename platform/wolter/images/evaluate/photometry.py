"""Aperture photometry of point sources, corrected by the PSF at each position.

Shapes: H and W rows and columns of an image, N sources, K rows and columns of a cut-out.
"""

import math

import numpy as np
from numpy.typing import NDArray

from wolter.images.evaluate.detection import Array, Image

APERTURE, INNER, OUTER = 12.0, 20.0, 32.0  # arcsec: of the aperture and its surroundings
LIVE = 0.8  # exposed share of a source's photons in the aperture that is enough to measure them
AROUND = 0.3  # exposed share of the surroundings that is enough


def photometry(image: Image, arcsec_N2: Array) -> Array:
    """Rates (N) of point sources, ct/s on the axis; NaN where little is exposed.

    Sum over the exposed pixels of an aperture less as many times the mean of those of a ring around
    it, over the same of the point-spread function at that place: what lies in gaps, in the ring and
    beyond, and how images stretch off the axis, is all accounted for. Apertures of photutils would
    not measure the point-spread function through the same pixels.
    """
    place_N2 = image.pixels(arcsec_N2)
    nearest_N2 = np.floor(place_N2 + 0.5).astype(int)
    reach = math.ceil(OUTER / image.pixel_arcsec)
    stamp_NKK = image.stamps(arcsec_N2, reach)
    at_K = np.arange(-reach, reach + 1)
    pad = ((reach, reach), (reach, reach))
    rate_HW, live_HW = np.pad(image.rate_HW, pad), np.pad(image.exposure_HW > 0, pad)
    rows, columns = image.exposure_HW.shape
    measured_N = np.full(len(arcsec_N2), np.nan)
    for i, (column, row) in enumerate(nearest_N2):
        if not (0 <= row < rows and 0 <= column < columns):
            continue
        x, y = place_N2[i] - nearest_N2[i]
        radius_KK = np.hypot(at_K - x, (at_K - y)[:, None]) * image.pixel_arcsec
        window = slice(row, row + 2 * reach + 1), slice(column, column + 2 * reach + 1)
        live_KK = live_HW[window]
        inside_KK = radius_KK <= APERTURE
        ring_KK = (radius_KK > INNER) & (radius_KK <= OUTER)
        exposed = stamp_NKK[i][inside_KK & live_KK].sum() / stamp_NKK[i][inside_KK].sum()
        if exposed < LIVE or (ring_KK & live_KK).sum() < AROUND * ring_KK.sum():
            continue
        parts = inside_KK & live_KK, ring_KK & live_KK
        measured_N[i] = _over(rate_HW[window], *parts) / _over(stamp_NKK[i], *parts)
    return measured_N


def _over(image_KK: Array, inside_KK: NDArray[np.bool_], ring_KK: NDArray[np.bool_]) -> float:
    """Aperture flux above its surroundings."""
    return float(image_KK[inside_KK].sum() - inside_KK.sum() * image_KK[ring_KK].mean())
