"""Hardness ratios measured from counts: the baseline that every latent space must beat.

Shapes: C channel, F narrow band of the effective area, N source.
"""

import numpy as np
import torch

from wolter.spectra.folding import bands_kev
from wolter.spectra.latents.sources import Array, Sources, numbers

BANDS_KEV = {"s": (0.5, 1.2), "m": (1.2, 2.0), "h": (2.0, 7.0)}
"""Bands of the Chandra Source Catalog."""
RATIOS = {"hard_hm": ("h", "m"), "hard_hs": ("h", "s"), "hard_ms": ("m", "s")}


def band_fluxes(sources: Sources) -> dict[str, Array]:
    """Energy flux (N) in each of `BANDS_KEV`, keV cm^-2 s^-1, from net counts.

    Net counts over exposure and the mean effective area of the band, times its mean energy. Counts
    in no channel, or fewer than the background, give zero.
    """
    batch = sources.batch
    net_NC = batch.counts_BC - batch.background_scale_B[:, None] * batch.background_BC
    edges = torch.tensor(sources.spec.energy_edges)
    energy_C = (edges[1:] + edges[:-1]) / 2
    found = {}
    for name, (low, high) in BANDS_KEV.items():
        inside_C = (energy_C >= low) & (energy_C < high)
        rate_N = net_NC[:, inside_C].sum(1).clamp_min(0) / batch.exposure_B.clamp_min(1e-6)
        mean_kev = float((low * high) ** 0.5)
        found[name] = numbers(rate_N * mean_kev) / np.maximum(_area(sources, low, high), 1e-3)
    return found


def _area(sources: Sources, low: float, high: float) -> Array:
    """Mean effective area (N) of a band, cm^2; 1 where it is not known."""
    area_NF = sources.batch.folding_area_BF
    if area_NF is None:
        return np.ones(len(sources))
    energy_F = bands_kev()
    inside_F = (energy_F >= low) & (energy_F < high)
    return np.nan_to_num(numbers(area_NF[:, inside_F].mean(1)), nan=1.0)


def ratio(first: Array, second: Array) -> Array:
    """Hardness ratio (F_x - F_y) / (F_x + F_y); 0 where there is no flux in either."""
    total = first + second
    safe: Array = np.where(total > 0, (first - second) / np.where(total > 0, total, 1), 0.0)
    return safe


def hardness_ratios(sources: Sources) -> dict[str, Array]:
    """Measured hardness ratios (N) by name, of `RATIOS`."""
    flux = band_fluxes(sources)
    return {name: ratio(flux[x], flux[y]) for name, (x, y) in RATIOS.items()}
