"""Errors and counts of real catalogue rows that simulated sources follow.

Shapes: B the bands s, m, h; N rows.
"""

import numpy as np
from numpy.typing import NDArray

from wolter.spectra.catalogue_rows.columns import CatalogueRows

Array = NDArray[np.float64]

# Energy flux of one count in each band, over that of the soft one: medians of error^2 / flux of
# labelled Chandra sources that are seen at 3 sigma in all bands.
_COUNT_FLUX = np.array([1.0, 0.85, 3.1])
_LEAST_RELATIVE_ERROR = 0.05  # of a flux: templates are no denser


def errors(rows: CatalogueRows) -> Array:
    """Errors (N, B) of at least the flux of one count, as the best band tells it.

    Where nothing was seen, catalogues fill in small numbers.
    """
    best_N = (rows.flux_NB / rows.error_NB).argmax(1)
    at = np.arange(len(rows)), best_N
    one_N = rows.error_NB[at] ** 2 / rows.flux_NB[at] / _COUNT_FLUX[best_N]
    found: Array = np.maximum(rows.error_NB, one_N[:, None] * _COUNT_FLUX)
    return found


def fit_errors(rows: CatalogueRows) -> Array:
    """Errors (N, B) that templates are weighted by: also at least 5 % of the flux."""
    found: Array = np.maximum(errors(rows), _LEAST_RELATIVE_ERROR * rows.flux_NB)
    return found


def counts(rows: CatalogueRows) -> Array:
    """Expected counts (N) that make such errors: the sum over bands of (flux / error)^2."""
    found: Array = ((rows.flux_NB / errors(rows)) ** 2).sum(1)
    return found


def features(rows: CatalogueRows) -> Array:
    """Catalogue features (N, X) in the order of `wolter.spectra.population.quantities.CATALOGUE`.

    The logarithm of a flux of 0 is NaN.
    """
    log_flux_NB = np.log10(np.where(rows.flux_NB > 0, rows.flux_NB, np.nan))
    others = (rows.gamma_N, rows.gamma_error_N, rows.var_intra_N, rows.var_inter_N)
    return np.concatenate([log_flux_NB, np.log10(rows.error_NB), np.stack(others, 1)], 1)
