"""Latents beside maximum-likelihood fits of the class models to the same spectra, as tables.

Shapes: N source.
"""

import numpy as np
import torch

from wolter.errors import InputError
from wolter.progress import bar
from wolter.report.table import Column, Line, Table
from wolter.spectra.latents.class_fits import ClassFit, fit_classes
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.population_of import population_of
from wolter.spectra.latents.reconstruction import deviances, table
from wolter.spectra.latents.regression import QUANTITIES
from wolter.spectra.latents.scores import ENOUGH, mean_absolute_error
from wolter.spectra.latents.sources import UNKNOWN, Sources
from wolter.spectra.latents.study import Study

FIT = "class model, fitted"


def part(study: Study) -> Part:
    """Deviances and errors of the fits of the class models, for some of the spectra."""
    population, test = population_of(study), study.test
    batch = test.batch
    known = np.flatnonzero(test.class_N != UNKNOWN)
    n = min(study.options.fits, len(known))
    if population is None or n == 0 or batch.folding_area_BF is None:
        return Part()
    generator = np.random.default_rng(study.options.seed)
    rows = np.sort(generator.permutation(known)[:n])
    some = Sources(batch[torch.from_numpy(rows)], test.spec)
    edges = torch.tensor(test.spec.energy_edges)
    try:
        with bar("fitting class models", n) as advance:
            fits = fit_classes(
                some.batch,
                some.background(),
                some.class_N.tolist(),
                edges,
                population.thermal,
                study.options.seed,
                advance,
            )
    except InputError as error:  # without the package of plasma
        return Part(remarks=(f"Class models were not fitted: {error}.",))
    outputs = {
        label: {name: value[rows] for name, value in values.items()}
        for label, values in (study.tested | study.refined).items()
    }
    found = deviances(some, outputs, study.components)
    channels = len(edges) - 1
    statistic_N = np.array([each.statistic / (channels - each.free) for each in fits])
    found[FIT] = ("limit", statistic_N)
    title = f"Reconstruction of {n} spectra beside fits: Poisson deviance per degree of freedom"
    fitted = table(found, some.counts_N, study.origin, title)
    ratios = {}
    for label in study.labels:
        if label in found:
            ratios[label] = {
                "deviance_over_fit": float(found[label][1].mean() / statistic_N.mean())
            }
    return Part((fitted, _ratios(fitted, study), _errors(some, fits, study.origin)), ratios)


def _ratios(fitted: Table, study: Study) -> Table:
    """Mean deviances per degree of freedom over those of the fits."""
    row = f"{FIT} ({study.origin})"
    own = next(line for line in fitted.lines if line.label == row).values
    lines = [
        Line(
            line.label,
            line.group,
            {name: value / own[name] for name, value in line.values.items() if name in own},
            {name: value / own[name] for name, value in line.deviations.items() if name in own},
        )
        for line in fitted.lines
        if line.label != row
    ]
    return Table("Deviance over that of the class models' fits", fitted.columns, tuple(lines))


def _errors(some: Sources, fits: list[ClassFit], origin: str) -> Table:
    """Mean absolute errors of what the fits tell, of sources of 40 counts and more."""
    told = {
        "hard_hs": np.array([each.hard_hs for each in fits]),
        "slope": np.array([each.slope for each in fits]),
    }
    bright_N = ENOUGH.of(some.counts_N)
    quantities = {q.name: q for q in QUANTITIES if q.name in told}
    values, errors = {}, {}
    for name, quantity in quantities.items():
        score = mean_absolute_error(quantity.of(some)[bright_N], told[name][bright_N])
        if score is not None:
            values[name], errors[name] = score.value, score.error
    heads = tuple(Column(q.name, q.heading, q.unit) for q in quantities.values())
    line = Line(f"{FIT} ({origin})", "limit", values, errors)
    title = f"Mean absolute error of the fits, sources of {ENOUGH.low:g} counts and more"
    return Table(title, heads, (line,))
