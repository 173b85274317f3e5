"""Agreement of two representations: mutual nearest neighbours.

Shapes: D number of a representation, J neighbour, N source, X catalogue feature.
"""

import numpy as np

from wolter.spectra.latents.probes import nearest
from wolter.spectra.latents.scores import Score
from wolter.spectra.latents.sources import Array, Sources

NEIGHBOURS = (10, 50)
FLUXES = ("log_flux_s", "log_flux_m", "log_flux_h")


def mutual_neighbours(first_ND: Array, second_ND: Array, n: int) -> Score:
    """Mean share of the n nearest neighbours that two representations have in common.

    As in Huh et al. (2024, arXiv 2405.07987); chance gives n / (N - 1).
    """
    pairs = []
    for points_ND in (first_ND, second_ND):
        near_NJ = nearest(points_ND, points_ND, n + 1)
        own_N1 = np.arange(len(points_ND))[:, None]
        others = [row[row != i][:n] for row, i in zip(near_NJ, own_N1[:, 0], strict=True)]
        pairs.append(np.stack(others))
    shared_N = np.array([len(np.intersect1d(a, b)) for a, b in zip(*pairs, strict=True)]) / n
    return Score(float(shared_N.mean()), float(shared_N.std(ddof=1) / np.sqrt(len(shared_N))))


def catalogue_numbers(sources: Sources, names: tuple[str, ...]) -> Array | None:
    """Standardised catalogue features (N, X); None where a source has none of them.

    Features that most sources lack are left out; what is missing of the others is their median.
    """
    columns = []
    for name in names:
        value_N = sources.feature(name)
        known_N = np.isfinite(value_N)
        if known_N.mean() < 0.5 or np.nanstd(value_N) == 0:
            continue
        filled_N = np.where(known_N, value_N, np.nanmedian(value_N))
        columns.append((filled_N - filled_N.mean()) / filled_N.std())
    return np.stack(columns, 1) if columns else None
