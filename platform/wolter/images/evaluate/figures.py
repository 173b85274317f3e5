"""Figures of an evaluation of images."""

from typing import TYPE_CHECKING

from matplotlib.figure import Figure as Drawing

from wolter.images.evaluate import plots
from wolter.report import style
from wolter.report.page import Figure
from wolter.report.write import file_name

if TYPE_CHECKING:
    from wolter.images.evaluate.evaluation import ImageEvaluation

SIDES = (
    "Root of brightness, in one scale for input, output and target of a field. The residual is the "
    "input's counts over the output folded back onto them, in discs of 10 arcsec: blue where the "
    "output shows more than was seen, red where it shows less."
)
COVERED = (
    "Pixels whose noise-free rate lies in the network's interval, in tenths of the valid pixels "
    "from faint to bright answers; dashed what the intervals claim. Dotted: tenths by the "
    "noise-free rate itself, in which no right intervals are even."
)
FOUND = "Point sources of simulated fields, at 95 % purity, in the input and in the output."


def figures(evaluation: "ImageEvaluation") -> dict[str, Figure]:
    """Figures of a report by file name."""
    found: dict[str, Figure] = {}

    def add(name: str, label: str, what: str, drawing: Drawing, caption: str) -> None:
        found[f"{name}-{file_name(label)}.png"] = Figure(
            f"{label}: {what}", caption, style.to_png(drawing)
        )

    for network in evaluation.networks:
        label = network.label
        if network.examples:
            drawing = plots.side_by_side(network.examples, f"{label}: fields")
            add("fields", label, "fields", drawing, SIDES)
        if network.sources:
            drawing = plots.completeness(network.sources, f"{label}: completeness")
            add("sources", label, "completeness", drawing, FOUND)
        covered = evaluation.scores.coverage.get(label)
        if covered:
            drawing = plots.coverage(covered, f"{label}: coverage by brightness")
            add("coverage", label, "coverage by brightness", drawing, COVERED)
    return found
