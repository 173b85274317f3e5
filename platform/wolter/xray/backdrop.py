"""Background of an image from the image itself: what is left where no source is seen.

Shapes: H rows, W columns of an image; G groups of pixels of like vignetting.
"""

import torch
from torch import Tensor

from wolter.xray.detector import streaks

# Gaussians that look for sources: deviation in pixels, and by how much a source stands out: in
# deviations of the noise, and as a share of the background (faint sources crowd in wide ones).
SCALES = ((1.5, 3.0, 0.0), (3.0, 3.0, 0.0), (6.0, 3.0, 0.2), (12.0, 3.0, 0.2))
ROUNDS = 30
GROUPS = 64
SKEW = 1 / 3
PARTICLES, PIXELS = 0.4, 2_000.0  # usual share of particles on the axis, worth so many pixels


def estimate_background(counts_HW: Tensor, exposure_HW: Tensor) -> Tensor:
    """Expected background counts of every pixel of one image.

    The background is the sum of a part that the mirrors vignette, like the exposure map, and of an
    even one (particles). Their two levels are those of highest Poisson likelihood in the pixels
    where no source stands out on any of `SCALES`. The search begins with all pixels, and goes on
    until sources and levels agree. Sources too faint to be seen count as background.

    Args:
        counts_HW: photons.
        exposure_HW: exposure times vignetting, s; 0 where nothing is recorded.

    Returns:
        (H, W), 0 where nothing is recorded; all 0 for an image without exposure or photons.
    """
    counts_HW, exposure_HW = counts_HW.float(), exposure_HW.float()
    free_HW = live_HW = exposure_HW > 0
    counts_HW = torch.where(live_HW, counts_HW, 0.0)
    if not bool(counts_HW.sum() > 0):
        return torch.zeros_like(counts_HW)
    shape_2HW = torch.stack([exposure_HW / exposure_HW.max(), live_HW.float()])
    smooth = [_smooth(torch.cat([counts_HW[None], shape_2HW]), scale) for scale, *_ in SCALES]
    # The square of a Gaussian is one of 1 / sqrt(2) the width and 1 / (4 pi s^2) the volume.
    square = [_smooth(shape_2HW, s / 2**0.5) / (4 * torch.pi * s**2) for s, *_ in SCALES]
    for _ in range(ROUNDS):
        levels_2 = _levels(counts_HW[free_HW], shape_2HW[0, free_HW])
        before_HW, free_HW = free_HW, live_HW
        for (scale, noise, share), (counts, *shape), spread in zip(
            SCALES, smooth, square, strict=True
        ):
            mean_HW = levels_2[0] * shape[0] + levels_2[1] * shape[1]
            spread_HW = levels_2[0] * spread[0] + levels_2[1] * spread[1]
            # Skewness where photons are few: for n of them, noise sqrt(n) + noise^2 / 3.
            few = SKEW * noise**2 / (4 * torch.pi * scale**2)
            least_HW = noise * spread_HW.clamp(min=1e-12).sqrt() + few
            least_HW = torch.maximum(least_HW, share * mean_HW)
            free_HW = free_HW & (counts - mean_HW <= least_HW)
        if torch.equal(before_HW, free_HW):
            break
    background_HW: Tensor = (levels_2[:, None, None] * shape_2HW).sum(0)
    return background_HW


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
        level_HW = estimate_background(counts_HW, exposure_HW)
        if out_of_time:  # of which some were taken for background
            level_HW = estimate_background(counts_HW - moved(level_HW), exposure_HW)
    return level_HW + moved(level_HW) if out_of_time else level_HW


def _levels(counts_N: Tensor, vignetting_N: Tensor) -> Tensor:
    """Levels (2) of highest likelihood, at least 0, by expectation maximisation."""
    if not bool(counts_N.sum() > 0):
        return torch.zeros(2)
    group_N = (vignetting_N * GROUPS).long().clamp(max=GROUPS - 1)
    total_3G = counts_N.new_zeros(3, GROUPS)
    total_3G.index_add_(1, group_N, torch.stack([counts_N, vignetting_N, counts_N * 0 + 1]))
    counts_G, *rest = total_3G[:, total_3G[2] > 0].clamp(min=0)
    shape_2G = torch.stack(rest)
    usual_2 = counts_N.new_tensor([1 - PARTICLES, PARTICLES])
    levels_2: Tensor = usual_2 * counts_G.sum() / (usual_2 @ shape_2G.sum(1))
    prior_2 = levels_2 * PIXELS
    for _ in range(200):
        part_2G = levels_2[:, None] * shape_2G
        photons_2 = (part_2G * (counts_G / part_2G.sum(0))).sum(1)
        levels_2 = (photons_2 + prior_2) / (shape_2G.sum(1) + PIXELS)
    found: Tensor = levels_2
    return found


def _smooth(image_NHW: Tensor, deviation: float) -> Tensor:
    """Convolve with a Gaussian; nothing lies outside the images."""
    height, width = image_NHW.shape[1:]
    reach = int(4 * deviation) + 1
    size = (height + reach, width + reach)
    row, column = torch.fft.fftfreq(size[0]), torch.fft.rfftfreq(size[1])
    square = row[:, None] ** 2 + column**2
    bell = (-2 * (torch.pi * deviation) ** 2 * square).exp()
    smooth_NHW: Tensor = torch.fft.irfft2(torch.fft.rfft2(image_NHW, size) * bell, size)
    return smooth_NHW[:, :height, :width]
