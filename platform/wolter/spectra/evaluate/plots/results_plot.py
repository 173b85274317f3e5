"""The result figure: MFE of the pretrained families beside the published rows and the limit."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from wolter.report import style, table
from wolter.report.bootstrap import Estimate
from wolter.spectra.evaluate import reference
from wolter.spectra.evaluate.error_tables import MEAN
from wolter.spectra.evaluate.metrics import Errors
from wolter.spectra.evaluate.plots import naming
from wolter.spectra.evaluate.reference import Row

FAMILIES = ("mlp", "cnn", "deepspectra")
OURS, PUBLISHED, LIMIT = style.BLUE, "#c4c4c4", style.VERMILION
CELL = (2.55, 2.35)  # inches, of one panel
LEFT = 1.05  # inches, for the names of the methods


def result_figure(errors: Mapping[str, Errors]) -> Figure:
    """Bars of the MFE of each parameter, and of their mean: published and ours, with the limit.

    Args:
        errors: by family name, of those among `FAMILIES` that were evaluated; on the standard
            test, or the figure compares what cannot be compared.
    """
    names = (*reference.PARAMETERS, MEAN)
    published = {row.label: _with_mean(row) for row in reference.PUBLISHED_MFE}
    limit = _with_mean(reference.LIMIT_MFE[1])
    figure = style.new_figure(LEFT + CELL[0] * 4, 2 * CELL[1] + 0.55)
    for i, name in enumerate(names):
        row, column = divmod(i, 4)
        axes = style.place(
            figure, LEFT + CELL[0] * column, CELL[1] * (1 - row) + 0.85, CELL[0] - 0.3, 1.7
        )
        ours = {reference.OF_FAMILY[f]: _estimate(errors[f], name) for f in FAMILIES if f in errors}
        values = {label: row_values[name] for label, row_values in published.items()}
        _panel(axes, values, ours, limit[name], with_names=column == 0)
        heading = "mean of the seven" if name == MEAN else naming.NAMES[name]
        axes.set_title(heading, fontsize=style.MEDIUM)
        if row == 1:
            axes.set_xlabel("mean fractional error [%]", fontsize=style.SMALL)
    figure.legend(
        handles=[
            Patch(color=PUBLISHED, label="published (Manduchi et al. 2022)"),
            Patch(color=OURS, label="wolter, with 95 % interval"),
            Line2D([], [], color=LIMIT, linestyle="--", label="exact posterior (limit at 25 ks)"),
        ],
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=style.MEDIUM,
    )
    return figure


def _with_mean(row: Row) -> dict[str, float]:
    mean = float(f"{np.mean(list(row.values.values())):.3g}")
    return {**row.values, MEAN: mean}


def _estimate(errors: Errors, name: str) -> Estimate:
    return errors.mean_mfe_percent if name == MEAN else errors.mfe_percent[name]


def _panel(
    axes: Axes,
    published: Mapping[str, float],
    ours: Mapping[str, Estimate],
    limit: float,
    with_names: bool,
) -> None:
    """One panel: a group of bars for each published method, the first on top."""
    methods = list(published)
    largest = max([*published.values(), *[e.interval_95[1] for e in ours.values()]])
    for i, method in enumerate(methods):
        paired = method in ours
        known = table.format_known(published[method])
        _bar(axes, i - 0.2 if paired else i, published[method], known, PUBLISHED, largest)
        if paired:
            estimate = ours[method]
            low, high = estimate.interval_95
            error = [[max(0.0, estimate.value - low)], [max(0.0, high - estimate.value)]]
            own = table.format_value(estimate.value)
            _bar(axes, i + 0.2, estimate.value, own, OURS, largest, error)
    axes.axvline(limit, color=LIMIT, linestyle="--", linewidth=1.2)
    axes.set_xlim(0, 1.22 * largest)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_yticks(range(len(methods)), methods if with_names else [""] * len(methods))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    style.dress(axes, grid=False)
    axes.tick_params(axis="y", length=0, labelsize=style.MEDIUM)
    axes.tick_params(axis="x", top=False, direction="out")
    axes.spines[["top", "right"]].set_visible(False)


def _bar(
    axes: Axes,
    y: float,
    value: float,
    text: str,
    colour: str,
    largest: float,
    error: Sequence[Sequence[float]] | None = None,
) -> None:
    axes.barh(y, value, 0.38, color=colour, xerr=error, error_kw={"elinewidth": 1.0})
    end = value + (error[1][0] if error else 0.0)
    axes.text(end + 0.02 * largest, y, text, va="center", fontsize=style.SMALL - 0.5)
