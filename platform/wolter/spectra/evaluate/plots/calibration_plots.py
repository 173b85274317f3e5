"""Figures of calibration: ranks of the truth, and coverage of credible intervals.

Shapes: N spectrum, P parameter, R rank bin, K point of a curve.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import stats

from wolter.report import style
from wolter.spectra.evaluate.calibration import ks_p_values, probabilities, uniform_band
from wolter.spectra.evaluate.plots import naming

Array = NDArray[np.float64]
BAND = "#dcdcdc"
CELL = (2.85, 3.65)  # inches, of one parameter
POINTS = 100  # of an empirical distribution
LEVELS = np.arange(1, 100) / 100  # of the coverage curve


def rank_plot(
    ranks_NP: Array, n_samples: int, names: Sequence[str], title: str = "Ranks of the truth"
) -> Figure:
    """Simulation-based calibration: histograms of ranks over their distribution less the uniform.

    The bands hold 95 % of calibrated posteriors: of each bin, and of the whole curve (simultaneous:
    Säilynoja, Bürkner & Vehtari 2022, Stat. Comput. 32, 32). A slope up to the left says that
    estimates are too high, a valley that intervals are too narrow, a hill that they are too wide.

    Args:
        ranks_NP: ranks of the truth among the samples, 0 to S (see `calibration.ranks`).
        n_samples: S.
        names: names of the parameters.
        title: what is shown.
    """
    n_columns = min(4, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = style.new_figure(max(4.2, CELL[0] * n_columns + 0.1), CELL[1] * n_rows + 0.7)
    style.title(figure, title)
    p_value_P = ks_p_values(ranks_NP, n_samples)
    bounds_K = _edges(n_samples, POINTS)
    band_2K = uniform_band(bounds_K, len(ranks_NP))
    for i, name in enumerate(names):
        row, column = divmod(i, n_columns)
        left, bottom = CELL[0] * column + 0.65, CELL[1] * (n_rows - 1 - row) + 0.85
        above = style.place(figure, left, bottom + 1.5, 2.1, 1.4)
        below = style.place(figure, left, bottom, 2.1, 1.4, sharex=above)
        probability_N = probabilities(ranks_NP[:, i], n_samples)
        _histogram(above, probability_N, n_samples)
        _difference(below, probability_N, bounds_K, band_2K)
        above.tick_params(labelbottom=False)
        above.set_title(naming.NAMES.get(name, name), fontsize=style.MEDIUM, pad=4, loc="left")
        colour = style.VERMILION if p_value_P[i] < 0.01 else style.BLACK
        said = f"KS $p$ = {p_value_P[i]:.2g}"
        above.set_title(said, fontsize=style.SMALL, pad=4, loc="right", color=colour)
        below.set_xlabel("rank of the truth / S")
        if column == 0:
            above.set_ylabel("spectra")
            below.set_ylabel("ECDF − uniform")
            for axes in (above, below):
                axes.yaxis.set_label_coords(-0.22, 0.5)
    figure.legend(
        handles=[
            Line2D([], [], color=style.BLUE, label=f"{len(ranks_NP):,} spectra"),
            Patch(color=BAND, label="95 % band of calibrated posteriors"),
        ],
        loc="lower center",
        ncols=2,
        frameon=False,
        fontsize=style.MEDIUM,
    )
    return figure


def coverage_plot(
    ranks_NP: Array,
    n_samples: int,
    names: Sequence[str],
    title: str = "Coverage of central credible intervals",
) -> Figure:
    """Share of spectra whose central interval holds the truth, against the interval's level.

    Below it, the share less the level, with the simultaneous 95 % band of calibrated posteriors.

    Args:
        ranks_NP: ranks of the truth among the samples, 0 to S (see `calibration.ranks`).
        n_samples: S.
        names: names of the parameters.
        title: what is shown.
    """
    figure = style.new_figure(4.6, 6.6)
    style.title(figure, title)
    above = style.place(figure, 0.75, 2.85, 3.5, 3.3)
    below = style.place(figure, 0.75, 1.25, 3.5, 1.5, sharex=above)
    distance_NP = np.abs(2 * probabilities(ranks_NP, n_samples) - 1)
    level_K = LEVELS
    low_K, high_K = uniform_band(level_K, len(ranks_NP))
    above.fill_between(100 * level_K, 100 * low_K, 100 * high_K, color=BAND, linewidth=0)
    below.fill_between(
        100 * level_K, 100 * (low_K - level_K), 100 * (high_K - level_K), color=BAND, linewidth=0
    )
    above.plot((0, 100), (0, 100), color=style.BLACK, linewidth=0.7)
    below.axhline(0, color=style.BLACK, linewidth=0.7)
    for i, (name, colour) in enumerate(zip(names, itertools.cycle(style.CYCLE), strict=False)):
        share_K = _cumulative(distance_NP[:, i], level_K)
        label = naming.NAMES.get(name, name)
        above.plot(100 * level_K, 100 * share_K, color=colour, linewidth=1.2, label=label)
        below.plot(100 * level_K, 100 * (share_K - level_K), color=colour, linewidth=1.2)
    for axes in (above, below):
        for level in (68, 95):
            axes.axvline(level, color=style.GREY, linewidth=0.7, linestyle=":")
        style.dress(axes)
        axes.yaxis.set_label_coords(-0.13, 0.5)
    above.set_xlim(0, 100)
    above.set_ylim(0, 100)
    above.tick_params(labelbottom=False)
    above.set_ylabel("truth inside [% of spectra]")
    below.set_ylabel("less the level [%]")
    below.set_xlabel("level of the interval [%]")
    _symmetric(below)
    handles, _ = above.get_legend_handles_labels()
    figure.legend(
        handles=[*handles, Patch(color=BAND, label="95 % of calibrated")],
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=style.SMALL,
    )
    return figure


def _edges(n_samples: int, n_bins: int) -> Array:
    """Bounds between ranks that part 0 to 1 nearly evenly, inner ones only.

    Ranks are discrete: a calibrated rank is below a bound with exactly the bound's probability.
    """
    inner = np.round(np.arange(1, n_bins) / n_bins * (n_samples + 1)) / (n_samples + 1)
    bounds: Array = np.unique(inner[(inner > 0) & (inner < 1)])
    return bounds


def _histogram(axes: Axes, probability_N: Array, n_samples: int) -> None:
    n = len(probability_N)
    inner = _edges(n_samples, int(np.clip(n / 25, 5, 25)))
    edges_R1 = np.concatenate([[0.0], inner, [1.0]])
    count_R, _ = np.histogram(probability_N, edges_R1)
    # Bins differ by a rank in width: all are shown as counts in bins of the mean width.
    scale_R = 1 / (np.diff(edges_R1) * (len(edges_R1) - 1))
    low_R, high_R = (stats.binom.ppf(q, n, np.diff(edges_R1)) * scale_R for q in (0.025, 0.975))
    axes.stairs(high_R, edges_R1, baseline=low_R, fill=True, color=BAND, linewidth=0)
    axes.axhline(n / (len(edges_R1) - 1), color=style.BLACK, linewidth=0.7)
    axes.stairs(count_R * scale_R, edges_R1, color=style.BLUE, linewidth=1.3, baseline=None)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.15 * max(float((count_R * scale_R).max()), float(high_R.max())))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, prune="upper"))
    style.dress(axes)


def _difference(axes: Axes, probability_N: Array, bounds_K: Array, band_2K: Array) -> None:
    low_K, high_K = band_2K
    share_K = _cumulative(probability_N, bounds_K)
    axes.fill_between(bounds_K, low_K - bounds_K, high_K - bounds_K, color=BAND, linewidth=0)
    axes.axhline(0, color=style.BLACK, linewidth=0.7)
    axes.plot(bounds_K, share_K - bounds_K, color=style.BLUE, linewidth=1.3)
    _symmetric(axes)
    style.dress(axes)


def _cumulative(values_N: Array, bounds_K: Array) -> Array:
    """Share of the values below each bound."""
    share_K: Array = np.searchsorted(np.sort(values_N), bounds_K) / len(values_N)
    return share_K


def _symmetric(axes: Axes) -> None:
    limit = max(abs(end) for end in axes.get_ylim())
    axes.set_ylim(-limit, limit)
    axes.yaxis.set_major_locator(MaxNLocator(5, symmetric=True, prune="both"))
