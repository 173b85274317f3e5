"""Heat maps: a value for each pair of a row and a column.

Shapes: H row, W column.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from wolter.report import style

CELL = (0.78, 0.5)  # inches
SCALE = LinearSegmentedColormap.from_list("blues", ["#ffffff", style.SKY, style.BLUE, "#00304d"])
_DARK = 0.55  # of the scale, above which text is white


def heat(
    value_HW: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    text: Sequence[Sequence[str]],
    title: str,
    labels: tuple[str, str],
    most: float,
) -> Drawing:
    """Heat map with a text in every cell.

    Args:
        value_HW: values from 0 to `most`; NaN leaves a cell empty.
        rows: names of the rows.
        columns: names of the columns.
        text: text of each cell.
        title: what is shown.
        labels: of the horizontal and the vertical axis; may be empty.
        most: value of the darkest colour.
    """
    height, width = len(rows) * CELL[1], len(columns) * CELL[0]
    left, bottom = 1.3, 1.0
    figure = style.new_figure(max(5.0, width + left + 0.25), height + bottom + 0.55)
    style.title(figure, title)
    axes = style.place(figure, left, bottom, width, height)
    axes.imshow(np.nan_to_num(value_HW), cmap=SCALE, vmin=0, vmax=most, aspect="auto")
    for i, line in enumerate(text):
        for j, cell in enumerate(line):
            dark = value_HW[i, j] > _DARK * most
            colour = "white" if dark else style.BLACK
            axes.text(j, i, cell, ha="center", va="center", fontsize=style.SMALL - 1, color=colour)
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    style.dress(axes, grid=False)
    axes.tick_params(length=0)
    return figure
