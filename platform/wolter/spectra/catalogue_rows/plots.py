"""Figures of classifications: confusion matrices and reliability curves.

Shapes: K class.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from wolter.report import style
from wolter.spectra.catalogue_rows.metrics import Array, Reliability


def confusion_plot(confusion_KK: Array, classes: Sequence[str], title: str) -> Figure:
    """Share of each true class (row) by decided class (column), with the number of rows.

    Args:
        confusion_KK: rows by true and decided class.
        classes: names of the classes.
        title: what is shown.
    """
    figure = style.new_figure(6.3, 5.6)
    style.title(figure, title)
    axes = style.place(figure, 1.4, 0.8, 4.6, 4.3)
    total_K1 = confusion_KK.sum(1, keepdims=True)
    share_KK = confusion_KK / np.maximum(total_K1, 1)
    axes.imshow(share_KK, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in itertools.product(range(len(classes)), repeat=2):
        colour = "white" if share_KK[i, j] > 0.55 else style.BLACK
        text = f"{100 * share_KK[i, j]:.0f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=style.SMALL, color=colour)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=35, ha="right", fontsize=style.SMALL)
    labels = [f"{name} ({total:.0f})" for name, total in zip(classes, total_K1[:, 0], strict=True)]
    axes.set_yticks(ticks, labels, fontsize=style.SMALL)
    axes.set_xlabel("decided class; percent of the true class", fontsize=style.MEDIUM)
    axes.set_ylabel("true class (rows)", fontsize=style.MEDIUM)
    axes.yaxis.set_label_coords(-0.26, 0.5)
    return figure


def reliability_plot(curves: Mapping[str, Reliability], title: str) -> Figure:
    """Share of right answers against confidence; calibrated probabilities lie on the diagonal.

    Error bars are binomial standard errors.

    Args:
        curves: by label.
        title: what is shown.
    """
    figure = style.new_figure(5.0, 5.0)
    style.title(figure, title)
    axes = style.place(figure, 0.7, 0.65, 4.0, 3.8)
    axes.plot((0, 1), (0, 1), color=style.BLACK, linewidth=0.7)
    for (label, curve), colour in zip(curves.items(), itertools.cycle(style.CYCLE), strict=False):
        share_G = curve.accuracy_G
        error_G = np.sqrt(share_G * (1 - share_G) / curve.count_G)
        axes.errorbar(
            curve.confidence_G,
            share_G,
            error_G,
            color=colour,
            marker="o",
            markersize=3,
            linewidth=1.1,
            label=f"{label}: ECE {curve.error:.3f}",
        )
    style.dress(axes)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability of the most probable class")
    axes.set_ylabel("share that is right")
    axes.legend(loc="lower right", fontsize=style.SMALL, frameon=False)
    return figure
