"""Corner plots: posterior samples of every pair of parameters, one or several sets overlaid.

Shapes: S sample, P parameter, X and Y pixel.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.report import style
from wolter.spectra.evaluate.plots import naming
from wolter.spectra.evaluate.plots.sample_density import (
    SampleSet,
    density,
    levels_of_mass,
    quantiles,
    quoted,
)
from wolter.spectra.schema import Parameter

Array = NDArray[np.float64]
PERCENTILES = (15.87, 50.0, 84.13)  # the median and the central 68 %
SHOWN = (0.1, 99.9)  # percentiles that an axis holds
MARGIN = 0.06  # of an axis, left free around them
POINTS = (("D", style.BLACK), ("s", style.PURPLE), ("^", style.ORANGE), ("v", style.SKY))
TRUTH = "#404040"
TITLE_LINE = 14.5  # points


def corner(
    samples: Mapping[str, Array],
    parameters: Sequence[Parameter],
    truth: Array | None = None,
    points: Mapping[str, Array] | None = None,
    weights: Mapping[str, Array] | None = None,
    title: str = "",
) -> Figure:
    """Corner plot: contours of 68 and 95 % of the probability, and marginal densities.

    Above each marginal stand its medians with the central 68 % intervals.

    Args:
        samples: (S, P) posterior samples by label, in the parameters' units.
        parameters: names, prior bounds and units of the P columns.
        truth: (P) true values.
        points: (P) values, or (2, P) values and 1-sigma errors, by label, as of fits.
        weights: (S) weights of the samples, by the labels of those that have any.
        title: what is shown.

    Raises:
        InputError: samples, weights and parameters do not belong together.
    """
    factor_P = np.array([naming.label(p).factor for p in parameters])
    sets = _sets(samples, weights or {}, factor_P)
    fits = {k: np.atleast_2d(np.asarray(v, float)) / factor_P for k, v in (points or {}).items()}
    truth_P = None if truth is None else np.asarray(truth, float) / factor_P
    ranges = [_range(sets, fits, truth_P, p, i) for i, p in enumerate(parameters)]

    n = len(parameters)
    cell = 2.1 if n < 4 else 1.55  # inches
    head = 0.55 + TITLE_LINE / 72 * len(sets)
    size = 0.85 + cell * n + 0.25
    figure = style.new_figure(max(size, 4.2), size + head + (0.35 if title else 0))
    style.title(figure, title)
    for row, column in ((i, j) for i in range(n) for j in range(i + 1)):
        left, bottom = 0.85 + cell * column, 0.75 + cell * (n - 1 - row)
        axes = style.place(figure, left, bottom, cell - 0.08, cell - 0.08)
        if row == column:
            _marginal(axes, sets, ranges[row], row)
            _titles(axes, sets, parameters[row], row)
        else:
            _joint(axes, sets, (ranges[column], ranges[row]), (column, row))
        _marks(axes, fits, truth_P, column, row)
        _dress(axes, ranges, row, column, parameters, cell)
    figure.legend(
        handles=_handles(sets, samples, fits, truth_P is not None),
        loc="upper right",
        bbox_to_anchor=(0.985, 1 - (0.5 if title else 0.1) / figure.get_figheight()),
        frameon=n > 2,
        edgecolor="none",
        fontsize=style.MEDIUM if n > 2 else style.SMALL,
    )
    return figure


def _sets(
    samples: Mapping[str, Array], weights: Mapping[str, Array], factor_P: Array
) -> tuple[SampleSet, ...]:
    sets = []
    for (name, samples_SP), colour in zip(
        samples.items(), itertools.cycle(style.CYCLE), strict=False
    ):
        samples_SP = np.asarray(samples_SP, float)
        if samples_SP.ndim != 2 or samples_SP.shape[1] != len(factor_P) or not len(samples_SP):
            raise InputError(
                f"samples of {name} have shape {samples_SP.shape}; "
                f"give (samples, {len(factor_P)}), a column a parameter"
            )
        weights_S = np.asarray(weights.get(name, np.ones(len(samples_SP))), float)
        if weights_S.shape != samples_SP.shape[:1] or not weights_S.sum() > 0:
            raise InputError(f"weights of {name}: give a positive one for each sample")
        sets.append(SampleSet(samples_SP / factor_P, weights_S / weights_S.sum(), colour))
    return tuple(sets)


def _range(
    sets: Sequence[SampleSet],
    fits: Mapping[str, Array],
    truth_P: Array | None,
    parameter: Parameter,
    i: int,
) -> tuple[float, float]:
    """Limits of a parameter's axis: all sets, fits and the truth; inside the prior if they are."""
    ends = [quantiles(s.samples_SP[:, i], SHOWN, s.weights_S) for s in sets]
    ends += [fit[:1, i] for fit in fits.values()] + (
        [] if truth_P is None else [truth_P[i : i + 1]]
    )
    values = np.concatenate(ends)
    values = values[np.isfinite(values)]
    factor = naming.label(parameter).factor
    prior = np.array([parameter.low, parameter.high]) / factor
    span = max(np.ptp(values), 1e-3 * np.ptp(prior))
    low, high = values.min() - MARGIN * span, values.max() + MARGIN * span
    if values.min() >= prior[0] and values.max() <= prior[1]:
        low, high = max(low, prior[0]), min(high, prior[1])
    return float(low), float(high)


def _marginal(axes: Axes, sets: Sequence[SampleSet], limits: tuple[float, float], i: int) -> None:
    drawn = [density(one, [i], [limits]) for one in sets]
    top = max(float(density_X.max()) for _, density_X in drawn)
    for one, ((centre,), density_X) in zip(sets, drawn, strict=True):
        height = density_X / top
        axes.plot(centre, height, color=one.colour, linewidth=1.3)
        low, middle, high = quantiles(one.samples_SP[:, i], PERCENTILES, one.weights_S)
        inside = np.linspace(low, high, 200)
        axes.fill_between(
            inside, np.interp(inside, centre, height), color=one.colour, alpha=0.22, linewidth=0
        )
        axes.vlines(middle, 0, np.interp(middle, centre, height), color=one.colour, linewidth=1.0)
    axes.set_ylim(0, 1.12)


def _titles(axes: Axes, sets: Sequence[SampleSet], parameter: Parameter, i: int) -> None:
    label = naming.label(parameter)
    lines = [(label.name, style.BLACK, style.MEDIUM)]
    if label.unit:
        lines.append((f"[{label.unit}]", TRUTH, style.SMALL - 1.2))
    for one in sets:
        low, middle, high = quantiles(one.samples_SP[:, i], PERCENTILES, one.weights_S)
        lines.append((quoted(low, middle, high), one.colour, style.MEDIUM))
    for k, (text, colour, size) in enumerate(reversed(lines)):
        axes.annotate(
            text,
            (0.5, 1.0),
            (0, 6 + TITLE_LINE * k),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            color=colour,
            fontsize=size,
        )


def _joint(
    axes: Axes,
    sets: Sequence[SampleSet],
    ranges: tuple[tuple[float, float], tuple[float, float]],
    columns: tuple[int, int],
) -> None:
    for one in sets:
        (x, y), density_XY = density(one, columns, ranges)
        levels = levels_of_mass(density_XY)
        white = np.ones(3)
        tints = [tuple(white + a * (np.array(to_rgb(one.colour)) - white)) for a in (0.22, 0.5)]
        top = float(density_XY.max()) * (1 + 1e-9)
        edges = [*levels, top]
        axes.contourf(x, y, density_XY.T, levels=edges, colors=tints, alpha=0.65)
        axes.contour(x, y, density_XY.T, levels=levels, colors=[one.colour], linewidths=0.9)


def _marks(
    axes: Axes, fits: Mapping[str, Array], truth_P: Array | None, column: int, row: int
) -> None:
    """The truth as lines, fits as points with error bars, on a marginal as a point on its base."""
    if truth_P is not None:
        axes.axvline(truth_P[column], color=TRUTH, linewidth=0.9, linestyle="--", zorder=4)
        if row != column:
            axes.axhline(truth_P[row], color=TRUTH, linewidth=0.9, linestyle="--", zorder=4)
    shown = zip(fits.values(), itertools.cycle(POINTS), strict=False)
    for k, (fit, (marker, colour)) in enumerate(shown):
        error = fit[1] if len(fit) > 1 else np.full_like(fit[0], np.nan)
        y, y_error = (fit[0, row], error[row]) if row != column else (0.07 + 0.09 * k, None)
        axes.errorbar(
            fit[0, column],
            y,
            xerr=None if np.isnan(error[column]) else error[column],
            yerr=None if y_error is None or np.isnan(y_error) else y_error,
            fmt=marker,
            color=colour,
            markersize=3.6,
            elinewidth=1.0,
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=5,
        )


def _dress(
    axes: Axes,
    ranges: Sequence[tuple[float, float]],
    row: int,
    column: int,
    parameters: Sequence[Parameter],
    cell: float,
) -> None:
    axes.set_xlim(ranges[column])
    axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
    style.dress(axes, grid=False)
    axes.tick_params(labelleft=column == 0 != row, labelbottom=row == len(ranges) - 1)
    axes.tick_params(axis="x", labelrotation=45)
    if row == column:
        axes.tick_params(left=False, right=False)
    else:
        axes.set_ylim(ranges[row])
        axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    if row == len(ranges) - 1:
        axes.set_xlabel(naming.label(parameters[column]).name)
        axes.xaxis.set_label_coords(0.5, -0.42 / cell)
    if column == 0 != row:
        axes.set_ylabel(naming.label(parameters[row]).name)


def _handles(
    sets: Sequence[SampleSet], names: Mapping[str, Array], fits: Mapping[str, Array], truth: bool
) -> list[Artist]:
    handles: list[Artist] = [
        Patch(facecolor=(one.colour, 0.4), edgecolor=one.colour, label=name)
        for name, one in zip(names, sets, strict=True)
    ]
    for name, (marker, colour) in zip(fits, itertools.cycle(POINTS), strict=False):
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, label=name))
    if truth:
        handles.append(Line2D([], [], color=TRUTH, linestyle="--", linewidth=0.9, label="truth"))
    handles.append(Line2D([], [], linewidth=0, label="contours: 68 and 95 %"))
    return handles
