"""Detection and photometry of point sources in counts and in enhanced images, both alike.

Shapes: H and W rows and columns of an image, N detections or sources.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wolter.xray import detector
from wolter.xray.psf import Psf

Array = NDArray[np.float64]
THRESHOLD = 2.0  # sigma of the matched filter's image: all that may be a source
MIN_PIXELS = 3
DEBLENDING, CONTRAST = 32, 0.01  # levels, and the least share of flux that makes a source
MESH_ARCSEC = 240.0  # of the local background
APERTURE, INNER, OUTER = 12.0, 20.0, 32.0  # arcsec: of the photometry, and of its surroundings
LIVE = 0.9  # exposed share of an aperture that is enough to measure in it


@dataclass(frozen=True)
class Image:
    """An image to find sources in, on any grid of the frame.

    Attributes:
        rate_HW: ct/s in every pixel, background subtracted.
        exposure_HW: s; 0 where nothing is recorded.
        background_HW: expected counts in the exposure: the noise.
        psf: of the image.
        pixel_arcsec: side of a pixel.
    """

    rate_HW: Array
    exposure_HW: Array
    background_HW: Array
    psf: Psf
    pixel_arcsec: float

    @classmethod
    def of(
        cls, rate_HW: Tensor, exposure_HW: Tensor, background_HW: Tensor, psf: Psf, pixel: float
    ) -> "Image":
        """From tensors."""
        rate, exposure, background = (
            each.double().numpy() for each in (rate_HW, exposure_HW, background_HW)
        )
        return cls(rate, exposure, background, psf, pixel)

    def pixels(self, arcsec_N2: Array) -> Array:
        """Columns and rows (N, 2) of offsets x, y from the boresight; whole at pixel centres."""
        scale = detector.PIXEL_ARCSEC / self.pixel_arcsec
        found: Array = arcsec_N2 / self.pixel_arcsec + np.array(detector.AXIS_XY) * scale - 0.5
        return found

    def arcsec(self, pixel_N2: Array) -> Array:
        """The inverse of `pixels`."""
        scale = detector.PIXEL_ARCSEC / self.pixel_arcsec
        found: Array = (pixel_N2 + 0.5 - np.array(detector.AXIS_XY) * scale) * self.pixel_arcsec
        return found


@dataclass(frozen=True)
class Detections:
    """What was found.

    Attributes:
        arcsec_N2: offsets x, y from the boresight.
        score_N: peak of the matched filter, sigma of the background's noise.
    """

    arcsec_N2: Array
    score_N: Array


def detect(image: Image, threshold: float = THRESHOLD) -> Detections:
    """Sources, as SExtractor finds them (Bertin & Arnouts 1996) behind a matched filter.

    The image is taken in counts, so that noise is that of the expected background in the exposure.
    """
    # Imported where it is used: a compiled library that only this needs.
    import sep
    from scipy.ndimage import convolve

    live_HW = image.exposure_HW > 0
    counts_HW = np.where(live_HW, image.rate_HW * image.exposure_HW, 0.0)
    mesh = max(8, round(MESH_ARCSEC / image.pixel_arcsec))
    counts_HW -= sep.Background(counts_HW, mask=~live_HW, bw=mesh, bh=mesh).back()
    counts_HW[~live_HW] = 0.0
    kernel_KK = bell(image)
    # Photons of bright sources are noise, too.
    bright_HW = convolve(counts_HW, kernel_KK, mode="constant").clip(min=0)
    variance_HW = np.where(live_HW, image.background_HW + bright_HW, 1.0).clip(min=1e-6)
    signal_HW = convolve(counts_HW / variance_HW, kernel_KK, mode="constant")
    spread_HW = convolve(live_HW / variance_HW, kernel_KK**2, mode="constant")
    ratio_HW = signal_HW / np.sqrt(spread_HW.clip(min=1e-12))
    found = sep.extract(
        ratio_HW * live_HW,
        threshold,
        minarea=MIN_PIXELS,
        filter_kernel=None,
        deblend_nthresh=DEBLENDING,
        deblend_cont=CONTRAST,
        clean=False,
    )
    column_N, row_N = found["xpeak"], found["ypeak"]
    # From the peak: the middle of a large, faint island is nothing's place.
    sigma = image.psf.fwhm() / 2.3548 / image.pixel_arcsec
    x_N, y_N, _ = sep.winpos(counts_HW, column_N.astype(float), row_N.astype(float), sigma)
    return Detections(
        arcsec_N2=image.arcsec(np.stack([x_N, y_N], 1)), score_N=ratio_HW[row_N, column_N]
    )


def bell(image: Image) -> Array:
    """Gaussian kernel (odd rows and columns) as wide as the image's point-spread function."""
    sigma = image.psf.fwhm() / 2.3548 / image.pixel_arcsec
    half = max(1, round(2.5 * sigma))
    at = np.arange(-half, half + 1)
    weight = np.exp(-0.5 * (at / sigma) ** 2)
    kernel: Array = np.outer(weight, weight) / weight.sum() ** 2
    return kernel


def photometry(image: Image, arcsec_N2: Array) -> Array:
    """Rates (N) of point sources at known places, ct/s on the axis; NaN where little is exposed.

    Sum in an aperture less the mean of a ring around it, over the share of a source's photons that
    this difference holds.
    """
    import sep

    live_HW = image.exposure_HW > 0
    x_N, y_N = image.pixels(arcsec_N2).T
    side = image.pixel_arcsec
    options = {"mask": ~live_HW, "subpix": 5}
    rate_N, _, _ = sep.sum_circle(
        np.where(live_HW, image.rate_HW, 0.0),
        x_N,
        y_N,
        APERTURE / side,
        bkgann=(INNER / side, OUTER / side),
        **options,
    )
    exposed_N, _, _ = sep.sum_circle(live_HW.astype(float), x_N, y_N, APERTURE / side, subpix=5)
    enough_N = exposed_N >= LIVE * np.pi * (APERTURE / side) ** 2
    theta_N = np.hypot(*arcsec_N2.T) / 60
    measured: Array = np.where(enough_N, rate_N / held(image.psf, theta_N), np.nan)
    return measured


def held(psf: Psf, theta_N: Array) -> Array:
    """Share of a source's photons in the aperture, less what the ring takes for background."""
    import torch

    theta = torch.from_numpy(theta_N)
    r0_N, alpha_N = psf.core(theta).numpy(), psf.alpha(theta).numpy()

    def enclosed(radius: float) -> Array:
        share: Array = 1 - (1 + (radius / r0_N) ** 2) ** (1 - alpha_N)
        return share

    ring = (enclosed(OUTER) - enclosed(INNER)) * APERTURE**2 / (OUTER**2 - INNER**2)
    whole = enclosed(1.1 * psf.reach_arcsec / psf.sharpness)  # as if the square were a circle
    share: Array = (enclosed(APERTURE) - ring) / whole
    return share
