"""Training curves: the loss of a run, its parts, and the metrics of its validation split."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wolter.outputs import Metric
from wolter.report import style

Curve = Sequence[tuple[int, float]]
History = Mapping[str, Curve]
"""Metrics of a run by name, as pairs of epoch and value."""
PANEL = (4.5, 4.45)  # inches
CAPTION = "Means over the rows of each epoch, and of the validation split after it."


def training_curves(
    history: History, metrics: Sequence[Metric] = (), title: str = "Training"
) -> Figure:
    """Loss and its parts on the training split, and validation metrics, against the epoch.

    Args:
        history: of one run; names begin with `train/` or `validation/`, as the training loop's
            epochs do.
        metrics: metrics of the family, a panel each. Metrics NAME_PART stand in the panel of NAME.
        title: title of the figure.
    """
    train, validation = _group(history, "train/"), _group(history, "validation/")
    panels = {
        "training loss": {"loss": train.pop("loss")} if "loss" in train else {},
        "parts of the loss": train,
    }
    for metric in metrics:
        own = {metric.name: validation[metric.name]} if metric.name in validation else {}
        unit = f" [{metric.unit}]" if metric.unit else ""
        panels[f"validation {metric.name}{unit}"] = {
            **_parts(validation, metric.name, [other.name for other in metrics]),
            **own,
        }
    shown = {heading: curves for heading, curves in panels.items() if curves}
    width, height = PANEL
    figure = style.new_figure(width * max(1, len(shown)), height)
    style.title(figure, title)
    for i, (heading, curves) in enumerate(shown.items()):
        axes = style.place(figure, width * i + 0.7, 1.3, 3.7, 2.7)
        _curves(axes, curves, [metric.name for metric in metrics])
        axes.set_ylabel(heading)
    return figure


def _group(history: History, prefix: str) -> dict[str, Curve]:
    """Curves under a prefix, with their finite values; those that have none are left out."""
    found: dict[str, Curve] = {}
    for name, curve in history.items():
        finite = [(epoch, value) for epoch, value in curve if np.isfinite(value)]
        if name.startswith(prefix) and finite:
            found[name.removeprefix(prefix)] = finite
    return found


def _parts(curves: Mapping[str, Curve], name: str, others: Sequence[str]) -> dict[str, Curve]:
    """Curves NAME_PART by part, but those that are metrics of their own."""
    prefix = f"{name}_"
    own = {key: curve for key, curve in curves.items() if key.startswith(prefix)}
    return {key.removeprefix(prefix): curve for key, curve in own.items() if key not in others}


def _curves(axes: Axes, curves: Mapping[str, Curve], main: Sequence[str]) -> None:
    """Curves against the epoch, with the legend below; logarithmic where all are positive."""
    for (name, curve), colour in zip(curves.items(), itertools.cycle(style.CYCLE), strict=False):
        epoch, value = zip(*sorted(curve), strict=True)
        axes.plot(
            epoch,
            value,
            label=name,
            color=style.BLACK if name in main else colour,
            linewidth=2.2 if name in main else 1.3,
            marker="o" if len(epoch) < 3 else None,
            markersize=3,
        )
    if len(curves) > 1 and all(value > 0 for curve in curves.values() for _, value in curve):
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(curves) > 1:
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            fontsize=style.SMALL,
            frameon=False,
            ncols=1 if len(curves) < 5 else 3,
            columnspacing=1.0,
        )
    style.dress(axes)
