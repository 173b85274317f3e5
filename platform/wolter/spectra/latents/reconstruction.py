"""Quality of reconstructions: Poisson deviance per degree of freedom, by counts.

Shapes: C channel, N spectrum.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from wolter.report.table import Group, Line, Table
from wolter.spectra.latents.components import Components
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.scores import ALL, Mask, Score, by_counts, columns
from wolter.spectra.latents.sources import Array, Outputs, Sources, numbers
from wolter.spectra.latents.study import Study
from wolter.xray.stats.likelihood import cstat

RECONSTRUCTION = "reconstruction"  # output: expected counts of source and background
TRUTH = "noise-free counts"
TITLE = "Reconstruction: Poisson deviance per degree of freedom, by counts"
SECOND_TITLE = "Reconstruction beside a second draw of the same sources: Poisson deviance a channel"


def reduced_deviance(counts_NC: Tensor, expected_NC: Tensor, free: int) -> Array:
    """Deviance per degree of freedom (N) of expected counts.

    The deviance is C-stat: -2 ln(likelihood) less that of a perfect model. Where counts are few, it
    is not distributed as chi-squared: compare it with that of the noise-free counts.

    Args:
        counts_NC: counts.
        expected_NC: expected counts of source and background.
        free: numbers that were fitted to each spectrum.
    """
    deviance_N = cstat(counts_NC.double(), expected_NC.double())
    return numbers(deviance_N) / (expected_NC.shape[1] - free)


def deviances(
    test: Sources,
    outputs: Mapping[str, Outputs],
    components: Components,
    second_NC: Tensor | None = None,
) -> dict[str, tuple[Group, Array]]:
    """Group of row and deviance per degree of freedom (N), by row.

    Args:
        test: the spectra that are judged.
        outputs: of every model for them; those without a reconstruction are left out.
        components: principal components of the training split.
        second_NC: counts that the reconstructions are compared with; default: those that they are
            of. Of a second draw nothing was fitted.
    """
    counts_NC, background_NC = test.batch.counts_BC, test.background()
    judged_NC = counts_NC if second_NC is None else second_NC
    fitted = second_NC is None
    found: dict[str, tuple[Group, Array]] = {}
    for label, values in outputs.items():
        if RECONSTRUCTION in values:
            expected_NC = torch.from_numpy(values[RECONSTRUCTION])
            free = values["latent"].shape[1] * fitted
            found[label] = ("measured", reduced_deviance(judged_NC, expected_NC, free))
    n = len(components.axes_LC)
    expected_NC = components.expected(counts_NC, background_NC) + background_NC
    linear = reduced_deviance(judged_NC, expected_NC, (n + 1) * fitted)
    found[f"{n} principal components and amplitude"] = ("baseline", linear)
    if test.batch.expected_BKC is not None:
        expected_NC = test.batch.expected_BKC.sum(1) + background_NC
        found[TRUTH] = ("limit", reduced_deviance(judged_NC, expected_NC, 0))
    return found


def second_draw(test: Sources, seed: int) -> Tensor | None:
    """Counts (N, C) of the same sources with other noise; None where noise-free ones are unknown.

    What follows the noise of its own spectrum looks too good there, and not here.
    """
    if not test.batch.has_expected:
        return None
    return test.batch.redraw(torch.Generator().manual_seed(seed)).counts_BC


def mean_by_counts(value_N: Array, counts_N: Array) -> dict[str, Score]:
    """Means by counts, of the values that are finite."""

    def mean(mask_N: Mask) -> Score | None:
        some = value_N[mask_N]
        some = some[np.isfinite(some)]
        if len(some) < 2:
            return None
        return Score(float(some.mean()), float(some.std(ddof=1) / np.sqrt(len(some))))

    return by_counts(mean, counts_N)


def table(
    found: Mapping[str, tuple[Group, Array]], counts_N: Array, origin: str, title: str = TITLE
) -> Table:
    """Table of deviances per degree of freedom."""
    lines = []
    for label, (group, value_N) in found.items():
        scores = mean_by_counts(value_N, counts_N)
        values = {name: score.value for name, score in scores.items()}
        errors = {name: score.error for name, score in scores.items()}
        lines.append(Line(f"{label} ({origin})", group, values, errors))
    return Table(title, columns("least"), tuple(lines))


def part(study: Study) -> Part:
    """Reconstructions beside principal components and the noise-free counts."""
    outputs = study.tested | study.refined
    found = deviances(study.test, outputs, study.components)
    counts_N = study.test.counts_N
    tables = [table(found, counts_N, study.origin)]
    judged = {"deviance_per_dof": found}
    second_NC = second_draw(study.test, study.options.seed)
    if second_NC is not None:
        again = deviances(study.test, outputs, study.components, second_NC)
        tables.append(table(again, counts_N, study.origin, SECOND_TITLE))
        judged["deviance_per_dof_second"] = again
    metrics: dict[str, dict[str, float]] = {label: {} for label in study.labels}
    for name, values in judged.items():
        for label in study.labels:
            if label in values:
                score = mean_by_counts(values[label][1], counts_N).get(ALL.name)
                if score is not None:  # None of few sources
                    metrics[label][name] = score.value
    return Part(tuple(tables), metrics)
