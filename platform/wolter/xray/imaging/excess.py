"""Source significance by the Poisson likelihood: excess of photons over the background.

Shapes: H rows and W columns of the photons' image, N places, K rows and columns around them.
"""

import math

import torch
from torch import Tensor

from wolter.xray.imaging.consistency import deviance_root, significance

NEEDED = 5.0  # sigma above the background: reached in 2 of 120 empty fields of 200 x 200 pixels
RADII_ARCSEC = (10.0, 20.0, 40.0, 80.0)  # of the discs that are looked at, the smallest first

CORE_ARCSEC, RING_ARCSEC = 10.0, 25.0  # radii of a point source's disc, and of the ring around it
CONTRAST = 0.2  # of all else, by which the photons of a point source exceed it


def needs_source(
    counts_HW: Tensor, background_HW: Tensor, exposure_HW: Tensor, pixel_arcsec: float
) -> Tensor:
    """Mask of pixels (H, W) whose photons exceed the background significantly.

    The photons in a disc around each pixel are compared with the background by their Poisson
    likelihood (`wolter.xray.imaging.consistency.significance`): they need a source where they
    exceed it by `NEEDED` sigma. Wider discs find fainter and more extended sources; they leave out
    the pixels that smaller ones have found, so that a bright source does not stand for the sky
    around it.

    Args:
        counts_HW: photons.
        background_HW: expected counts without any source; where it is 0, each photon needs one.
        exposure_HW: s; 0 where nothing is recorded.
        pixel_arcsec: side of a pixel.
    """
    needed_HW = torch.zeros_like(exposure_HW, dtype=torch.bool)
    for radius in RADII_ARCSEC:
        free_HW = exposure_HW * ~needed_HW
        excess_HW = significance(counts_HW, background_HW, free_HW, radius / pixel_arcsec)
        needed_HW = needed_HW | (excess_HW >= NEEDED)
    return needed_HW


def point_significance(
    place_N2: Tensor,
    rate_HW: Tensor,
    counts_HW: Tensor,
    expected_HW: Tensor,
    background_HW: Tensor,
    exposure_HW: Tensor,
    pixel_arcsec: float,
) -> Tensor:
    """Significance of point sources of an image, given the photons around their positions.

    In the disc of `CORE_ARCSEC`, the photons are compared by their likelihood with all that is
    expected there but the image's own excess in the disc over the median of the ring around it. So
    neither the wings of a neighbour nor the glow of a cluster count for a source; nor do ripples in
    that glow, of less than `CONTRAST` of it.

    Args:
        place_N2: rows and columns (N, 2).
        rate_HW: rate of the image, on the photons' pixels, ct/s; NaN counts as 0.
        counts_HW: photons.
        expected_HW: in all, by the image seen through the telescope.
        background_HW: expected without the image.
        exposure_HW: s; 0 where nothing is recorded.
        pixel_arcsec: side of a pixel.

    Returns:
        (N), sigma; 0 where nothing stands out.
    """
    core, reach = CORE_ARCSEC / pixel_arcsec, math.floor(RING_ARCSEC / pixel_arcsec)
    at = torch.arange(-reach, reach + 1)
    away_KK = torch.hypot(at[:, None].float(), at.float())
    disc_KK, ring_KK = away_KK <= core, (away_KK > core) & (away_KK <= RING_ARCSEC / pixel_arcsec)
    own_HW = torch.nan_to_num(rate_HW) * exposure_HW
    maps = torch.stack([own_HW, counts_HW, expected_HW, background_HW]) * (exposure_HW > 0)
    seen = torch.nn.functional.pad(torch.stack([*maps, (exposure_HW > 0).float()]), (reach,) * 4)
    row_NKK = place_N2[:, 0, None, None] + at[:, None] + reach
    column_NKK = place_N2[:, 1, None, None] + at + reach
    own_NKK, *others, seen_NKK = seen[:, row_NKK, column_NKK]
    n_N, m_N, b_N = ((each_NKK * disc_KK).sum((1, 2)) for each_NKK in others)
    around_NKK = torch.where(ring_KK & (seen_NKK > 0), own_NKK, torch.nan)
    ring_N = torch.nan_to_num(around_NKK.flatten(1).nanmedian(1).values)
    excess_N = ((own_NKK - ring_N[:, None, None] * seen_NKK) * disc_KK).sum((1, 2)).clamp(min=0)
    others_N = torch.maximum(m_N - excess_N, b_N)
    stands_out_N = n_N > (1 + CONTRAST) * others_N
    return torch.where(stands_out_N, deviance_root(n_N.round(), others_N), 0.0)
