"""Figures of an evaluation of spectra."""

from typing import TYPE_CHECKING

from matplotlib.figure import Figure as Drawing

from wolter.report import style
from wolter.report.page import Figure
from wolter.report.write import file_name
from wolter.spectra.evaluate.plots import (
    calibration_plots,
    component_plots,
    predicted_true,
    results_plot,
)

if TYPE_CHECKING:
    from wolter.spectra.evaluate.evaluation import Evaluation

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


def figures(evaluation: "Evaluation") -> dict[str, Figure]:
    """Figures of a report by file name."""
    found: dict[str, Figure] = {}

    def add(name: str, drawing: Drawing, title: str, caption: str) -> None:
        found[name] = Figure(title, caption, style.to_png(drawing))

    pretrained = [m for m in reversed(evaluation.models) if m.family in results_plot.FAMILIES]
    if pretrained and evaluation.standard:
        known = {model.family: model.errors for model in pretrained}
        title = "Mean fractional error beside the published one and the exact posterior's"
        add("results.png", results_plot.result_figure(known), title, RESULTS)
    for model, answers in zip(evaluation.models, evaluation.predictions.answers, strict=True):
        title = f"{model.label}: predicted against true, {evaluation.n:,} spectra"
        drawing = predicted_true.predicted_against_true(
            evaluation.predictions.truth_NP, answers.mean_NP, evaluation.parameters, title
        )
        add(f"predicted-{file_name(model.label)}.png", drawing, title, PREDICTED)
    examples = evaluation.predictions.examples
    if examples:
        title = f"{examples[0].model}: decomposition of {len(examples)} spectra, bright to faint"
        drawing = component_plots.decompositions(examples, evaluation.energy_edges, title)
        add("components.png", drawing, title, COMPONENTS)
    for model in evaluation.models:
        if model.calibration is not None:
            title = f"{model.label}: ranks of the truth, {evaluation.n:,} spectra"
            own = model.calibration
            options = (own.ranks_NP, own.n_samples, own.names)
            drawing = calibration_plots.rank_plot(*options, title=title)
            add(f"ranks-{file_name(model.label)}.png", drawing, title, RANKS)
            title = f"{model.label}: coverage of credible intervals"
            drawing = calibration_plots.coverage_plot(*options, title=title)
            add(f"coverage-{file_name(model.label)}.png", drawing, title, COVERAGE)
    return found
