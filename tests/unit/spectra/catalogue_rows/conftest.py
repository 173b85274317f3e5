from dataclasses import replace

import numpy as np
import pytest

from wolter.spectra.catalogue_rows import classifier
from wolter.spectra.catalogue_rows.columns import CLASSES, CatalogueRows


def make_rows(flux, error=None, classes=None, **more):
    """Rows with these band fluxes; everything else is missing unless given."""
    flux_NB = np.atleast_2d(np.asarray(flux, float))
    n = len(flux_NB)
    empty = np.full(n, np.nan)
    values = {
        "name_N": np.array([f"source {i}" for i in range(n)]),
        "ra_N": empty,
        "dec_N": empty,
        "flux_NB": flux_NB,
        "error_NB": 0.1 * flux_NB if error is None else np.atleast_2d(error),
        "gamma_N": empty,
        "gamma_error_N": empty,
        "var_intra_N": empty,
        "var_inter_N": empty,
        "class_N": np.full(n, -1) if classes is None else np.array(classes),
    }
    return CatalogueRows(**values | more)


@pytest.fixture
def few_rounds(monkeypatch):
    """A tenth of the boosting, for tests of what is done with the classifier."""
    full = classifier._trees
    monkeypatch.setattr(
        classifier, "_trees", lambda config: full(replace(config, iterations=10, learning_rate=0.3))
    )


@pytest.fixture
def population():
    """Rows of three classes that differ in hardness, with some slopes and positions missing none.

    AGN are hard, LM-STAR soft, and CV like AGN but ten times as bright.
    """
    rng = np.random.default_rng(1)
    names = ["AGN"] * 120 + ["LM-STAR"] * 60 + ["CV"] * 20
    shape = {"AGN": (1, 1, 3), "LM-STAR": (4, 1, 0.3), "CV": (10, 10, 30)}
    flux_NB = 1e-15 * np.array([shape[name] for name in names])
    flux_NB = flux_NB * rng.lognormal(0, 0.25, flux_NB.shape)
    n = len(names)
    return make_rows(
        flux_NB,
        classes=[CLASSES.index(name) for name in names],
        ra_N=rng.uniform(0, 360, n),
        dec_N=rng.uniform(-80, 80, n),
        gamma_N=np.where(rng.random(n) < 0.5, np.nan, rng.normal(2, 0.3, n)),
        gamma_error_N=np.full(n, 0.2),
        var_intra_N=rng.random(n),
    )


@pytest.fixture
def table(tmp_path):
    """Write a labelled table of a few columns as CSV; returns its path."""

    def write(text, name="rows.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def csv_of(rows, path):
    """Write rows with the catalogue's column names."""
    lines = [
        "name,ra,dec,Fcsc_s,e_Fcsc_s,Fcsc_m,e_Fcsc_m,Fcsc_h,e_Fcsc_h,powlaw_gamma_mean,"
        "e_powlaw_gamma_mean,var_intra_prob,var_inter_prob,Class"
    ]
    for i in range(len(rows)):
        flux, error = rows.flux_NB[i], rows.error_NB[i]
        bands = [f"{value:.8g}" for pair in zip(flux, error, strict=True) for value in pair]
        rest = [rows.gamma_N[i], rows.gamma_error_N[i], rows.var_intra_N[i], rows.var_inter_N[i]]
        shown = ["" if np.isnan(value) else f"{value:.6g}" for value in rest]
        where = [f"{rows.ra_N[i]:.6f}", f"{rows.dec_N[i]:.6f}"]
        name = "" if rows.class_N[i] < 0 else CLASSES[rows.class_N[i]]
        lines.append(",".join([str(rows.name_N[i]), *where, *bands, *shown, name]))
    path.write_text("\n".join(lines) + "\n")
    return path
