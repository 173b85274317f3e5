"""Significant sources of an enhanced image, for plots.

Shapes: H and W rows and columns of the photons' image, S H and S W those of the enhanced one, N
sources.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.images.evaluate.detection import peaks
from wolter.xray.imaging.excess import CORE_ARCSEC, NEEDED, point_significance


def significant_sources(
    rate_HW: Tensor,
    counts_HW: Tensor,
    expected_HW: Tensor,
    background_HW: Tensor,
    exposure_HW: Tensor,
    pixel_arcsec: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peaks of an enhanced image that are significant in the photons by `NEEDED` sigma.

    Args:
        rate_HW: ct/s in every pixel (S H, S W); NaN where nothing was seen.
        counts_HW: photons.
        expected_HW: in all, by the answer seen through the telescope.
        background_HW: expected without the answer.
        exposure_HW: s; 0 where nothing is recorded.
        pixel_arcsec: side of a pixel of the photons' image.

    Returns:
        Columns and rows (N, 2) in pixels of the enhanced image, and significances (N), sigma.
    """
    scale = len(rate_HW) // len(counts_HW)
    known_HW = torch.nan_to_num(rate_HW)
    native_HW = torch.nn.functional.avg_pool2d(known_HW[None], scale)[0] * scale**2
    place_N2, _ = peaks(known_HW.double().numpy(), 0.0, CORE_ARCSEC * scale / pixel_arcsec)
    native_N2 = torch.from_numpy(np.round(place_N2[:, ::-1]).astype(int) // scale)
    sigma_N = point_significance(
        native_N2, native_HW, counts_HW, expected_HW, background_HW, exposure_HW, pixel_arcsec
    ).numpy()
    chosen_N = sigma_N >= NEEDED
    return place_N2[chosen_N], sigma_N[chosen_N].astype(float)
