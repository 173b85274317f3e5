"""Point-spread function of the mirrors: elliptical King profiles by off-axis angle and energy.

Shapes: N sources, K rows and columns of a stamp. Angles on the sky in arcsec, off-axis in arcmin.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TARGET_SHARPNESS = 1.9  # of the mirrors behind a super-resolved target, as SIXTE's images have it
_FINE = 4  # samples along a pixel's side where the profile bends within it
_BENT = 6  # pixels from the peak to where it does


@dataclass(frozen=True)
class Psf:
    """King profile S(r) ~ [1 + (r / r0)^2]^-alpha, r^2 = u^2 / q + v^2 q, q = 1 - ellipticity.

    u points away from the axis and v along the azimuth, so that images stretch along the azimuth;
    r0 and alpha are linear in the energy E (keV), r0 is linear and alpha quadratic in the off-axis
    angle theta (arcmin), and the ellipticity goes as theta^2. The defaults were fitted to images of
    79 point sources that SIXTE made with the calibration's ELLBETA model of EPIC-pn (Read et al.
    2011, A&A 534, A34), out to 1 arcmin; the change with energy is that of the CCF release note
    116.

    Attributes:
        core_arcsec, core_per_kev, core_per_arcmin: r0 at 1 keV on the axis, and its changes.
        slope, slope_per_kev, slope_per_arcmin, slope_per_arcmin2: alpha there, and its changes.
        ellipticity: at 10 arcmin.
        sharpness: all lengths are divided by it.
        reach_arcsec: half the side of the square outside which nothing falls (before sharpness).
    """

    core_arcsec: float = 6.58
    core_per_kev: float = -0.305
    core_per_arcmin: float = 0.057
    slope: float = 1.647
    slope_per_kev: float = -0.015
    slope_per_arcmin: float = 0.0203
    slope_per_arcmin2: float = -0.0014
    ellipticity: float = 0.29
    sharpness: float = 1.0
    reach_arcsec: float = 150.0

    def core(self, theta: Tensor, energy_kev: float = 1.0) -> Tensor:
        """r0, arcsec."""
        shift = self.core_per_kev * (energy_kev - 1)
        r0 = self.core_arcsec + shift + self.core_per_arcmin * theta
        return r0.clamp(min=1.0) / self.sharpness

    def alpha(self, theta: Tensor, energy_kev: float = 1.0) -> Tensor:
        """Slope of the wings."""
        shift = self.slope_per_kev * (energy_kev - 1)
        bend = (self.slope_per_arcmin + self.slope_per_arcmin2 * theta) * theta
        return (self.slope + shift + bend).clamp(min=1.1)

    def fwhm(self, theta_arcmin: float = 0.0, energy_kev: float = 1.0) -> float:
        """Full width at half maximum, arcsec: 2 r0 (2^(1/alpha) - 1)^(1/2)."""
        theta = torch.tensor(theta_arcmin, dtype=torch.float64)
        width = 2 ** (1 / self.alpha(theta, energy_kev)) - 1
        return float(2 * self.core(theta, energy_kev) * width.sqrt())

    def enclosed(self, radius: Tensor, theta_arcmin: float = 0.0, energy: float = 1.0) -> Tensor:
        """Energy within a radius (arcsec) of the round profile: 1 - [1 + (r/r0)^2]^(1 - alpha)."""
        theta = torch.tensor(theta_arcmin, dtype=radius.dtype)
        r0, alpha = self.core(theta, energy), self.alpha(theta, energy)
        return 1 - (1 + (radius / r0) ** 2) ** (1 - alpha)

    def half(self, pixel_arcsec: float) -> int:
        """Pixels from the middle of a stamp to its edge."""
        return math.ceil(self.reach_arcsec / self.sharpness / pixel_arcsec)

    def stamps(
        self,
        offset_N2: Tensor,
        theta_N: Tensor,
        phi_N: Tensor,
        pixel_arcsec: float,
        energy_kev: float = 1.0,
    ) -> Tensor:
        """Images of point sources, integrated over pixels.

        Args:
            offset_N2: of the source from the middle of the stamp's central pixel: x, y in pixels.
            theta_N: off-axis angles, arcmin.
            phi_N: azimuths, radian from x to y.
            pixel_arcsec: side of a pixel.
            energy_kev: energy of the photons.

        Returns:
            (N, K, K), rows along y, each of sum 1.
        """
        half = self.half(pixel_arcsec)
        shape = (offset_N2, theta_N, phi_N, pixel_arcsec, energy_kev)
        whole_K = torch.arange(-half, half + 1, dtype=offset_N2.dtype)
        image_NKK = self._profile(whole_K, *shape)
        bent = min(_BENT, half)
        sub = (torch.arange(_FINE, dtype=offset_N2.dtype) + 0.5) / _FINE - 0.5
        fine_J = (torch.arange(-bent, bent + 1, dtype=offset_N2.dtype)[:, None] + sub).flatten()
        fine_NJJ = self._profile(fine_J, *shape)
        middle = slice(half - bent, half + bent + 1)
        pooled = torch.nn.functional.avg_pool2d(fine_NJJ[:, None], _FINE)[:, 0]
        image_NKK[:, middle, middle] = pooled
        return image_NKK / image_NKK.sum((1, 2), keepdim=True)

    def _profile(
        self,
        at_K: Tensor,
        offset_N2: Tensor,
        theta_N: Tensor,
        phi_N: Tensor,
        pixel_arcsec: float,
        energy_kev: float,
    ) -> Tensor:
        """The profile (not normalised) at columns and rows `at_K`, pixels."""
        x_N1K = (at_K - offset_N2[:, :1])[:, None, :] * pixel_arcsec
        y_NK1 = (at_K - offset_N2[:, 1:])[:, :, None] * pixel_arcsec
        q = 1 - (self.ellipticity * (theta_N / 10) ** 2).clamp(max=0.6)
        cos, sin = phi_N.cos(), phi_N.sin()
        scale = self.core(theta_N, energy_kev) ** -2
        # r^2 / r0^2 as a quadratic form of x and y
        xx = ((cos**2 / q + sin**2 * q) * scale)[:, None, None]
        yy = ((sin**2 / q + cos**2 * q) * scale)[:, None, None]
        xy = (2 * cos * sin * (1 / q - q) * scale)[:, None, None]
        square_NKK = torch.addcmul(1 + xx * x_N1K**2 + yy * y_NK1**2, xy * x_N1K, y_NK1)
        profile_NKK = square_NKK.log_().mul_(-self.alpha(theta_N, energy_kev)[:, None, None]).exp_()
        reach = self.reach_arcsec / self.sharpness
        inside = (x_N1K.abs() <= reach) & (y_NK1.abs() <= reach)
        return profile_NKK * inside

    def kernel(self, theta_arcmin: float, pixel_arcsec: float, energy_kev: float = 1.0) -> Tensor:
        """Round image (K, K) of a source spread evenly over one pixel; float64, of sum 1."""
        round_psf = Psf(**{**vars(self), "ellipticity": 0.0})
        at = torch.tensor([-1 / 3, 0.0, 1 / 3], dtype=torch.float64)
        offset_N2 = torch.cartesian_prod(at, at)
        theta_N = torch.full((9,), theta_arcmin, dtype=torch.float64)
        stamps = round_psf.stamps(offset_N2, theta_N, theta_N * 0, pixel_arcsec, energy_kev)
        return stamps.mean(0)
