"""Figures of class probabilities: confusion matrices and reliability curves.

Shapes: K class, G confidence bin.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from wolter.report import style
from wolter.report.page import Figure
from wolter.report.write import file_name
from wolter.spectra.latents import probabilities as p
from wolter.spectra.latents.calibration import Probabilities
from wolter.spectra.latents.plots.maps import heat

CONFUSION = (
    "Sources of each class (rows) by the class that they are told to be (columns): percent of the "
    "row, and numbers. The class is the most probable one where all are as frequent."
)
RELIABILITY = (
    "Share of sources in the class that is told, against its probability: on the diagonal if "
    "probabilities are calibrated. Bars: binomial errors. Below: numbers of sources. One curve is "
    "of the most probable class, the others of single classes."
)
_CURVES = 4  # classes with a curve of their own
_COARSE = 10  # bins of a curve


def figures_of(found: Mapping[str, Probabilities]) -> dict[str, Figure]:
    """Confusion matrix and reliability of each model, by file name."""
    figures = {}
    for label, each in found.items():
        title = f"{label}: confusion of classes"
        count_KK = p.confusion(each.truth_N, each.balanced_N, len(each.names))
        png = style.to_png(confusion_matrix(count_KK, each.names, title))
        figures[f"confusion-{file_name(label)}.png"] = Figure(title, CONFUSION, png)
        title = f"{label}: reliability"
        png = style.to_png(reliability_curves(each, title))
        figures[f"reliability-{file_name(label)}.png"] = Figure(title, RELIABILITY, png)
    return figures


def confusion_matrix(count_KK: NDArray[np.int64], names: tuple[str, ...], title: str) -> Drawing:
    """Confusion matrix: percent of the row by colour, and numbers.

    Args:
        count_KK: numbers of sources, true class by told class.
        names: names of the classes.
        title: what is shown.
    """
    total_K1 = count_KK.sum(1, keepdims=True)
    share_KK = 100 * count_KK / np.maximum(total_K1, 1)
    text = [
        [f"{share:.0f} %\n{count:,}" for share, count in zip(shares, counts, strict=True)]
        for shares, counts in zip(share_KK, count_KK, strict=True)
    ]
    return heat(share_KK, names, names, text, title, ("told class", "true class"), 100.0)


def reliability_curves(found: Probabilities, title: str) -> Drawing:
    """Accuracy against probability, of the most probable class and of the largest classes."""
    figure = style.new_figure(5.6, 6.35)
    style.title(figure, title)
    above = style.place(figure, 0.75, 2.25, 4.5, 3.6)
    below = style.place(figure, 0.75, 1.15, 4.5, 1.0, sharex=above)
    above.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, linestyle="--")
    whole = p.reliability(found.probability_NK, found.truth_N, _COARSE)
    fine = p.expected_calibration_error(found.probability_NK, found.truth_N)
    curves = {f"most probable class (calibration error {fine:.3f})": whole}
    n_C = np.bincount(found.truth_N, minlength=len(found.names))
    largest = np.argsort(-n_C, kind="stable")[:_CURVES]
    for k in largest:
        curves[found.names[k]] = _single(found.probability_NK[:, k], found.truth_N == k)
    colours = (style.BLACK, *style.CYCLE)
    edges = np.linspace(0, 1, _COARSE + 1)
    for (name, curve), colour in zip(curves.items(), colours, strict=False):
        some_G = curve.count_G > 4
        share_G = (curve.accuracy_G * curve.count_G + 1) / (curve.count_G + 2)
        error_G = np.sqrt(share_G * (1 - share_G) / np.maximum(curve.count_G, 1))
        above.errorbar(
            curve.confidence_G[some_G],
            curve.accuracy_G[some_G],
            error_G[some_G],
            color=colour,
            label=name,
            linewidth=2 if colour == style.BLACK else 1.2,
            marker="o",
            markersize=3,
            elinewidth=0.8,
        )
        below.stairs(curve.count_G, edges, color=colour, linewidth=1.2)
    above.set_xlim(0, 1)
    above.set_ylim(0, 1)
    above.set_ylabel("share in the class")
    above.tick_params(labelbottom=False)
    below.set_yscale("log")
    below.set_ylabel("sources")
    below.set_xlabel("probability")
    figure.legend(
        *above.get_legend_handles_labels(),
        loc="lower center",
        ncols=2,
        frameon=False,
        fontsize=style.SMALL,
    )
    style.dress(above)
    style.dress(below)
    return figure


def _single(probability_N: NDArray[np.float64], is_N: NDArray[np.bool_]) -> p.Reliability:
    """Reliability of one class's probability, whether or not it is the largest."""
    bin_N = np.clip((probability_N * _COARSE).astype(int), 0, _COARSE - 1)
    count_G = np.bincount(bin_N, minlength=_COARSE)
    with np.errstate(invalid="ignore"):
        return p.Reliability(
            np.bincount(bin_N, probability_N, _COARSE) / count_G,
            np.bincount(bin_N, is_N.astype(float), _COARSE) / count_G,
            count_G,
        )
