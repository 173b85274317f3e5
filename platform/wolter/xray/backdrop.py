"""Background of an image from the image itself: what is left where no source is seen.

Shapes: H rows, W columns, N pixels of an image; G groups of pixels of like vignetting; S scales.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.xray.detector import streaks
from wolter.xray.fourier import fast_size

Array = NDArray[np.float64]

# Gaussians that look for sources: deviation in pixels, and by how much a source stands out: in
# deviations of the noise, and as a share of the background (faint sources crowd in wide ones).
SCALES = ((1.5, 3.0, 0.0), (3.0, 3.0, 0.0), (6.0, 3.0, 0.2), (12.0, 3.0, 0.2))
ROUNDS, STEADY = 30, 1e-3  # at most so many; no further level changes by more than this share
GROUPS = 64
SKEW = 1 / 3
PARTICLES, PIXELS = 0.4, 300.0  # usual share of particles on the axis, worth so many pixels
NEWTON = 50  # steps at most


def estimate_background(counts_HW: Tensor, exposure_HW: Tensor) -> Tensor:
    """Expected background counts of every pixel of one image.

    The background is the sum of a part that the mirrors vignette, like the exposure map, and of an
    even one (particles). Their two levels are the most probable ones by the pixels where no source
    stands out on any of `SCALES`, of which a usual share of particles counts for `PIXELS`. The
    search begins with all pixels, and goes on until sources and levels agree. Sources too faint to
    be seen count as background.

    Args:
        counts_HW: photons.
        exposure_HW: exposure times vignetting, s; 0 where nothing is recorded.

    Returns:
        (H, W), 0 where nothing is recorded; all 0 for an image without exposure or photons.
    """
    return _Search(exposure_HW)(counts_HW)


def with_streaks(
    counts_HW: Tensor,
    exposure_HW: Tensor,
    out_of_time: float,
    axis_row: float,
    pixel_arcsec: float,
    level_HW: Tensor | None = None,
) -> Tensor:
    """Expected background counts (H, W) and out-of-time events of an image of EPIC-pn.

    Args:
        counts_HW: photons, in detector coordinates.
        exposure_HW: see `estimate_background`.
        out_of_time: share of the events that are.
        axis_row: row of the boresight, from the lower edge.
        pixel_arcsec: side of a pixel.
        level_HW: background, where it is known; None estimates it.
    """
    live_HW = exposure_HW > 0

    def moved(level_HW: Tensor) -> Tensor:
        return streaks(counts_HW - level_HW, live_HW, out_of_time, axis_row, pixel_arcsec)

    if level_HW is None:
        search = _Search(exposure_HW)
        level_HW = search(counts_HW)
        if out_of_time:  # of which some were taken for background
            level_HW = search(counts_HW - moved(level_HW))
    return level_HW + moved(level_HW) if out_of_time else level_HW


class _Search:
    """For the background of images of one exposure map."""

    def __init__(self, exposure_HW: Tensor) -> None:
        exposure_HW = exposure_HW.float()
        self.live_HW = exposure_HW > 0
        most = exposure_HW.max().clamp(min=1e-12)
        self.shape_2HW = torch.stack([exposure_HW / most, self.live_HW.float()])
        self.group_N = (self.shape_2HW[0] * GROUPS).long().clamp(max=GROUPS - 1).flatten()
        sizes = [scale for scale, *_ in SCALES]
        self.mean_S2HW = _smooth(self.shape_2HW, sizes)
        # The square of a Gaussian is one of 1 / sqrt(2) the width and 1 / (4 pi s^2) the volume.
        narrow_S2HW = _smooth(self.shape_2HW, [size / 2**0.5 for size in sizes])
        self.spread_S2HW = [
            narrow_2HW / (4 * torch.pi * size**2)
            for narrow_2HW, size in zip(narrow_S2HW, sizes, strict=True)
        ]

    def __call__(self, counts_HW: Tensor) -> Tensor:
        """Expected background counts (H, W)."""
        counts_HW = torch.where(self.live_HW, counts_HW.float(), 0.0)
        if not bool(counts_HW.sum() > 0):
            return torch.zeros_like(counts_HW)
        smooth_SHW = [each[0] for each in _smooth(counts_HW[None], [s for s, *_ in SCALES])]
        free_HW = self.live_HW
        levels = self._levels(counts_HW, free_HW)
        for _ in range(ROUNDS):
            before, free_before_HW, free_HW = levels, free_HW, self._free(smooth_SHW, levels)
            if torch.equal(free_before_HW, free_HW):
                break
            levels = self._levels(counts_HW, free_HW)
            change = sum(abs(a - b) for a, b in zip(levels, before, strict=True))
            if change <= STEADY * sum(levels):
                break
        vignetted, even = levels
        background_HW: Tensor = vignetted * self.shape_2HW[0] + even * self.shape_2HW[1]
        return background_HW

    def _free(self, smooth_SHW: list[Tensor], levels: tuple[float, float]) -> Tensor:
        """Pixels (H, W) in which no source stands out of these levels."""
        free_HW = self.live_HW
        vignetted, even = levels
        for (scale, noise, share), counts_HW, mean_2HW, spread_2HW in zip(
            SCALES, smooth_SHW, self.mean_S2HW, self.spread_S2HW, strict=True
        ):
            mean_HW = (vignetted * mean_2HW[0]).add_(mean_2HW[1], alpha=even)
            spread_HW = (vignetted * spread_2HW[0]).add_(spread_2HW[1], alpha=even)
            # Skewness where photons are few: for n of them, noise sqrt(n) + noise^2 / 3.
            few = SKEW * noise**2 / (4 * torch.pi * scale**2)
            least_HW = spread_HW.clamp_(min=1e-12).sqrt_().mul_(noise).add_(few)
            if share:
                least_HW = torch.maximum(least_HW, share * mean_HW)
            free_HW = free_HW & (counts_HW <= mean_HW.add_(least_HW))
        return free_HW

    def _levels(self, counts_HW: Tensor, free_HW: Tensor) -> tuple[float, float]:
        """The two levels in some pixels; 0 where they have no photon."""
        free_HW = free_HW.double()
        columns = (counts_HW * free_HW, self.shape_2HW[0] * free_HW, free_HW)
        counts_G, vignetted_G, even_G = (
            torch.bincount(self.group_N, column.flatten(), minlength=GROUPS).numpy()
            for column in columns
        )
        if not counts_G.sum() > 0:
            return 0.0, 0.0
        return _most_likely(counts_G.clip(0), np.stack([vignetted_G, even_G]))


def _most_likely(counts_G: Array, shape_2G: Array) -> tuple[float, float]:
    """Levels of highest posterior probability, above 0, by Newton's method.

    The prior is a Gamma distribution of each, of as many photons as `PIXELS` would have at the
    usual levels.
    """
    usual_2 = np.array([1 - PARTICLES, PARTICLES])
    counts_G, shape_2G = counts_G[shape_2G[1] > 0], shape_2G[:, shape_2G[1] > 0]
    levels_2 = usual_2 * counts_G.sum() / (usual_2 @ shape_2G.sum(1))
    prior_2, exposed_2 = levels_2 * PIXELS, shape_2G.sum(1) + PIXELS
    for _ in range(NEWTON):
        share_2G = shape_2G / (levels_2 @ shape_2G)
        slope_2 = share_2G @ counts_G + prior_2 / levels_2 - exposed_2
        curve_22 = (share_2G * counts_G) @ share_2G.T + np.diag(prior_2 / levels_2**2)
        step_2 = np.linalg.solve(curve_22, slope_2)
        falling = step_2 < 0  # at most nine tenths of the way to 0
        most = np.min(-0.9 * levels_2[falling] / step_2[falling], initial=1.0)
        levels_2 = levels_2 + most * step_2
        if np.all(np.abs(step_2) <= 1e-6 * levels_2.sum()):
            break
    return float(levels_2[0]), float(levels_2[1])


def _smooth(image_NHW: Tensor, deviations: list[float]) -> list[Tensor]:
    """Convolve with Gaussians of several deviations; nothing lies outside the images."""
    height, width = image_NHW.shape[1:]
    reach = int(4 * max(deviations)) + 1
    size = (fast_size(height + reach), fast_size(width + reach))
    row, column = torch.fft.fftfreq(size[0]), torch.fft.rfftfreq(size[1])
    square = row[:, None] ** 2 + column**2
    spectrum_N = torch.fft.rfft2(image_NHW, size)
    bells = [(-2 * (torch.pi * deviation) ** 2 * square).exp() for deviation in deviations]
    return [torch.fft.irfft2(spectrum_N * bell, size)[:, :height, :width] for bell in bells]
