"""Background estimation of a counts image from its source-free pixels.

Shapes: H rows, W columns, M pixels, N live pixels of an image; G groups of pixels of like
vignetting; S scales.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from wolter.xray.instruments.epic_pn_camera import streaks

Array = NDArray[np.float64]
Levels = tuple[float, float]

# Gaussians that look for sources: deviation in pixels, and by how much a source stands out: in
# deviations of the noise, and as a share of the background (faint sources crowd in wide ones).
SCALES = ((1.5, 3.0, 0.0), (3.0, 3.0, 0.0), (6.0, 3.0, 0.2), (12.0, 3.0, 0.2))
WIDTHS = [width for width, *_ in SCALES]
ROUNDS, STEADY = 30, 1e-3  # at most so many; no further level changes by more than this share
GROUPS = 64
SKEW = 1 / 3
PARTICLES, PIXELS = 0.4, 300.0  # usual share of particles on the axis, worth so many pixels
NEWTON = 50  # steps at most


def estimate_background(counts_HW: Tensor, exposure_HW: Tensor) -> Tensor:
    """Expected background counts of every pixel of one image.

    The background is the sum of a part that the mirrors vignette, like the exposure map, and of an
    even one (particles). Their two levels are the most probable ones by the pixels where no source
    stands out on any of `SCALES`, with a prior on the share of particles worth `PIXELS` pixels. The
    search begins with all pixels, and goes on until sources and levels agree. Sources too faint to
    be detected count as background. Where sources fill the image, no pixel is free and the
    background is 0: a smaller error than the level of the emptiest pixels, which may be many times
    too high.

    Args:
        counts_HW: photons.
        exposure_HW: exposure times vignetting, s; 0 where nothing is recorded.

    Returns:
        (H, W), 0 where nothing is recorded; all 0 for an image without exposure or photons, or
        full of sources.
    """
    search = _Search(exposure_HW)
    return search.image(search(counts_HW))


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
        out_of_time: share of out-of-time events.
        axis_row: row of the boresight, from the lower edge.
        pixel_arcsec: side of a pixel.
        level_HW: background, where it is known; None estimates it.
    """
    live_HW = exposure_HW > 0

    def moved(level_HW: Tensor) -> Tensor:
        return streaks(counts_HW - level_HW, live_HW, out_of_time, axis_row, pixel_arcsec)

    if level_HW is None:
        search = _Search(exposure_HW)
        levels = search(counts_HW)
        level_HW = search.image(levels)
        if out_of_time:  # of which some were taken for background
            level_HW = search.image(search(counts_HW - moved(level_HW), levels))
    return level_HW + moved(level_HW) if out_of_time else level_HW


class _Search:
    """Maximum-likelihood background search for images of one exposure map.

    It sees live pixels alone, in the order of their vignetting: sums over a group are then sums
    over neighbours.
    """

    def __init__(self, exposure_HW: Tensor) -> None:
        exposure_HW = exposure_HW.float()
        self.live_HW = exposure_HW > 0
        most = exposure_HW.max().clamp(min=1e-12)
        self.shape_2HW = torch.stack([exposure_HW / most, self.live_HW.float()])
        group_HW = (self.shape_2HW[0] * GROUPS).clamp(max=GROUPS - 1).byte()
        group_M = torch.where(self.live_HW, group_HW, GROUPS).flatten()
        self.place_N = group_M.argsort(stable=True)[: int(self.live_HW.sum())]
        self.begin_G = np.unique(group_M[self.place_N].numpy(), return_index=True)[1]
        self.vignetted_N = self._live(self.shape_2HW[0]).double()
        means = _smooth(self.shape_2HW, WIDTHS)
        self.mean_S2N = [self._live(each_2HW).clamp_(min=0) for each_2HW in means]

    def _live(self, image_HW: Tensor) -> Tensor:
        """Live pixels (..., N) of images (..., H, W)."""
        return image_HW.flatten(-2).index_select(-1, self.place_N)

    def __call__(self, counts_HW: Tensor, begin: Levels | None = None) -> Levels:
        """Levels of the two parts; the search begins with all pixels, or from levels."""
        counts_N = self._live(counts_HW.float())
        if not bool(counts_N.sum() > 0):
            return 0.0, 0.0
        smooth = _smooth(torch.where(self.live_HW, counts_HW.float(), 0.0)[None], WIDTHS)
        smooth_SN = [self._live(each_1HW[0]) for each_1HW in smooth]
        counts_N, free_N = counts_N.double(), torch.ones_like(counts_N, dtype=torch.bool)
        levels = begin or self._levels(counts_N, free_N)
        seen = [] if begin else [free_N]
        for _ in range(ROUNDS):
            free_N = self._free(smooth_SN, levels)
            if any(torch.equal(free_N, seen_N) for seen_N in seen[-2:]):
                break  # agreed, or to and fro
            seen.append(free_N)
            before, levels = levels, self._levels(counts_N, free_N, levels)
            change = sum(abs(a - b) for a, b in zip(levels, before, strict=True))
            if change <= STEADY * sum(levels):
                break
        return levels

    def image(self, levels: Levels) -> Tensor:
        """Expected background counts (H, W)."""
        vignetted, even = levels
        return vignetted * self.shape_2HW[0] + even * self.shape_2HW[1]

    def _free(self, smooth_SN: list[Tensor], levels: Levels) -> Tensor:
        """Source-free pixels (N) for given background levels."""
        vignetted, even = levels
        # Below 0 where none stands out: quicker than comparisons and roots.
        excess_N = torch.full_like(smooth_SN[0], -1.0)
        for (width, noise, share), counts_N, mean_2N in zip(
            SCALES, smooth_SN, self.mean_S2N, strict=True
        ):
            mean_N = (vignetted * mean_2N[0]).add_(mean_2N[1], alpha=even)
            # Of n photons, as if they were spread evenly; where they are few, they are skewed:
            # noise sqrt(n) + noise^2 / 3.
            one = 1 / (4 * torch.pi * width**2)
            above_N = (counts_N - SKEW * noise**2 * one).sub_(mean_N).clamp_(min=0).square_()
            above_N.sub_(mean_N, alpha=noise**2 * one)
            if share:
                torch.minimum(above_N, counts_N - (1 + share) * mean_N, out=above_N)
            torch.maximum(excess_N, above_N, out=excess_N)
        return excess_N <= 0

    def _levels(self, counts_N: Tensor, free_N: Tensor, begin: Levels | None = None) -> Levels:
        """The two levels in some pixels; 0 where they have no photon."""
        even_N = free_N.double()
        columns = (counts_N * even_N, self.vignetted_N * even_N, even_N)
        counts_G, vignetted_G, even_G = (
            np.add.reduceat(column.numpy(), self.begin_G) for column in columns
        )
        if not counts_G.sum() > 0:
            return 0.0, 0.0
        return _most_likely(counts_G.clip(0), np.stack([vignetted_G, even_G]), begin)


def _most_likely(counts_G: Array, shape_2G: Array, begin: Levels | None = None) -> Levels:
    """Levels of highest posterior probability, above 0, by Newton's method.

    The prior is a Gamma distribution of each, of as many photons as `PIXELS` would have at the
    usual levels, where the search begins unless `begin` is given.
    """
    usual_2 = np.array([1 - PARTICLES, PARTICLES])
    counts_G, shape_2G = counts_G[shape_2G[1] > 0], shape_2G[:, shape_2G[1] > 0]
    levels_2 = usual_2 * counts_G.sum() / (usual_2 @ shape_2G.sum(1))
    prior_2, exposed_2 = levels_2 * PIXELS, shape_2G.sum(1) + PIXELS
    if begin is not None and min(begin) > 0:
        levels_2 = np.array(begin)
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
    size = (next_fast_len(height + reach, real=True), next_fast_len(width + reach, real=True))
    spectrum_N = torch.fft.rfft2(image_NHW, size)
    smooth = []
    for deviation in deviations:
        row, column = (
            (-2 * (torch.pi * deviation * frequency).square()).exp()
            for frequency in (torch.fft.fftfreq(size[0]), torch.fft.rfftfreq(size[1]))
        )
        blurred_NHW = torch.fft.irfft2(spectrum_N * (row[:, None] * column), size)
        smooth.append(blurred_NHW[:, :height, :width])
    return smooth
