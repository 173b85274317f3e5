"""Figure of reconstructed spectra with residuals, from faint to bright.

Shapes: C channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from wolter.report import style
from wolter.spectra.latents.sources import Array, Indices

CELL = (4.75, 4.1)  # inches, of one spectrum
QUANTILES = (0.1, 0.35, 0.6, 0.8, 0.93, 0.99)  # of the counts
BACKGROUND = "background"  # name of what is no reconstruction
_LEAST = 8.0  # counts of a point: neighbouring channels are drawn as one
CAPTION = (
    "Spectra chosen by their counts alone, at the 10, 35, 60, 80, 93 and 99 % points of the split. "
    "Points: counts of source and background, channels joined to 8 counts or more. Below: counts "
    "less reconstruction, in units of its Poisson noise."
)


@dataclass(frozen=True)
class Shown:
    """A spectrum: its counts, expected counts by name, and what to say of it."""

    counts_C: Array
    expected: dict[str, Array]
    heading: str


def joined(counts_C: Array) -> Indices:
    """Starts of groups of neighbouring channels that hold `_LEAST` counts or more."""
    starts, total = [0], 0.0
    for i, count in enumerate(counts_C):
        total += count
        if total >= _LEAST and i + 1 < len(counts_C):
            starts.append(i + 1)
            total = 0.0
    if len(starts) > 1 and total < _LEAST:
        starts.pop()
    return np.array(starts)


def reconstructions(shown: Sequence[Shown], energy_edges: Sequence[float], title: str) -> Drawing:
    """Spectra with their reconstructions and residuals.

    Args:
        shown: a panel each; all have the same expected counts by name.
        energy_edges: keV, of the channels.
        title: what is shown.
    """
    edges_C1 = np.asarray(energy_edges, float)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = style.new_figure(CELL[0] * columns + 0.15, CELL[1] * rows + 0.85)
    style.title(figure, title)
    for i, each in enumerate(shown):
        row, column = divmod(i, columns)
        left, bottom = CELL[0] * column + 0.7, CELL[1] * (rows - 1 - row) + 0.95
        above = style.place(figure, left, bottom + 0.95, 3.9, 2.4)
        below = style.place(figure, left, bottom, 3.9, 0.9, sharex=above)
        _spectrum(above, each, edges_C1)
        _residuals(below, each, edges_C1)
        above.tick_params(labelbottom=False, which="both")
        for axes in (above, below):
            axes.yaxis.set_label_coords(-0.12, 0.5)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", ncols=5, frameon=False, fontsize=style.MEDIUM
    )
    return figure


def _spectrum(axes: Axes, shown: Shown, edges_C1: Array) -> None:
    start = joined(shown.counts_C)
    ends = np.append(start[1:], len(shown.counts_C))
    width = edges_C1[ends] - edges_C1[start]
    counts = np.add.reduceat(shown.counts_C, start)
    middle = np.sqrt(edges_C1[start] * edges_C1[ends])
    across = [middle - edges_C1[start], edges_C1[ends] - middle]
    axes.errorbar(
        middle,
        counts / width,
        np.sqrt(np.maximum(counts, 1)) / width,
        across,
        fmt=".",
        color=style.GREY,
        markersize=3,
        elinewidth=0.7,
        label="counts",
        zorder=1,
    )
    top = 3 * max(1.0, float((counts / width).max()))
    axes.set_ylim(max(0.3, top * 1e-4), top)
    axes.set_yscale("log")
    for (name, expected_C), colour in zip(shown.expected.items(), style.CYCLE, strict=False):
        axes.stairs(
            expected_C / np.diff(edges_C1),
            edges_C1,
            color=colour,
            linewidth=1.4,
            baseline=None,
            label=name,
        )
    axes.set_ylabel("counts keV$^{-1}$")
    axes.set_title(shown.heading, fontsize=style.MEDIUM, loc="left", pad=4)
    style.energy_axis(axes, edges_C1)
    style.dress(axes)


def _residuals(axes: Axes, shown: Shown, edges_C1: Array) -> None:
    start = joined(shown.counts_C)
    ends = np.append(start[1:], len(shown.counts_C))
    middle = np.sqrt(edges_C1[start] * edges_C1[ends])
    counts = np.add.reduceat(shown.counts_C, start)
    axes.axhline(0, color=style.BLACK, linewidth=0.8)
    for (name, expected_C), colour in zip(shown.expected.items(), style.CYCLE, strict=False):
        if name == BACKGROUND:
            continue
        expected = np.add.reduceat(expected_C, start)
        axes.plot(
            middle,
            (counts - expected) / np.sqrt(np.maximum(expected, 0.1)),
            marker=".",
            markersize=3,
            linestyle="",
            color=colour,
        )
    axes.set_ylim(-5, 5)
    axes.set_ylabel(r"residual [$\sigma$]")
    axes.set_xlabel("energy [keV]")
    style.energy_axis(axes, edges_C1)
    style.dress(axes)
