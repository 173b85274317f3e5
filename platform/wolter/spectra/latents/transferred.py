"""Transfer: spectra of another instrument encoded by models that were trained on ACIS, as tables.

Shapes: N source.
"""

import torch

from wolter.errors import InputError
from wolter.report.table import Group, Line, Table
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.population_of import population_of
from wolter.spectra.latents.probes import linear_values
from wolter.spectra.latents.ratios import hardness_ratios
from wolter.spectra.latents.reconstruction import deviances, table
from wolter.spectra.latents.regression import QUANTITIES, Regress, errors, methods, regress
from wolter.spectra.latents.representations import (
    LATENT,
    RATIOS,
    Representation,
    represent,
)
from wolter.spectra.latents.scores import Score, columns
from wolter.spectra.latents.sources import Sources, encode
from wolter.spectra.latents.study import Study, refined_outputs
from wolter.spectra.latents.transfer import seen_by

INSTRUMENT, NAME = "epic_pn", "EPIC-pn"
QUANTITY = next(q for q in QUANTITIES if q.name == "hard_hs")


def part(study: Study) -> Part:
    """Deviances and hardness ratios of EPIC-pn spectra, by what was learnt on ACIS."""
    population, n = population_of(study), study.options.transfer
    if population is None or not n or study.test.batch.folding_area_BF is None:
        return Part()
    generator = torch.Generator().manual_seed(study.options.seed)
    try:
        batch = seen_by(INSTRUMENT, population, n, generator)
    except InputError as error:  # without the package of plasma
        return Part(remarks=(f"No {NAME} spectra were simulated: {error}.",))
    seen = Sources(batch, study.test.spec)
    outputs = {
        label: encode(model, batch) for label, model in zip(study.labels, study.models, strict=True)
    }
    refined = refined_outputs(study.models, study.labels, seen)
    found = deviances(seen, outputs | refined, study.components)
    title = f"Transfer to {n:,} {NAME} spectra: Poisson deviance per degree of freedom"
    reconstructed = table(found, seen.counts_N, "simulated", title)
    tuned = methods(study.options.seed)["knn"][1]
    lines: list[Line] = []
    metrics: dict[str, dict[str, float]] = {}
    for label in study.labels:
        train_ND = study.outputs[label][0][LATENT]
        row = represent(label, "measured", train_ND, outputs[label][LATENT])
        for how, by in {"nearest, tuned": tuned, "ridge": linear_values}.items():
            scores = _scores(row, by, study, seen)
            lines.append(_line(f"{label}, {how}", "measured", scores))
            if "from_40" in scores:
                key = "mae_hard_hs_transferred_" + how.partition(",")[0]
                metrics.setdefault(label, {})[key] = scores["from_40"].value
    measured_N = hardness_ratios(seen)["hard_hs"]
    direct = errors(QUANTITY.of(seen), measured_N, seen.counts_N)
    lines.append(_line(f"{RATIOS}, as measured", "baseline", direct))
    title = f"Transfer to {NAME}: mean absolute error of hard_hs, learnt on ACIS"
    ratios = Table(title, columns("least"), tuple(lines))
    return Part((reconstructed, ratios), metrics)


def _scores(row: Representation, by: Regress, study: Study, seen: Sources) -> dict[str, Score]:
    """Errors of a representation that learns from the training split and is judged elsewhere."""
    told_N = regress(row, QUANTITY, by, study.train, seen)
    return errors(QUANTITY.of(seen), told_N, seen.counts_N)


def _line(label: str, group: Group, scores: dict[str, Score]) -> Line:
    values = {name: score.value for name, score in scores.items()}
    return Line(
        f"{label} (simulated)", group, values, {name: s.error for name, s in scores.items()}
    )
