"""Field-of-view estimation of an image from gaps in its photons.

Shapes: H and W rows and columns of an image; C connected regions, K parts of what
surrounds them, N pixels of it.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

DISC = 10.0  # photons to expect in an empty disc: one of e^10 has none by chance
REGION = 40.0  # and in a region of such discs, that was not exposed
AROUND = 20  # photons of an exposed part; what has fewer are strays
QUARTILE = 0.25  # of the parts of a region's surroundings are less dense than what counts
STEP, CLOSE = 1.5, 1.1  # from one radius to the next, where nothing is found; radii that agree
FIELD_ARCSEC = 40.0  # from the middle of a field to its edge: what is smaller is a source
WHOLE = 0.4  # of a field's pixels lie on one chip, or on chips that touch
DEPTH = 0.25  # pixels further in for one around a region: less is no field, but a source
LEAST_SHARE = 0.05  # of the image, outside the field
FADING = 2.0  # times as dense further in: there fades a source, and the field does not end
LEAST = 1.5  # pixels: the smallest radius
STRAYS, STRAY_SHARE = 3, 0.002  # photons in it all the same, as of particles: so many at most


def unexposed(counts_HW: Tensor, pixel_arcsec: float) -> Tensor:
    """Mask of unexposed pixels (H, W), estimated from the photons.

    Regions at the image's border without a photon, made of discs of one radius, were not exposed if
    `REGION` photons are missing there, and `DISC` in each disc, by the density of photons around
    them. The smallest radius for which that holds follows the edge of the field most closely. An
    empty pixel of a sparse field says nothing, and gaps narrower than a disc are not seen. A few
    stray photons in such a region do not save the pixels around them.

    Args:
        counts_HW: photons.
        pixel_arcsec: side of a pixel.
    """
    from scipy import ndimage

    empty_HW = counts_HW.numpy() <= 0
    dark_HW = np.zeros_like(empty_HW)
    if empty_HW.all() or not empty_HW.any():
        return torch.from_numpy(dark_HW)
    away_HW = ndimage.distance_transform_edt(empty_HW)
    radius, smallest = float(away_HW.max()) / 2, math.inf
    while radius >= LEAST:
        found = _missing(empty_HW, away_HW, radius)
        if found is None:
            if dark_HW.any():
                break
            radius /= STEP
            continue
        dark_HW, density = dark_HW | found[0], found[1]
        smallest, radius = radius, max(math.sqrt(DISC / (math.pi * density)), LEAST)
        if radius * CLOSE >= smallest:
            break
    if dark_HW.mean() < LEAST_SHARE or not _field(~dark_HW, FIELD_ARCSEC / pixel_arcsec):
        dark_HW[:] = False  # chance, or sources in a dark sky
    return torch.from_numpy(dark_HW)


def _field(exposed_HW: Mask, half: float) -> bool:
    """True for pixels that form a field of view, False for sources scattered over the sky."""
    from scipy import ndimage

    label_HW, _ = ndimage.label(exposed_HW)
    most = np.bincount(label_HW[exposed_HW]).max(initial=0)
    wide = ndimage.distance_transform_edt(exposed_HW).max() >= half
    return bool(wide and most >= WHOLE * exposed_HW.sum())


def _missing(empty_HW: Mask, away_HW: Array, radius: float) -> tuple[Mask, float] | None:
    """Regions (H, W) of empty discs that miss too many photons, and the density around them.

    Args:
        empty_HW: pixels without a photon.
        away_HW: distance to the nearest photon.
        radius: radius of the discs.
    """
    from scipy import ndimage

    centres_HW = away_HW > radius
    if not centres_HW.any():
        return None
    rest_HW = ndimage.distance_transform_edt(~centres_HW) > radius
    lit_HW = ~empty_HW  # photons count once in a pixel: sources are no denser than 1
    rest_HW &= ~_sparse(rest_HW, lit_HW, AROUND)
    label_HW, n = ndimage.label(~rest_HW, np.ones((3, 3)))
    border_HW = np.ones_like(empty_HW)
    border_HW[1:-1, 1:-1] = False
    area_C = np.bincount(label_HW.ravel(), minlength=n + 1)
    dark_C = (np.bincount(label_HW[border_HW], minlength=n + 1) > 0) & (area_C >= REGION)
    dark_C[0] = False
    if not dark_C.any():
        return None
    outside_HW = dark_C[label_HW]
    far_HW, nearest_2HW = ndimage.distance_transform_edt(~outside_HW, return_indices=True)
    of_HW = label_HW[nearest_2HW[0], nearest_2HW[1]]
    ring_HW = rest_HW & (far_HW <= 2 * radius)
    inner_HW = rest_HW & (far_HW > 2 * radius) & (far_HW <= 4 * radius)
    density_C, inner_C = (
        _density(each_HW, of_HW, lit_HW, n, radius) for each_HW in (ring_HW, inner_HW)
    )
    around_C, within_C = (np.bincount(of_HW[each], minlength=n + 1) for each in (ring_HW, inner_HW))
    lacking_C = density_C * area_C
    strays_C = np.bincount(label_HW[lit_HW], minlength=n + 1)
    dark_C &= lacking_C >= REGION
    dark_C &= strays_C <= np.maximum(STRAYS, STRAY_SHARE * lacking_C)
    dark_C &= (inner_C <= FADING * density_C) & (within_C >= DEPTH * around_C)
    dark_C &= density_C * math.pi * radius**2 >= 0.7 * DISC  # one radius is for all regions
    if not dark_C.any():
        return None
    return dark_C[label_HW], float(density_C[dark_C] @ area_C[dark_C] / area_C[dark_C].sum())


def _density(ring_HW: Mask, of_HW: NDArray[np.int32], lit_HW: Mask, n: int, radius: float) -> Array:
    """Pixels with photons per pixel of the ring around every region (C).

    It is the lower quartile of the ring's parts: a source does not speak for all surroundings.
    """
    row_N, column_N = np.nonzero(ring_HW)
    side = max(int(4 * radius), 1)
    across = ring_HW.shape[1] // side + 1
    part_N = row_N // side * across + column_N // side
    of_N, lit_N = of_HW[ring_HW].astype(np.int64), lit_HW[ring_HW]
    _, at_N = np.unique(of_N * (part_N.max(initial=0) + 1) + part_N, return_inverse=True)
    pixels_K = np.bincount(at_N)
    of_K = np.zeros(len(pixels_K), np.int64)
    of_K[at_N] = of_N
    density_K = np.bincount(at_N, lit_N) / np.maximum(pixels_K, 1)
    order_K = np.lexsort((density_K, of_K))
    density_C = np.zeros(n + 1)
    for region in np.unique(of_K):
        own_K = order_K[of_K[order_K] == region]
        share_K = np.cumsum(pixels_K[own_K]) / pixels_K[own_K].sum()
        density_C[region] = density_K[own_K[np.searchsorted(share_K, QUARTILE)]]
    return density_C


def _sparse(part_HW: Mask, lit_HW: Mask, least: float) -> Mask:
    """Connected parts (H, W) that hold fewer pixels with photons than `least`."""
    from scipy import ndimage

    label_HW, n = ndimage.label(part_HW)
    sparse_C = np.bincount(label_HW[lit_HW], minlength=n + 1) < least
    sparse_C[0] = False
    sparse: Mask = sparse_C[label_HW]
    return sparse
