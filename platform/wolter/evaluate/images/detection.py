"""Detection of point sources in counts and in enhanced images, both alike.

Shapes: H and W rows and columns of an image, N detections or sources, K those of a cut-out.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.xray import detector
from wolter.xray.psf import Psf

Array = NDArray[np.float64]
THRESHOLD = 2.0  # sigma of the matched filter's image: all that may be a source
MIN_PIXELS = 3
DEBLENDING, CONTRAST = 32, 0.01  # levels, and the least share of flux that makes a source
MESH_ARCSEC = 240.0  # of the local background


@dataclass(frozen=True)
class Image:
    """An image to find sources in, on any grid of the frame.

    Attributes:
        rate_HW: ct/s in every pixel, background subtracted.
        exposure_HW: s; 0 where nothing is recorded.
        background_HW: expected counts in the exposure: the noise.
        psf: of the image.
        pixel_arcsec: side of a pixel.
        in_place: share of the photons that are where they fell: not read out while moving.
        energy_kev: of the photons.
    """

    rate_HW: Array
    exposure_HW: Array
    background_HW: Array
    psf: Psf
    pixel_arcsec: float
    in_place: float = 1.0
    energy_kev: float = 1.0

    @classmethod
    def of(
        cls,
        rate_HW: Tensor,
        exposure_HW: Tensor,
        background_HW: Tensor,
        psf: Psf,
        pixel: float,
        in_place: float = 1.0,
        energy_kev: float = 1.0,
    ) -> "Image":
        """From tensors."""
        rate, exposure, background = (
            each.double().numpy() for each in (rate_HW, exposure_HW, background_HW)
        )
        return cls(rate, exposure, background, psf, pixel, in_place, energy_kev)

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

    def stamps(self, arcsec_N2: Array, reach: int) -> Array:
        """Images (N, K, K) of sources of 1 count, `reach` pixels around those nearest to them."""
        place_N2 = self.pixels(arcsec_N2)
        within_N2 = place_N2 - np.floor(place_N2 + 0.5)
        x_N, y_N = arcsec_N2.T
        stamp_NKK = self.psf.stamps(
            torch.from_numpy(within_N2),
            torch.from_numpy(np.hypot(x_N, y_N) / 60),
            torch.from_numpy(np.arctan2(y_N, x_N)),
            self.pixel_arcsec,
            self.energy_kev,
        )
        beyond = reach - stamp_NKK.shape[1] // 2  # below 0 crops
        around: Array = torch.nn.functional.pad(stamp_NKK, (beyond,) * 4).numpy()
        return around


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
