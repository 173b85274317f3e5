"""Evaluation of trained models on a dataset, and its report: JSON, figures and one HTML page."""

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from wolter.data.shards import ShardDataset
from wolter.files import make_folder, write_atomically
from wolter.report import page, style
from wolter.spectra.evaluate.conditions import is_standard, remarks, shift
from wolter.spectra.evaluate.evaluation import Evaluated, Evaluation
from wolter.spectra.evaluate.exact import compare
from wolter.spectra.evaluate.inference import Model, predict_split
from wolter.spectra.evaluate.metrics import (
    RESAMPLES,
    component_errors,
    mean_mfe_ratio,
    parameter_errors,
)
from wolter.spectra.evaluate.plots import (
    calibration_plots,
    component_plots,
    predicted_true,
    results_plot,
)
from wolter.spectra.evaluate.plots.predicted_true import History
from wolter.spectra.simulator import SimulateConfig

REPORT, RESULT = "report.html", "evaluation.json"

# Captions of the figures.
RESULTS = (
    "MFE of the estimate that makes it smallest. The exact posterior's errors were measured on 300 "
    "spectra, so that a bar may end a little before the line."
)
PREDICTED = (
    "Estimates of the posterior mean, which the RMSE judges. Below each panel the residuals' "
    "median and ranges in twelve bins of the true value; where the data say little the mean is "
    "drawn towards the middle of the prior."
)
COMPONENTS = (
    "Spectra chosen by their counts alone: the 95, 70, 40 and 10 % points of the first batch. "
    "Points are the input with its Poisson errors. Below, predicted minus true component in units "
    "of the Poisson noise of the channel's expected counts."
)
RANKS = (
    "Where the truth falls among the posterior's samples: evenly everywhere if it is calibrated. A "
    "hump says that intervals are too wide, a trough too narrow, a slope that they lie too low or "
    "high. Right: the same, cumulated, less the even one, with its simultaneous 95 % band."
)
COVERAGE = "How often central credible intervals of each probability hold the truth."
TRAINING = "Means over the rows of each epoch, and of the validation split after it."


def evaluate(
    models: Model | Sequence[Model],
    dataset: ShardDataset,
    split: str = "test",
    limit: int | None = None,
    *,
    versions: Sequence[str] = (),
    batch_size: int = 1024,
    resamples: int = RESAMPLES,
    seed: int = 0,
    exact: int = 0,
    assumed: SimulateConfig | None = None,
    progress: Callable[[int], None] | None = None,
    translator: Model | None = None,
) -> Evaluation:
    """Evaluate models on the labelled spectra of a split.

    Args:
        models: a loaded model, or several with the same parameters; the first is in question.
        dataset: a labelled dataset on the models' grid.
        split: "test", "validation", "train" or "all".
        limit: judge by at most so many spectra.
        versions: the models' versions, for the report.
        batch_size: spectra a forward pass.
        resamples: bootstrap resamples of the intervals.
        seed: seed of the bootstrap, and of the sampler of exact posteriors.
        exact: of how many spectra the exact posterior is sampled and compared with.
        assumed: model and response that are taken for the spectra's in another exact posterior.
        progress: called with the number of spectra that each batch has done.
        translator: carries the spectra to the simulated domain before the models read them.

    Raises:
        InputError: a model does not fit the dataset, the split is empty, a label is zero, or an
            estimate is not finite.
    """
    several: Sequence[Model] = models if isinstance(models, Sequence) else (models,)
    predictions = predict_split(several, dataset, split, limit, batch_size, progress, translator)
    names = several[0].card.spec.names
    truth_NP, first = predictions.truth_NP, predictions.answers[0]
    labels = labels_of([model.family.name for model in several], versions)
    results = []
    for i, (model, own) in enumerate(zip(several, predictions.answers, strict=True)):
        components = None
        if own.relative_NK is not None and own.squared_NK is not None:
            components = component_errors(
                own.relative_NK, own.squared_NK, model.card.spec.components, resamples, seed
            )
        results.append(
            Evaluated(
                label=labels[i],
                family=model.family.name,
                version=versions[i] if i < len(versions) else "",
                errors=parameter_errors(
                    truth_NP, own.mean_NP, own.median_NP, names, resamples, seed
                ),
                components=components,
                ratio=mean_mfe_ratio(truth_NP, first.median_NP, own.median_NP, resamples, seed),
                training=training_facts(model),
                calibration=own.calibration,
            )
        )
    comparison = None
    if exact:
        comparison = compare(
            several, labels, dataset, split, exact, resamples, seed, progress, assumed
        )
    given = {p.name: p for p in dataset.spec.parameters}
    return Evaluation(
        models=tuple(results),
        parameters=tuple(given[name] for name in names),
        energy_edges=dataset.spec.energy_edges,
        dataset=_dataset_facts(dataset, split),
        standard=is_standard(dataset, predictions.exposure_N),
        remarks=remarks(several, dataset, split, predictions.exposure_N),
        predictions=predictions,
        comparison=comparison,
    )


def labels_of(families: Sequence[str], versions: Sequence[str]) -> list[str]:
    """Family and version of each model, numbered where two are the same."""
    pairs = itertools.zip_longest(families, versions[: len(families)], fillvalue="")
    plain = [f"{family} {version}".strip() for family, version in pairs]
    return [
        f"{label} ({plain[: i + 1].count(label)})" if plain.count(label) > 1 else label
        for i, label in enumerate(plain)
    ]


def training_facts(model: Model) -> dict[str, Any]:
    """Provenance of a model: training data, seed, version."""
    card = model.card
    return {
        "config": card.config,
        "dataset_sha256": card.dataset_sha256,
        "seed": card.seed,
        "code_version": card.code_version,
    }


def _dataset_facts(dataset: ShardDataset, split: str) -> dict[str, Any]:
    manifest = dataset.manifest
    keys = ["model", "fixed", "rmf", "arf", "backgrounds"]
    if not manifest.config.get("rmf"):
        keys.append("filter")  # of the embedded response
    return {
        "name": dataset.path.resolve().name,
        "split": split,
        "rows": manifest.rows,
        "sha256": dataset.sha256(),
        "seed": manifest.seed,
        "response_sha256": manifest.response_sha256,
        "code_version": manifest.code_version,
        "instrument": dataset.spec.instrument,
        **{key: _short(manifest.config[key]) for key in keys if manifest.config.get(key)},
        **shift(dataset),
    }


def _short(value: Any) -> Any:
    """Shorten paths to file names, since a report may be published."""
    if isinstance(value, list):
        return [_short(item) for item in value]
    return Path(value).name if isinstance(value, str) and "/" in value else value


def figures(
    evaluation: Evaluation, histories: Mapping[str, History] | None = None
) -> dict[str, page.Picture]:
    """The figures of a report by file name.

    Args:
        evaluation: what `evaluate` gave.
        histories: the training metrics of the models by label, where they are known.
    """
    found: dict[str, page.Picture] = {}

    def add(name: str, figure: Figure, title: str, caption: str) -> None:
        found[name] = page.Picture(title, caption, style.to_png(figure))

    pretrained = [m for m in reversed(evaluation.models) if m.family in results_plot.FAMILIES]
    if pretrained and evaluation.standard:
        known = {model.family: model.errors for model in pretrained}
        title = "Mean fractional error beside the published one and the exact posterior's"
        add("results.png", results_plot.result_figure(known), title, RESULTS)
    for model, answers in zip(evaluation.models, evaluation.predictions.answers, strict=True):
        title = f"{model.label}: predicted against true, {evaluation.n:,} spectra"
        figure = predicted_true.predicted_against_true(
            evaluation.predictions.truth_NP, answers.mean_NP, evaluation.parameters, title
        )
        add(f"predicted-{file_name(model.label)}.png", figure, title, PREDICTED)
    examples = evaluation.predictions.examples
    if examples:
        title = f"{examples[0].model}: decomposition of {len(examples)} spectra, bright to faint"
        figure = component_plots.decompositions(examples, evaluation.energy_edges, title)
        add("components.png", figure, title, COMPONENTS)
    for model in evaluation.models:
        if model.calibration is not None:
            title = f"{model.label}: ranks of the truth, {evaluation.n:,} spectra"
            own = model.calibration
            options = (own.ranks_NP, own.n_samples, own.names)
            figure = calibration_plots.rank_plot(*options, title=title)
            add(f"ranks-{file_name(model.label)}.png", figure, title, RANKS)
            title = f"{model.label}: coverage of credible intervals"
            figure = calibration_plots.coverage_plot(*options, title=title)
            add(f"coverage-{file_name(model.label)}.png", figure, title, COVERAGE)
    for label, history in (histories or {}).items():
        title = f"{label}: training"
        figure = predicted_true.training_curves(history, title)
        add(f"training-{file_name(label)}.png", figure, title, TRAINING)
    return found


def file_name(label: str) -> str:
    """A label as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", label).strip("-")


def write(
    evaluation: Evaluation,
    folder: Path,
    histories: Mapping[str, History] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write `evaluation.json`, `report.html` and the figures, each atomically, the JSON last.

    Args:
        evaluation: what `evaluate` gave.
        folder: created if missing; figures of an earlier evaluation there are replaced.
        histories: see `figures`.
        facts: more rows for the page's table of facts, e.g. the run's id.

    Returns:
        The folder.

    Raises:
        InputError: the folder cannot be created or written to.
    """
    pictures = figures(evaluation, histories)
    html = page.render(evaluation, pictures, facts or {})
    return write_files(folder, pictures, html, evaluation.to_json())


def write_files(
    folder: Path, pictures: Mapping[str, page.Picture], html: str, values: Mapping[str, Any]
) -> Path:
    """Write figures, page and JSON, each atomically, the JSON last; see `write`."""
    make_folder(folder)
    files = [*pictures, REPORT]
    result = json.dumps({**values, "files": files}, indent=2, allow_nan=False)
    earlier = _earlier_figures(folder)
    for name, picture in pictures.items():
        write_atomically(folder / name, picture.png)
    write_atomically(folder / REPORT, html.encode())
    write_atomically(folder / RESULT, f"{result}\n".encode())
    for name in earlier - set(files):
        (folder / name).unlink(missing_ok=True)
    return folder


def _earlier_figures(folder: Path) -> set[str]:
    """Figures of an earlier report in the folder."""
    try:
        named = json.loads((folder / RESULT).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in named if Path(name).name == name and name.endswith(".png")}
