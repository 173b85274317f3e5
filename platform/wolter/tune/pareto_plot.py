"""Plot of a search: all trials and the Pareto front.

Shapes: N trials, M metrics.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from wolter.report import style

SIDE, GAP = 3.0, 0.85  # inches of a panel, and what is left of it
KINDS = {  # colour, marker, size
    "stopped": (style.GREY, "x", 24),
    "finished": (style.SKY, "o", 24),
    "front": (style.BLUE, "o", 48),
    "recommended": (style.VERMILION, "*", 150),
}


def front_plot(
    values_NM: NDArray[np.float64],
    names: Sequence[str],
    modes: Sequence[str],
    kinds: Sequence[str],
    numbers: Sequence[int],
    heading: str = "",
) -> Figure:
    """The first metric against each other one; against the trials' numbers if it is the only one.

    Args:
        values_NM: what trials reached.
        names: names of the metrics.
        modes: "min" or "max", which way is better.
        kinds: keys of `KINDS` (N).
        numbers: numbers of the trials (N).
        heading: above all.
    """
    columns = list(range(1, len(names))) or [0]
    figure = style.new_figure(len(columns) * (SIDE + GAP) + 0.2, SIDE + 1.35)
    number_N, kind_N = np.array(numbers), np.array(kinds)
    for i, column in enumerate(columns):
        axes = style.place(figure, GAP + i * (SIDE + GAP), 0.6, SIDE, SIDE)
        x_N = values_NM[:, 0] if column else number_N.astype(float)
        y_N = values_NM[:, column]
        shown = [kind for kind in KINDS if (kind_N == kind).any()]
        for kind in shown:
            colour, marker, size = KINDS[kind]
            of_kind = kind_N == kind
            axes.scatter(
                x_N[of_kind],
                y_N[of_kind],
                s=size,
                c=colour,
                marker=marker,
                label=kind,
                zorder=3,
            )
        for number, x, y, kind in zip(numbers, x_N, y_N, kinds, strict=True):
            if kind in ("front", "recommended"):
                axes.annotate(
                    str(number),
                    (x, y),
                    xytext=(5, 5),
                    textcoords="offset points",
                    fontsize=style.SMALL,
                )
        axes.set_xlabel(_labelled(names[0], modes[0]) if column else "trial")
        axes.set_ylabel(_labelled(names[column], modes[column]))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=not column))
        style.dress(axes)
        if not i:
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0, 1.0),
                ncols=len(shown),
                fontsize=style.SMALL,
                frameon=False,
                handletextpad=0.2,
                columnspacing=0.8,
            )
    style.title(figure, heading)
    return figure


def _labelled(name: str, mode: str) -> str:
    return f"{name} ({'lower' if mode == 'min' else 'higher'} is better)"
