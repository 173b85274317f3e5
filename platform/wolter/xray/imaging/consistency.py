"""Consistency check of an enhanced image with its input photons: forward folding and residuals.

The image is blurred from its own point-spread function to that of the photons, multiplied by the
exposure, and compared with the counts. Invented and missing sources stand out, in sigma.
Shapes: H rows and W columns of the photons' image, S H and S W those of the enhanced one, F those
of the transforms, K rows and columns of a kernel, N kernels.
"""

import math
from dataclasses import dataclass, field

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from wolter.xray.instruments import epic_pn_camera as camera
from wolter.xray.instruments.psf import TARGET_SHARPNESS, Psf

AROUND_ARCSEC = 10.0  # radius of the disc in which counts are compared
FAR = 3.0  # sigma
# Of a check, above which photons contradict an image; those of the truth stayed below in 300 fields
# of 20 to 400 pixels, with 0.05 to 30 counts in each.
BAD_RMS, BAD_SHARE = 1.15, 0.005
BLOCK = 4  # pixels along a side of the blocks of `chi2`
_OUTER_ARCMIN = 10.0  # off-axis angle of the outer kernels
_ANGLES = 4  # their position angles, over half a turn: ellipses have no head
_EDGE = 4  # pixels beyond exposed ones, up to which the enhanced image is believed
_NOISE = 1e-6  # of the quotient of two transforms, where both have nearly vanished
_TINY = 1e-9  # counts


@dataclass(frozen=True)
class ForwardImage:
    """Forward model from an enhanced image to the expected counts of its input.

    Attributes:
        scale: pixels along a side of a pixel of the input.
        pixel_arcsec: side of an input pixel.
        psf: PSF of the input.
        sharpness: ratio of the PSF widths of input and enhanced image; 1 for a denoised image.
        energy_kev: energy of the photons.
        axis_yx: row and column of the optical axis in input pixels, from the lower left corner;
            None: the on-axis kernel serves everywhere.
    """

    scale: int = 2
    pixel_arcsec: float = camera.PIXEL_ARCSEC
    psf: Psf = field(default_factory=Psf)
    sharpness: float = TARGET_SHARPNESS
    energy_kev: float = 1.0
    axis_yx: tuple[float, float] | None = None

    def __call__(self, rate_HW: Tensor, exposure_HW: Tensor, background_HW: Tensor) -> Tensor:
        """Counts (H, W) expected in the input; float32.

        Beyond the exposed pixels and the image's edges, the image is extrapolated from inside.

        Args:
            rate_HW: ct/s in every pixel (S H, S W) of the enhanced image, without background; NaN
                where it is not known.
            exposure_HW: exposure map of the input, s; 0 where nothing is recorded.
            background_HW: expected background counts of the input.
        """
        seen_HW = _enlarge(_near(exposure_HW > 0), self.scale) & ~rate_HW.isnan()
        both_2HW = torch.stack([torch.where(seen_HW, rate_HW, 0.0), seen_HW.float()])
        if self.sharpness != 1:
            both_2HW = self._blur(both_2HW)
        fine_HW = both_2HW[0].clamp(min=0) / both_2HW[1].clamp(min=1e-3)
        native_HW = torch.nn.functional.avg_pool2d(fine_HW[None], self.scale)[0] * self.scale**2
        expected_HW: Tensor = native_HW * exposure_HW + background_HW
        return expected_HW

    def _blur(self, images_BHW: Tensor) -> Tensor:
        kernels = self.kernels()
        rows, columns = images_BHW.shape[1:]
        half = kernels.shape[1] // 2
        size = (
            next_fast_len(max(rows, half + 1) + half, real=True),
            next_fast_len(max(columns, half + 1) + half, real=True),
        )
        blurred_BHW = torch.zeros_like(images_BHW)
        for kernel_KK, weight_HW in zip(kernels, self._weights(rows, columns), strict=True):
            padded = images_BHW.new_zeros(size)
            padded[: 2 * half + 1, : 2 * half + 1] = kernel_KK
            transfer = torch.fft.rfft2(padded.roll((-half, -half), (0, 1)))
            spectra = torch.fft.rfft2(images_BHW * weight_HW, size)
            blurred_BHW += torch.fft.irfft2(spectra * transfer, size)[:, :rows, :columns]
        return blurred_BHW

    def kernels(self) -> Tensor:
        """On the axis, and off it at each position angle (N, K, K); each of sum 1."""
        theta, phi = [0.0], [0.0]
        if self.axis_yx is not None:
            theta += [_OUTER_ARCMIN] * _ANGLES
            phi += [math.pi * i / _ANGLES for i in range(_ANGLES)]
        fine = self.pixel_arcsec / self.scale
        place = torch.zeros(len(theta), 2, dtype=torch.float64)
        theta_N, phi_N = (torch.tensor(each, dtype=torch.float64) for each in (theta, phi))
        sharp = Psf(**{**vars(self.psf), "sharpness": self.psf.sharpness * self.sharpness})
        wide, narrow = (
            psf.stamps(place, theta_N, phi_N, fine, self.energy_kev) for psf in (self.psf, sharp)
        )
        half = wide.shape[1] // 2
        size = (next_fast_len(4 * half, real=True),) * 2
        upper, lower = torch.fft.rfft2(wide, size), torch.fft.rfft2(narrow, size)
        quotient = upper * lower.conj() / (lower.abs().square() + _NOISE)
        # The stamps' middles differ: so does the middle of the quotient, from the corner.
        shift = narrow.shape[1] // 2
        kernel = torch.fft.irfft2(quotient, size).roll((shift, shift), (1, 2))
        kernel = kernel[:, : 2 * half + 1, : 2 * half + 1].clamp(min=0)
        normalised: Tensor = (kernel / kernel.sum((1, 2), keepdim=True)).float()
        return normalised

    def _weights(self, rows: int, columns: int) -> list[Tensor]:
        """Share (rows, columns) of every kernel: 1 in all, linear in angle and position angle."""
        if self.axis_yx is None:
            return [torch.ones(rows, columns)]
        scale = self.scale
        y_H, x_W = (
            ((torch.arange(size) + 0.5) / scale - axis) * self.pixel_arcsec / 60
            for size, axis in zip((rows, columns), self.axis_yx, strict=True)
        )
        # Stretching goes as the square of the angle, and so does the share of the outer kernels.
        off_HW = torch.hypot(y_H[:, None], x_W[None, :]) / _OUTER_ARCMIN
        outer_HW = off_HW.square().clamp(max=1)
        turn_HW = torch.atan2(y_H[:, None], x_W[None, :]) / math.pi * _ANGLES
        shares = [1 - outer_HW]
        for i in range(_ANGLES):
            away_HW = (turn_HW - i + _ANGLES / 2).remainder(_ANGLES) - _ANGLES / 2
            shares.append(outer_HW * (1 - away_HW.abs()).clamp(min=0))
        return shares


def check_map(
    rate_HW: Tensor,
    counts_HW: Tensor,
    exposure_HW: Tensor,
    background_HW: Tensor,
    fold: ForwardImage | None = None,
) -> Tensor:
    """Significance map of the counts around each input pixel against the folded image.

    Args:
        rate_HW: ct/s in every pixel (S H, S W) of the enhanced image, without background.
        counts_HW: photons of the input.
        exposure_HW: exposure map of the input, s; 0 where nothing is recorded.
        background_HW: expected background counts of the input.
        fold: the telescope, and the scale.

    Returns:
        (H, W), sigma: below 0 where the image shows more than was seen, above 0 where it shows
        less; NaN where nothing is recorded.
    """
    fold = fold or ForwardImage()
    expected_HW = fold(rate_HW, exposure_HW, background_HW)
    return significance_around(counts_HW, expected_HW, exposure_HW, fold.pixel_arcsec)


def significance_around(
    counts_HW: Tensor, expected_HW: Tensor, exposure_HW: Tensor, pixel_arcsec: float
) -> Tensor:
    """`significance` in the discs of a check, of `AROUND_ARCSEC`."""
    return significance(counts_HW, expected_HW, exposure_HW, AROUND_ARCSEC / pixel_arcsec)


@dataclass(frozen=True)
class Agreement:
    """Summary of a consistency check: rms, and the share of pixels beyond 3 sigma.

    Attributes:
        rms: root mean square of the map, sigma: 1 for the truth, somewhat less for few photons and
            for an answer that follows their noise.
        beyond: share of the map's pixels beyond `FAR` sigma: 0.0027 for the truth.
        disc: share of the image that one disc takes: in small images, chance adds that much.
    """

    rms: float
    beyond: float
    disc: float = 0.0

    @property
    def bad(self) -> bool:
        """True where photons contradict the image in more places than chance allows."""
        return self.rms > BAD_RMS + self.disc**0.5 or self.beyond > BAD_SHARE + self.disc

    def __str__(self) -> str:
        return f"CHECK has an rms of {self.rms:.2f}, and {self.beyond:.1%} beyond {FAR:g} sigma"


def agreement(check_HW: Tensor, pixel_arcsec: float) -> Agreement:
    """Summarise a consistency map (H, W).

    Args:
        check_HW: sigma; NaN where nothing is recorded.
        pixel_arcsec: side of a pixel.
    """
    check_N = check_HW[~check_HW.isnan()].double()
    disc = math.pi * (AROUND_ARCSEC / pixel_arcsec) ** 2
    return Agreement(
        rms=float(check_N.square().mean().sqrt()),
        beyond=float((check_N.abs() > FAR).double().mean()),
        disc=disc / max(len(check_N), 1),
    )


def significance(
    counts_HW: Tensor, expected_HW: Tensor, exposure_HW: Tensor, radius: float
) -> Tensor:
    """Signed root of the Poisson deviance of the counts in a disc around every pixel.

    sign(N - M) [2 (M - N + N ln N / M)]^(1/2) for N counts where M were expected (Cash 1979, ApJ
    228, 939), nearly normal down to a few counts.

    Args:
        counts_HW: seen.
        expected_HW: known beforehand.
        exposure_HW: pixels without exposure are left out of the discs, and are NaN.
        radius: radius of the disc, pixels.
    """
    seen_HW = exposure_HW > 0
    at = torch.arange(-math.floor(radius), math.floor(radius) + 1)
    disc = (torch.hypot(at[:, None].float(), at.float()) <= radius).float()
    images = torch.stack([counts_HW, expected_HW]).float() * seen_HW
    pad = len(at) // 2
    n_HW, m_HW = torch.nn.functional.conv2d(images[:, None], disc[None, None], padding=pad)[:, 0]
    signed_HW = deviance_root(n_HW.round(), m_HW)
    return torch.where(seen_HW, signed_HW, torch.nan)


def deviance_root(counts: Tensor, expected: Tensor) -> Tensor:
    """Signed root of the Poisson deviance of counts from what was expected; see `significance`."""
    expected = expected.clamp(min=_TINY)
    deviance = 2 * (expected - counts + torch.xlogy(counts, counts / expected))
    return (counts - expected).sign() * deviance.clamp(min=0).sqrt()


def chi2(counts_HW: Tensor, expected_HW: Tensor, exposure_HW: Tensor, block: int = BLOCK) -> float:
    """Pearson's chi^2 per block of pixels: 1 in the mean for the truth, however few the counts.

    An image that follows its input's noise is below 1, one that invents or misses things above.
    """
    seen_HW = (exposure_HW > 0).float()
    images = torch.stack([counts_HW * seen_HW, expected_HW * seen_HW]).double()
    n_B, m_B = torch.nn.functional.avg_pool2d(images[:, None], block)[:, 0].flatten(1) * block**2
    told_B = m_B > _TINY
    return float(((n_B - m_B).square() / m_B)[told_B].mean())


def _near(seen_HW: Tensor) -> Tensor:
    side = 2 * _EDGE + 1
    return torch.nn.functional.max_pool2d(seen_HW[None].float(), side, 1, _EDGE)[0] > 0


def _enlarge(image_HW: Tensor, scale: int) -> Tensor:
    return image_HW.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
