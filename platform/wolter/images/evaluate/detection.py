"""Detection of point sources in counts and in enhanced images, both alike.

Shapes: H and W rows and columns of an image, N detections or sources, K those of a cut-out.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from photutils.detection import find_peaks
from photutils.utils.exceptions import NoDetectionsWarning
from scipy.ndimage import gaussian_filter
from torch import Tensor

from wolter.xray.instruments import epic_pn_camera as camera
from wolter.xray.instruments.psf import Psf

Array = NDArray[np.float64]
LEAST = 0.2  # sigma: all that may be a source; thresholds are set by purity later
WIDER = 1.0  # filter's width over that of the point-spread function: best for enhanced images,
WIDER_PHOTONS = 1.5  # and for photons
AROUND = 3.0  # width of the surroundings over the filter's
WITHIN = 0.5  # of the width at half maximum: a peak is the highest so far around it
FWHM = 2.3548  # deviations


@dataclass(frozen=True)
class Image:
    """An image to find sources in, on any grid of the frame.

    Attributes:
        rate_HW: ct/s in every pixel, background subtracted.
        exposure_HW: s; 0 where nothing is recorded.
        background_HW: expected counts in the exposure: the noise.
        psf: PSF of the image.
        pixel_arcsec: side of a pixel.
        energy_kev: energy of the photons.
    """

    rate_HW: Array
    exposure_HW: Array
    background_HW: Array
    psf: Psf
    pixel_arcsec: float
    energy_kev: float = 1.0

    @classmethod
    def of(
        cls,
        rate_HW: Tensor,
        exposure_HW: Tensor,
        background_HW: Tensor,
        psf: Psf,
        pixel: float,
        energy_kev: float = 1.0,
    ) -> "Image":
        """From tensors."""
        rate, exposure, background = (
            each.double().numpy() for each in (rate_HW, exposure_HW, background_HW)
        )
        return cls(rate, exposure, background, psf, pixel, energy_kev)

    def pixels(self, arcsec_N2: Array) -> Array:
        """Columns and rows (N, 2) of offsets x, y from the boresight; whole at pixel centres."""
        scale = camera.PIXEL_ARCSEC / self.pixel_arcsec
        found: Array = arcsec_N2 / self.pixel_arcsec + np.array(camera.AXIS_XY) * scale - 0.5
        return found

    def arcsec(self, pixel_N2: Array) -> Array:
        """The inverse of `pixels`."""
        scale = camera.PIXEL_ARCSEC / self.pixel_arcsec
        found: Array = (pixel_N2 + 0.5 - np.array(camera.AXIS_XY) * scale) * self.pixel_arcsec
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
    """Detected sources: positions and scores.

    Attributes:
        arcsec_N2: offsets x, y from the boresight.
        score_N: significance, sigma.
    """

    arcsec_N2: Array
    score_N: Array


def detect(image: Image, wider: float = WIDER) -> Detections:
    """Detect sources as peaks of a matched filter above their surroundings.

    In sigma of the noise that photons of background and peak would have in the exposure: where an
    image is smoother than that, the scores are low, but their order holds.

    Args:
        image: image of photons, or enhanced.
        wider: width of the filter over that of the point-spread function.
    """
    live_HW = image.exposure_HW > 0
    counts_HW = np.where(live_HW, image.rate_HW * image.exposure_HW, 0.0)
    deviation = wider * image.psf.fwhm() / FWHM / image.pixel_arcsec
    core_HW, wide_HW = (_smooth(counts_HW, live_HW, d) for d in (deviation, AROUND * deviation))
    area = 4 * np.pi * deviation**2  # pixels: one over the sum of the squared kernel
    background_HW = np.where(live_HW, image.background_HW, 1.0)
    noise_HW = np.sqrt((background_HW + core_HW.clip(min=0)).clip(min=1e-12) / area)
    ratio_HW = np.where(live_HW, (core_HW - wide_HW) / noise_HW, 0.0)
    place_N2, score_N = peaks(ratio_HW, LEAST, WITHIN * image.psf.fwhm() / image.pixel_arcsec)
    return Detections(image.arcsec(place_N2), score_N)


def peaks(image_HW: Array, least: float, radius: float) -> tuple[Array, Array]:
    """Columns and rows (N, 2), to fractions of a pixel, and heights (N) of the local maxima.

    Args:
        image_HW: to look at.
        least: height that is exceeded.
        radius: half the side of the square whose highest pixel a maximum is, pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        found = find_peaks(image_HW, least, box_size=2 * max(1, round(radius)) + 1)
    if found is None:
        return np.zeros((0, 2)), np.zeros(0)
    row_N, column_N = (np.asarray(found[name]) for name in ("y_peak", "x_peak"))
    padded = np.pad(image_HW, 1, mode="edge")
    middle_N = image_HW[row_N, column_N]
    x_N = _vertex(padded[row_N + 1, column_N], middle_N, padded[row_N + 1, column_N + 2])
    y_N = _vertex(padded[row_N, column_N + 1], middle_N, padded[row_N + 2, column_N + 1])
    return np.stack([column_N + x_N, row_N + y_N], 1), middle_N


def _vertex(before_N: Array, at_N: Array, after_N: Array) -> Array:
    """Vertices of parabolas through three heights, pixels from the middle ones."""
    bend_N = np.minimum(before_N - 2 * at_N + after_N, -1e-12)
    place_N: Array = (0.5 * (before_N - after_N) / bend_N).clip(-0.499, 0.499)
    return place_N


def _smooth(image_HW: Array, live_HW: NDArray[np.bool_], deviation: float) -> Array:
    """Mean under a Gaussian over the pixels that are exposed."""
    share_HW = gaussian_filter(live_HW.astype(float), deviation, mode="constant")
    mean_HW: Array = gaussian_filter(image_HW, deviation, mode="constant") / share_HW.clip(1e-3)
    return mean_HW
