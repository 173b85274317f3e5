"""Formulas of latents, and their agreement with catalogue features, as tables.

Shapes: N source, X catalogue feature.
"""

import numpy as np

from wolter.report.table import Column, Line, Table
from wolter.spectra.latents.agreement import (
    FLUXES,
    NEIGHBOURS,
    catalogue_numbers,
    mutual_neighbours,
)
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.representations import LATENT
from wolter.spectra.latents.scores import ENOUGH, FEW
from wolter.spectra.latents.sources import Array, Sources
from wolter.spectra.latents.study import Study
from wolter.spectra.latents.symbolic import agreement, search

_FORMULAS = (
    Column("all", "|Spearman|", "all", "none"),
    Column("pearson", "|Pearson|", "all", "none"),
    Column("from_40", "|Spearman|", ENOUGH.heading, "none"),
)
_MOST = 4000  # sources whose neighbours are compared
_GOOD = 0.8  # |rho| above which a formula explains a latent


def fluxes(sources: Sources) -> dict[str, Array]:
    """Band fluxes (N), erg cm^-2 s^-1: noise-free where they are known, else the catalogue's."""
    found = {name: sources.label(f"flux_{name}") for name in ("s", "m", "h", "b")}
    if np.isfinite(found["s"]).sum() >= FEW:
        return found
    own = {name: 10 ** sources.feature(f"log_flux_{name}") for name in ("s", "m", "h")}
    return {**own, "b": sum(own.values(), start=np.zeros(len(sources)))}


def part(study: Study) -> Part:
    """A formula of each latent, and mutual neighbours with the catalogue."""
    formulas, metrics = _formulas(study)
    return Part((*formulas, *_agreement(study)), metrics)


def _formulas(study: Study) -> tuple[list[Table], dict[str, dict[str, float]]]:
    learn, judge = fluxes(study.train), fluxes(study.test)
    bright_N = ENOUGH.of(study.test.counts_N)
    tables, metrics = [], {}
    for label, (train, test) in study.outputs.items():
        lines, good = [], 0
        for i, (latent_M, latent_N) in enumerate(zip(train[LATENT].T, test[LATENT].T, strict=True)):
            formula = search(latent_M, learn)
            if formula is None:
                continue
            rank, linear = agreement(formula, latent_N, judge)
            bright, _ = agreement(
                formula, latent_N[bright_N], {k: v[bright_N] for k, v in judge.items()}
            )
            values = {"all": rank, "pearson": linear, "from_40": bright}
            known = {name: value for name, value in values.items() if np.isfinite(value)}
            lines.append(Line(f"latent {i} = {formula} ({study.origin})", "measured", known, {}))
            good += rank > _GOOD
        if lines:
            tables.append(Table(f"Formulas of band fluxes: {label}", _FORMULAS, tuple(lines)))
            metrics[label] = {"latents_explained": float(good)}
    return tables, metrics


def _agreement(study: Study) -> list[Table]:
    """Mutual nearest neighbours of every representation with the catalogue."""
    generator = np.random.default_rng(study.options.seed)
    n = len(study.test)
    some = np.sort(generator.permutation(n)[:_MOST])
    numbers = {
        "features": catalogue_numbers(study.test, study.test.spec.catalogue),
        "fluxes": catalogue_numbers(study.test, FLUXES),
    }
    known = {name: each[some] for name, each in numbers.items() if each is not None}
    sizes = [size for size in NEIGHBOURS if size + 1 < len(some)]
    if not known or not sizes:
        return []
    columns, lines = [], []
    for name in known:
        heading = "all features" if name == "features" else "three fluxes"
        columns += [Column(f"{name}_{k}", heading, f"% of {k}", "most") for k in sizes]
    for each in study.representations:
        scores = {
            f"{name}_{k}": mutual_neighbours(each.test_ND[some], points, k)
            for name, points in known.items()
            for k in sizes
        }
        values = {name: 100 * score.value for name, score in scores.items()}
        errors = {name: 100 * score.error for name, score in scores.items()}
        lines.append(Line(f"{each.label} ({study.origin})", each.group, values, errors))
    chance = {f"{name}_{k}": 100 * k / (len(some) - 1) for name in known for k in sizes}
    lines.append(Line(f"chance ({study.origin})", "limit", chance, {}))
    return [Table("Mutual nearest neighbours with the catalogue", tuple(columns), tuple(lines))]
