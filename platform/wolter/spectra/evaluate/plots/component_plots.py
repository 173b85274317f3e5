"""Figures of decompositions: the input spectrum with its true and predicted components.

Shapes: C channel, K component.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from wolter.report import style
from wolter.spectra.evaluate.inference import Example
from wolter.spectra.evaluate.plots import naming

Array = NDArray[np.float64]
COLOURS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE)
BAND = "#e6e6e6"
CELL = (5.7, 4.5)  # inches, of one example
DECADES = 4.5  # below the brightest channel, the depth of the logarithmic axis


def decompositions(
    examples: Sequence[Example], energy_edges: Sequence[float], title: str
) -> Figure:
    """Input spectra with their components, true and predicted, and the components' residuals.

    Args:
        examples: decomposed spectra, a panel each.
        energy_edges: keV, of the channels.
        title: what is shown.
    """
    edges_C1 = np.asarray(energy_edges)
    n_columns = min(2, len(examples))
    n_rows = -(-len(examples) // n_columns)
    legend = 1.1 if n_columns > 1 else 1.3  # inches: two rows, or three
    figure = style.new_figure(CELL[0] * n_columns, CELL[1] * n_rows + legend - 0.25)
    style.title(figure, title)
    for i, example in enumerate(examples):
        row, column = divmod(i, n_columns)
        left, bottom = CELL[0] * column + 0.75, CELL[1] * (n_rows - 1 - row) + legend
        above = style.place(figure, left, bottom + 1.05, 4.7, 2.75)
        below = style.place(figure, left, bottom, 4.7, 1.0, sharex=above)
        _spectrum(above, example, edges_C1)
        _residuals(below, example, edges_C1)
        above.tick_params(labelbottom=False, which="both")
        for axes in (above, below):
            axes.yaxis.set_label_coords(-0.105, 0.5)
    figure.legend(
        handles=_handles(examples[0].components),
        loc="lower center",
        ncols=4 if n_columns > 1 else 3,
        frameon=False,
        fontsize=style.MEDIUM if n_columns > 1 else style.SMALL,
    )
    return figure


def _handles(components: Sequence[str]) -> list[Artist]:
    point = Line2D([], [], color=style.GREY, marker="o", markersize=3, linewidth=0.8)
    point.set_label("input spectrum")
    handles: list[Artist] = [point]
    handles.append(Line2D([], [], color=style.GREY, linestyle=":", label="expected background"))
    handles.append(Line2D([], [], color=style.BLACK, linewidth=2.4, alpha=0.35, label="true"))
    handles.append(Line2D([], [], color=style.BLACK, linestyle="--", label="predicted"))
    for name, colour in zip(components, COLOURS, strict=False):
        handles.append(Line2D([], [], color=colour, linewidth=2.4, label=naming.component(name)))
    handles.append(Patch(color=BAND, label=r"$\pm\sigma$ of the Poisson noise"))
    return handles


def _spectrum(axes: Axes, example: Example, edges_C1: Array) -> None:
    width_C = np.diff(edges_C1)
    centre_C = np.sqrt(edges_C1[1:] * edges_C1[:-1])
    density_C, error_C = example.counts_C / width_C, np.sqrt(example.counts_C) / width_C
    seen = example.counts_C > 0
    axes.errorbar(
        centre_C[seen],
        density_C[seen],
        error_C[seen],
        fmt="o",
        color=style.GREY,
        markersize=1.6,
        elinewidth=0.5,
        zorder=1,
    )
    axes.stairs(
        example.background_C / width_C, edges_C1, color=style.GREY, linestyle=":", baseline=None
    )
    for k, colour in zip(range(len(example.components)), COLOURS, strict=False):
        true_C, predicted_C = example.true_KC[k], example.predicted_KC[k]
        axes.stairs(
            true_C / width_C, edges_C1, color=colour, linewidth=2.6, alpha=0.4, baseline=None
        )
        axes.stairs(
            predicted_C / width_C,
            edges_C1,
            color=colour,
            linestyle="--",
            linewidth=1.1,
            baseline=None,
            zorder=3,
        )
    top = 3 * max(1.0, float(density_C.max()))
    axes.set_ylim(max(0.5, top * 10**-DECADES), top)  # first: an axis may hold nothing above 0
    axes.set_yscale("log")
    axes.set_ylabel("counts keV$^{-1}$")
    axes.text(
        0.98,
        0.96,
        f"{example.counts_C.sum():,.0f} counts in {example.exposure_s / 1e3:g} ks",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=style.MEDIUM,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )
    style.energy_axis(axes, edges_C1)
    style.dress(axes)


def _residuals(axes: Axes, example: Example, edges_C1: Array) -> None:
    """Predicted minus true component, in units of the whole spectrum's expected Poisson noise."""
    noise_C = np.sqrt(example.true_KC.sum(0) + example.background_C).clip(min=1.0)
    largest = 0.0
    for k, colour in zip(range(len(example.components)), COLOURS, strict=False):
        residual_C = (example.predicted_KC[k] - example.true_KC[k]) / noise_C
        largest = max(largest, float(np.abs(residual_C).max()))
        axes.stairs(residual_C, edges_C1, color=colour, linewidth=1.0, baseline=None)
    axes.axhspan(-1, 1, color=BAND, zorder=0)
    axes.axhline(0, color=style.BLACK, linewidth=0.6)
    limit = float(np.clip(1.1 * largest, 1.5, 20.0))
    axes.set_ylim(-limit, limit)
    axes.yaxis.set_major_locator(MaxNLocator(4, symmetric=True, prune="both"))
    axes.set_ylabel(r"residual / $\sigma$")
    axes.set_xlabel("energy [keV]")
    style.energy_axis(axes, edges_C1)
    style.dress(axes)
