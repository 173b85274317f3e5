"""Predictions against truth, a panel a parameter.

Shapes: N evaluated spectrum, P parameter, X and Y pixel.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from wolter.report import style
from wolter.spectra.evaluate.plots import naming
from wolter.spectra.schema import Parameter

Array = NDArray[np.float64]
TRUTH_BINS = 12  # of the residual panel's running quantiles
MARGIN = 0.04  # of a parameter's range, left free around it
CELL = (3.1, 3.95)  # inches, of one panel with its residuals


def predicted_against_true(
    truth_NP: Array, predicted_NP: Array, parameters: Sequence[Parameter], title: str
) -> Figure:
    """Density of predictions against truth, a panel a parameter, with residuals below.

    Args:
        truth_NP: labels.
        predicted_NP: estimates, in the same units.
        parameters: names, ranges and units of the columns.
        title: what is shown.
    """
    n_columns = min(4, len(parameters) + 1)
    n_rows = -(-(len(parameters) + 1) // n_columns)  # the cell after the last panel is the legend
    figure = style.new_figure(CELL[0] * n_columns, CELL[1] * n_rows + 0.4)
    style.title(figure, title)
    image: AxesImage | None = None
    for i, parameter in enumerate(parameters):
        left, bottom = _corner(i, n_columns, n_rows)
        above = style.place(figure, left, bottom + 0.95, 2.3, 2.3)
        below = style.place(figure, left, bottom, 2.3, 0.9, sharex=above)
        label = naming.label(parameter)
        truth_N, predicted_N = truth_NP[:, i] / label.factor, predicted_NP[:, i] / label.factor
        bounds = (parameter.low / label.factor, parameter.high / label.factor)
        image = _density(above, truth_N, predicted_N, bounds)
        _residuals(below, truth_N, predicted_N, bounds)
        above.tick_params(labelbottom=False)
        below.set_xlabel(f"true {label.text}")
        above.set_ylabel("predicted")
        below.set_ylabel("pred. − true")
        for axes in (above, below):
            axes.yaxis.set_label_coords(-0.21, 0.5)
    assert image is not None, "no parameters to draw"
    left, bottom = _corner(len(parameters), n_columns, n_rows)
    _legend(figure, left, bottom, image)
    return figure


def _corner(cell: int, n_columns: int, n_rows: int) -> tuple[float, float]:
    """Lower left corner of a cell's axes, inches."""
    row, column = divmod(cell, n_columns)
    return CELL[0] * column + 0.65, CELL[1] * (n_rows - 1 - row) + 0.55


def _legend(figure: Figure, left: float, bottom: float, image: AxesImage) -> None:
    bar = figure.colorbar(
        image, cax=style.place(figure, left, bottom + 2.6, 2.1, 0.16), orientation="horizontal"
    )
    bar.set_label("spectra per pixel", fontsize=style.MEDIUM)
    bar.ax.tick_params(labelsize=style.SMALL)
    bar.ax.set_xlim(left=1)
    bar.ax.xaxis.set_major_locator(FixedLocator([1, 3, 10, 30, 100, 300, 1000, 3000]))
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.xaxis.set_minor_formatter(NullFormatter())
    key = style.place(figure, left - 0.1, bottom + 0.4, 2.3, 1.5)
    key.set_axis_off()
    key.legend(
        handles=[
            Line2D([], [], color=style.VERMILION, label="predicted = true"),
            Line2D([], [], color=style.BLUE, label="median residual"),
            Patch(color=style.BLUE, alpha=0.45, linewidth=0, label="68 % of residuals"),
            Patch(color=style.BLUE, alpha=0.18, linewidth=0, label="95 % of residuals"),
        ],
        loc="upper left",
        frameon=False,
        fontsize=style.MEDIUM,
    )


def _density(
    axes: Axes, truth_N: Array, predicted_N: Array, bounds: tuple[float, float]
) -> AxesImage:
    low, high = bounds
    pad = MARGIN * (high - low)
    low, high = low - pad, high + pad
    n_bins = int(np.clip(np.sqrt(len(truth_N)), 24, 64))
    edges = np.linspace(low, high, n_bins + 1)
    shown_N = np.clip(predicted_N, low, high)  # an estimate outside the range shows at its edge
    density_YX, _, _ = np.histogram2d(shown_N, truth_N, bins=(edges, edges))
    image = axes.imshow(
        np.ma.masked_equal(density_YX, 0),
        extent=(low, high, low, high),
        origin="lower",
        aspect="auto",
        cmap="Blues",
        norm=LogNorm(0.3, max(9.9, len(truth_N) / n_bins / 2)),  # a single spectrum is visible
        interpolation="nearest",
    )
    axes.plot((low, high), (low, high), color=style.VERMILION, linewidth=1.0)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    style.dress(axes, grid=False)
    return image


def _residuals(axes: Axes, truth_N: Array, predicted_N: Array, bounds: tuple[float, float]) -> None:
    """Running median of the residual with its 68 % and 95 % ranges, in bins of the truth."""
    edges = np.linspace(*bounds, TRUTH_BINS + 1)
    bin_N = np.clip(np.digitize(truth_N, edges) - 1, 0, TRUTH_BINS - 1)
    residual_N = predicted_N - truth_N
    filled = [i for i in range(TRUTH_BINS) if (bin_N == i).any()]
    centre = 0.5 * (edges[:-1] + edges[1:])[filled]
    percentiles = (2.5, 16, 50, 84, 97.5)
    quantiles = [np.percentile(residual_N[bin_N == i], percentiles) for i in filled]
    low95, low68, median, high68, high95 = np.array(quantiles).T
    axes.fill_between(centre, low95, high95, color=style.BLUE, alpha=0.18, linewidth=0)
    axes.fill_between(centre, low68, high68, color=style.BLUE, alpha=0.35, linewidth=0)
    axes.plot(centre, median, color=style.BLUE, linewidth=1.2)
    axes.axhline(0, color=style.VERMILION, linewidth=1.0)
    limit = 1.15 * max(float(np.abs([low95, high95]).max()), 1e-9 * (bounds[1] - bounds[0]))
    axes.set_ylim(-limit, limit)
    axes.yaxis.set_major_locator(MaxNLocator(4, symmetric=True, prune="both"))
    style.dress(axes)
