"""Published errors and the physical limit, for comparison.

Rows hold one value a parameter, in the tables' units: percent for the MFE, `RMSE_UNITS` for the
RMSE. They belong to `wabs * (powerlaw + gaussian + bbody)` under the reference's uniform priors.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wolter.spectra.schema import Parameter

_EVEN = 100_000  # quantiles of a prior that stand for it

PARAMETERS = ("nh", "slope", "pow_norm", "line_energy", "line_norm", "kt", "bb_norm")

PUBLISHED = (
    "Manduchi et al. 2022, Can Artificial Neural Networks help to understand X-ray spectra? "
    "(XMM-Newton EPIC-pn, XSPEC fakeit, 30 observed backgrounds, exposure not stated)"
)
LIMIT = (
    "Exact posteriors of 300 spectra by a converged, rank-calibrated ensemble sampler: EPIC-pn "
    "response and background of NGC 7793 ULX-4, 0.3-10 keV, 25 ks, line sigma 0.1 keV; standard "
    "errors reach 8 % (bb_norm's MFE) and 20 % (slope's RMSE)"
)
STANDARD_EXPOSURE_S = 25_000.0
STANDARD_SIGMA_KEV = 0.1


@dataclass(frozen=True)
class Unit:
    """The unit of an RMSE column: `factor` in the parameter's own unit."""

    factor: float
    label: str


RMSE_UNITS: Mapping[str, Unit] = {
    "nh": Unit(1e-2, "1e-2 × 1e22 cm⁻²"),
    "slope": Unit(1e-2, "1e-2"),
    "pow_norm": Unit(1e-5, "1e-5"),
    "line_energy": Unit(1e-1, "1e-1 keV"),
    "line_norm": Unit(1e-6, "1e-6"),
    "kt": Unit(1e-2, "1e-2 keV"),
    "bb_norm": Unit(1e-6, "1e-6"),
}

HEADINGS: Mapping[str, str] = {
    "nh": "nH",
    "slope": "slope",
    "pow_norm": "pow norm",
    "line_energy": "line E",
    "line_norm": "line norm",
    "kt": "kT",
    "bb_norm": "bb norm",
}


@dataclass(frozen=True)
class Row:
    """One row of a table: a method, where its figures come from, and a value a parameter."""

    label: str
    source: str
    values: Mapping[str, float]


def _row(label: str, source: str, *values: float) -> Row:
    return Row(label, source, dict(zip(PARAMETERS, values, strict=True)))


FITTING, MLP, CNN, DEEPSPECTRA = "spectral fitting", "MLP", "CNN", "DeepSpectra"

PUBLISHED_MFE = (
    _row(FITTING, PUBLISHED, 5.95, 2.33, 5.33, 2.65, 33.46, 9.28, 77.83),
    _row(MLP, PUBLISHED, 10.5, 2.60, 8.41, 1.29, 18.28, 6.1, 46.8),
    _row(CNN, PUBLISHED, 8.78, 2.00, 7.28, 0.89, 12.47, 5.61, 40.6),
    _row(DEEPSPECTRA, PUBLISHED, 4.85, 1.47, 4.65, 0.56, 10.4, 5.58, 40.3),
)
PUBLISHED_RMSE = (
    _row(FITTING, PUBLISHED, 4.53, 15.0, 9.82, 4.70, 11.0, 2.42, 15.5),
    _row(MLP, PUBLISHED, 3.62, 7.62, 9.95, 1.60, 2.8, 1.31, 7.49),
    _row(CNN, PUBLISHED, 3.00, 5.67, 8.03, 1.27, 1.99, 1.21, 6.89),
    _row(DEEPSPECTRA, PUBLISHED, 2.72, 4.96, 6.25, 1.23, 1.81, 1.20, 6.83),
)
LIMIT_MFE = (
    _row("exact, median, 25 ks", LIMIT, 3.5, 1.29, 3.5, 0.50, 9.3, 5.2, 38),
    _row("exact, MFE-optimal, 25 ks", LIMIT, 3.4, 1.29, 3.4, 0.44, 9.3, 5.2, 28),
)
LIMIT_RMSE = (_row("exact, mean, 25 ks", LIMIT, 2.25, 5.9, 6.0, 1.05, 1.99, 1.18, 6.7),)

# The uniform ranges that every row above was measured under.
PRIOR: Mapping[str, tuple[float, float]] = {
    "nh": (0.01, 1.0),
    "slope": (1.0, 3.0),
    "pow_norm": (4e-5, 4e-3),
    "line_energy": (5.0, 7.0),
    "line_norm": (1e-6, 5e-5),
    "kt": (0.12, 0.20),
    "bb_norm": (1e-6, 5e-5),
}

OF_FAMILY: Mapping[str, str] = {"mlp": MLP, "cnn": CNN, "deepspectra": DEEPSPECTRA}


def published(family: str) -> tuple[Row, Row]:
    """The published MFE and RMSE rows that a family answers to: its own, else DeepSpectra's."""
    label = OF_FAMILY.get(family, DEEPSPECTRA)
    mfe = next(row for row in PUBLISHED_MFE if row.label == label)
    return mfe, next(row for row in PUBLISHED_RMSE if row.label == label)


def same_prior(parameters: Sequence[Parameter]) -> bool:
    """True if a dataset was drawn from the prior of the published and limit rows."""
    own = {p.name: (p.low, p.high) for p in parameters if p.prior == "uniform"}
    return set(own) == set(PRIOR) and all(
        math.isclose(a, b, rel_tol=1e-6)
        for name, bounds in PRIOR.items()
        for a, b in zip(own[name], bounds, strict=True)
    )


def rmse_unit(parameter: Parameter) -> Unit:
    """Unit of a parameter's RMSE column; its own unit where the reference has no such parameter."""
    return RMSE_UNITS.get(parameter.name, Unit(1.0, parameter.unit))


def constant_mfe(parameters: Sequence[Parameter]) -> Row:
    """MFE in percent of the best constant guess under the prior.

    The best guess is the 1/theta-weighted median of the prior. Under a uniform prior [a, b] it is
    sqrt(a b), and its error is (sqrt(b) - sqrt(a)) / (sqrt(b) + sqrt(a)). Parameters whose prior is
    not positive are left out.
    """
    values = {}
    for p in parameters:
        if p.low <= 0:
            continue
        if p.prior == "uniform":
            low, high = math.sqrt(p.low), math.sqrt(p.high)
            values[p.name] = 100 * (high - low) / (high + low)
        else:
            theta_N = p.quantiles(_EVEN)
            share_N = np.cumsum(1 / theta_N) / np.sum(1 / theta_N)
            guess = theta_N[np.searchsorted(share_N, 0.5)]
            values[p.name] = 100 * float(np.mean(np.abs(guess - theta_N) / theta_N))
    return Row("best constant guess", "the prior alone: sqrt(a b) where it is uniform", values)


def constant_rmse(parameters: Sequence[Parameter]) -> Row:
    """RMSE of the best constant guess under the prior: its standard deviation."""
    values = {p.name: p.deviation / rmse_unit(p).factor for p in parameters}
    return Row(
        "best constant guess", "the prior alone: (b - a) / sqrt(12) where it is uniform", values
    )
