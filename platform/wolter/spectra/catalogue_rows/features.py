"""Features of catalogue rows: hardness ratios, colours, flux, significance, slope, variability.

Flux errors enter by the significance of each band and the errors of ratios alone: an error in
erg/s/cm^2 is a depth of exposure, which tells a field of sky and with it the classes looked for.

Shapes: B band (s, m, h), N row, X feature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wolter.spectra.catalogue_rows.columns import BANDS, Array, CatalogueRows

LEAST = 1e-17  # erg/s/cm^2: below every sensitivity, fluxes are zero
CLOSEST = 0.002  # of a variability probability to 0 and 1: catalogues keep three digits
PAIRS = ("hm", "hs", "ms")
# What is explained as one: each group of features is told apart by what an astronomer measures.
GROUPS: Mapping[str, str] = {
    "hardness": "hardness ratios and colours",
    "flux": "flux",
    "significance": "significance of the bands",
    "slope": "power-law slope",
    "variability": "variability",
    "latitude": "absolute Galactic latitude",
}


@dataclass(frozen=True)
class Features:
    """Features of rows.

    Attributes:
        values_NX: values; NaN where the catalogue has none.
        names: name of each feature.
        groups: key of `GROUPS` of each feature.
    """

    values_NX: Array
    names: tuple[str, ...]
    groups: tuple[str, ...]

    def columns(self, group: str) -> list[int]:
        """Indices of the features of a group."""
        return [i for i, each in enumerate(self.groups) if each == group]


def features(rows: CatalogueRows, latitude: bool = False) -> Features:
    """Features of catalogue rows.

    Hardness ratios are those of the Chandra Source Catalog, hard_xy = (F_x - F_y) / (F_x + F_y),
    with errors by propagation: 2 sqrt(F_y^2 e_x^2 + F_x^2 e_y^2) / (F_x + F_y)^2. Colours are
    log10(F_x / F_y). Variability probabilities are given as log-odds.

    Args:
        rows: rows with usable fluxes.
        latitude: add the absolute Galactic latitude; labelled samples are biased in position, so
            that it says where classes were looked for.
    """
    flux_NB = np.maximum(rows.flux_NB, LEAST)
    error_NB = np.maximum(rows.error_NB, LEAST)
    log_NB = np.log10(flux_NB)
    found: list[tuple[str, str, Array]] = []
    for pair in PAIRS:
        x, y = (BANDS.index(band) for band in pair)
        ratio_N, ratio_error_N = hardness(flux_NB[:, [x, y]], error_NB[:, [x, y]])
        found += [
            (f"hard_{pair}", "hardness", ratio_N),
            (f"colour_{pair}", "hardness", log_NB[:, x] - log_NB[:, y]),
            (f"log_error_hard_{pair}", "significance", np.log10(ratio_error_N)),
        ]
    found += [
        ("log_flux", "flux", np.log10(flux_NB.sum(1))),
        *(
            (f"log_significance_{band}", "significance", log_NB[:, b] - np.log10(error_NB[:, b]))
            for b, band in enumerate(BANDS)
        ),
    ]
    found += [
        ("gamma", "slope", rows.gamma_N),
        ("gamma_error", "slope", rows.gamma_error_N),
        ("var_intra", "variability", _log_odds(rows.var_intra_N)),
        ("var_inter", "variability", _log_odds(rows.var_inter_N)),
    ]
    if latitude:
        found.append(("abs_b", "latitude", galactic_latitude(rows.ra_N, rows.dec_N)))
    names, groups, columns = zip(*found, strict=True)
    return Features(np.stack(columns, 1), names, groups)


def hardness(flux_N2: Array, error_N2: Array) -> tuple[Array, Array]:
    """Hardness ratio (x - y) / (x + y) of two band fluxes, and its propagated error."""
    (x_N, y_N), (ex_N, ey_N) = flux_N2.T, error_N2.T
    total_N = x_N + y_N
    ratio_N: Array = (x_N - y_N) / total_N
    error_N: Array = 2 * np.hypot(y_N * ex_N, x_N * ey_N) / total_N**2
    return ratio_N, error_N


def galactic_latitude(ra_N: Array, dec_N: Array) -> Array:
    """Absolute Galactic latitude, deg, of equatorial positions (ICRS), deg."""
    from astropy.coordinates import SkyCoord

    degrees_N: Array = np.abs(np.asarray(SkyCoord(ra_N, dec_N, unit="deg").galactic.b.deg))
    return degrees_N


def outside(values_NX: Array, training_NX: Array, names: Sequence[str]) -> list[list[str]]:
    """Features of each row that lie outside the range of the training rows."""
    low_X, high_X = np.fmin.reduce(training_NX), np.fmax.reduce(training_NX)
    known_NX = ~np.isnan(values_NX)
    out_NX = known_NX & ~((values_NX >= low_X) & (values_NX <= high_X))
    return [[name for name, out in zip(names, out_X, strict=True) if out] for out_X in out_NX]


def _log_odds(probability_N: Array) -> Array:
    clipped_N = np.clip(probability_N, CLOSEST, 1 - CLOSEST)
    log_odds_N: Array = np.log(clipped_N / (1 - clipped_N))
    return log_odds_N
