"""Smoothing, variance stabilisation and interpolation of counts images.

Shapes: B batch, F images, H and W rows and columns, N pixels of a kernel, S scale.
"""

import math

import torch
from torch import Tensor, nn

TRUNCATE = 3  # deviations at which a Gaussian ends
FLOOR = 0.02  # counts a pixel, below which a smoothed image does not fall where it is exposed
EDGE, NOTHING = 0.05, 0.002  # exposures, in its unit: hardly any, and as good as none
# Deviations, input pixels, of the telescope's blur, and within which an image is brought to
# the photons; how many photons are too few to do so; and the largest factor.
BLUR, AROUND, FEW, MOST = 2.0, 6.0, 50.0, 2.0
BALANCE_REACH = math.ceil(TRUNCATE * BLUR) + math.ceil(TRUNCATE * AROUND) + 1
QUARTER = 0.375  # Anscombe's: the root of n + 3/8 has nearly the standard deviation 1/2 for every n


def log_rate(counts_BHW: Tensor, exposure_BHW: Tensor, sigma: float) -> Tensor:
    """Logarithm of smoothed counts per smoothed exposure."""
    both_BFHW = smooth(torch.stack([counts_BHW, exposure_BHW], 1), sigma)
    counts_BHW, exposure_BHW = both_BFHW.unbind(1)
    floor_BHW = FLOOR * exposure_BHW / (exposure_BHW + EDGE) + EDGE * NOTHING
    return (counts_BHW + floor_BHW).log() - (exposure_BHW + NOTHING).log()


def smooth(images_BFHW: Tensor, sigma: float) -> Tensor:
    """Images convolved with a Gaussian; nothing lies beyond their edges."""
    radius, n = math.ceil(TRUNCATE * sigma), images_BFHW.shape[1]
    offset_N = torch.arange(-radius, radius + 1, device=images_BFHW.device)
    weight_N = torch.exp(-0.5 * (offset_N / sigma).square())
    weight_N = (weight_N / weight_N.sum()).to(images_BFHW.dtype)
    conv = nn.functional.conv2d
    with torch.autocast(images_BFHW.device.type, enabled=False):
        rows_BFHW = conv(images_BFHW, weight_N.expand(n, 1, 1, -1), padding=(0, radius), groups=n)
        kernel = weight_N[:, None].expand(n, 1, -1, 1)
        return conv(rows_BFHW, kernel, padding=(radius, 0), groups=n)


def enlarge_smoothly(image_BHW: Tensor, scale: int) -> Tensor:
    """Interpolate linearly between the middles of pixels."""
    larger: Tensor = nn.functional.interpolate(
        image_BHW[:, None], scale_factor=scale, mode="bilinear"
    )[:, 0]
    return larger


def balance(
    counts_BHW: Tensor, exposure_BHW: Tensor, background_BHW: Tensor, rate_BHW: Tensor, scale: int
) -> Tensor:
    """Local correction factor (B, S H, S W) from predicted to counted photons."""
    made_BHW = nn.functional.avg_pool2d(rate_BHW, scale) * scale**2
    # What lies beyond the edges is like what lies inside: its photons are scattered in, too.
    blurred, inside = smooth(torch.stack([made_BHW, torch.ones_like(made_BHW)], 1), BLUR).unbind(1)
    made_BHW = blurred / inside * exposure_BHW + background_BHW
    around, made = smooth(torch.stack([counts_BHW, made_BHW], 1), AROUND).unbind(1)
    few = FEW / (4 * math.pi * AROUND**2)
    ratio_BHW = (around + few) / (made + few)
    return enlarge_smoothly(ratio_BHW.clamp(1 / MOST, MOST), scale)


def root(counts_BHW: Tensor) -> Tensor:
    """Variance-stabilising root of counts (Anscombe 1948)."""
    return (counts_BHW + QUARTER).sqrt()
