"""Pictures of a report on images: fields, completeness by flux, coverage by brightness."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from wolter.images.evaluate.fields import Example
from wolter.report import style

SIDE, GAP, LEFT, TOP = 3.1, 0.12, 0.45, 0.75  # inches
SPAN = 5.0  # sigma, of the residuals' colours
BRIGHTEST = 0.9995  # quantile at which brightness saturates


def side_by_side(examples: Sequence[Example], title: str) -> Figure:
    """Input, output, target and residual of every field, all in one scale of root brightness."""
    width, height = LEFT + 4 * (SIDE + GAP), TOP + len(examples) * (SIDE + GAP)
    figure = style.new_figure(width, height)
    style.title(figure, title)
    for row, example in enumerate(examples):
        scale = (example.output_HW.shape[0] // example.input_HW.shape[0]) ** 2
        top = float(np.quantile(example.target_HW.numpy(), BRIGHTEST)) or 1e-9
        images = (example.input_HW / scale, example.output_HW, example.target_HW)
        names = ("input", "output", "target", f"residual, ±{SPAN:g} sigma")
        for column, name in enumerate(names):
            bottom = height - TOP - (row + 1) * SIDE - row * GAP
            axes = style.place(figure, LEFT + column * (SIDE + GAP), bottom, SIDE, SIDE)
            if column < 3:
                root = (images[column] / top).clamp(0, 1).sqrt()
                axes.imshow(root.numpy(), origin="lower", cmap="inferno", vmin=0, vmax=1)
            else:
                shown = _finite(example.check_HW)
                axes.imshow(shown, origin="lower", cmap="RdBu_r", vmin=-SPAN, vmax=SPAN)
            axes.set_xticks([])
            axes.set_yticks([])
            if not row:
                axes.set_title(name, fontsize=style.MEDIUM)
            if not column:
                axes.set_ylabel(example.title, fontsize=style.MEDIUM)
    return figure


def _finite(image_HW: Tensor) -> Any:
    return np.nan_to_num(image_HW.numpy())


def completeness(found: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """Share of the sources found in bins of flux, by image, with binomial errors."""
    figure = style.new_figure(5.2, 3.6)
    style.title(figure, title)
    axes = style.place(figure, 0.7, 0.6, 4.3, 2.5)
    for (name, each), colour in zip(found.items(), style.CYCLE, strict=False):
        rows = [row for row in each["completeness_by_flux"] if row["n"]]
        flux = [(row["low"] * row["high"]) ** 0.5 for row in rows]
        share = np.array([row["share"] for row in rows])
        spread = np.sqrt(share * (1 - share) / [row["n"] for row in rows])
        axes.errorbar(flux, share, spread, marker="o", markersize=4, color=colour, label=name)
    axes.set_xscale("log")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(r"flux [erg cm$^{-2}$ s$^{-1}$]")
    axes.set_ylabel("completeness")
    axes.legend(fontsize=style.SMALL, frameon=False)
    style.dress(axes)
    return figure


def coverage(covered: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> Figure:
    """Share of pixels whose interval holds the truth, by brightness, beside what it is to be.

    Args:
        covered: `wolter.images.evaluate.coverage.Coverage.deciles` by "answer" and "truth".
        title: title of the figure.
    """
    figure = style.new_figure(5.2, 3.6)
    style.title(figure, title)
    axes = style.place(figure, 0.7, 0.6, 4.3, 2.5)
    for by, line in (("answer", "-"), ("truth", ":")):
        rows = covered[by]
        rate = [(row["rate_low"] * row["rate_high"]) ** 0.5 for row in rows]
        for level, colour in zip(rows[0]["inside"], style.CYCLE, strict=False):
            share = [100 * row["inside"][level] for row in rows]
            name = f"{level} %, by {by}"
            axes.plot(rate, share, line, marker="o", markersize=4, color=colour, label=name)
            if by == "answer":
                axes.axhline(float(level), color=colour, linestyle="--", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_ylim(0, 103)
    axes.set_xlabel("rate [ct/s in an output pixel]")
    axes.set_ylabel("inside the interval [%]")
    axes.legend(fontsize=style.SMALL, frameon=False)
    style.dress(axes)
    return figure
