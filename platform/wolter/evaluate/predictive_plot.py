"""A counts spectrum with what its posterior predicts.

Shapes: C channel, G group of channels, K component, S posterior sample.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from wolter.evaluate import style
from wolter.evaluate.spectra_plots import COLOURS
from wolter.xray.goodness import goodness, posterior_predictive_p

Array = NDArray[np.float64]
GROUP_COUNTS = 20  # the least expected in a group, so that its Poisson noise is nearly Gaussian
DRAWS = 1000  # replicated spectra of the bands
PERCENTILES = (2.5, 16.0, 50.0, 84.0, 97.5)
DARK, LIGHT = "#9a9a9a", "#d4d4d4"  # of the 68 and 95 % bands


def predictive(
    counts_C: Array,
    background_C: Array,
    exposure_s: float,
    edges_kev: Sequence[float],
    expected_SC: Array,
    components_KC: Array | None = None,
    names: Sequence[str] = (),
    title: str = "",
    group_counts: float = GROUP_COUNTS,
    seed: int = 0,
) -> Figure:
    """Counts against energy with posterior-predictive bands, components and residuals.

    The bands hold 68 and 95 % of replicated counts: expected counts of posterior samples, with
    Poisson noise. C-stat in the heading is that of the posterior mean of the expected counts, on
    the channels as given; the p-value is `posterior_predictive_p`.

    Args:
        counts_C: observed counts of source and background.
        background_C: background counts expected in the source region (background spectrum times
            its scale).
        exposure_s: seconds.
        edges_kev: C + 1 edges of the channels.
        expected_SC: expected counts of source and background together of posterior samples.
        components_KC: expected counts of each component, as of the posterior mean.
        names: of the K components.
        title: what is shown.
        group_counts: channels are added for display until so many counts are expected in a group;
            groups that end where the observed counts are high would be biased.
        seed: of the replicated counts.
    """
    counts_C, expected_SC = np.asarray(counts_C, float), np.asarray(expected_SC, float)
    starts_G = group_starts(expected_SC.mean(0), group_counts)
    edges_C1 = np.asarray(edges_kev, float)
    edges_G1 = np.append(edges_C1[starts_G], edges_C1[-1])
    generator = np.random.default_rng(seed)
    rows = generator.permutation(len(expected_SC))[:DRAWS]
    rows = np.resize(rows, DRAWS)  # few samples are drawn from several times
    replicated_DG = generator.poisson(_grouped(expected_SC[rows], starts_G))
    bands_QG = np.percentile(replicated_DG, PERCENTILES, axis=0)
    mean_G = _grouped(expected_SC.mean(0), starts_G)
    counts_G = _grouped(counts_C, starts_G)

    figure = style.new_figure(7.4, 5.6)
    above = style.place(figure, 0.8, 2.2, 6.35, 2.65)
    below = style.place(figure, 0.8, 0.95, 6.35, 1.2, sharex=above)
    _bands(above, edges_G1, bands_QG / np.diff(edges_G1))
    _spectrum(above, edges_G1, counts_G, mean_G)
    lines = [np.asarray(background_C, float)]
    lines += [] if components_KC is None else list(np.asarray(components_KC, float))
    _components(above, edges_C1, lines)
    above.tick_params(labelbottom=False, which="both")
    noise_G = np.sqrt(mean_G.clip(min=1e-9))
    _bands(below, edges_G1, (bands_QG - mean_G) / noise_G)
    _residuals(below, edges_G1, (counts_G - mean_G) / noise_G)
    style.energy_axis(below, edges_C1)
    for axes in (above, below):
        axes.yaxis.set_label_coords(-0.085, 0.5)
        style.dress(axes)
    style.title(figure, title)
    heading = _heading(counts_C, expected_SC, exposure_s, seed)
    figure.text(0.5, 1 - 0.43 / 5.6, heading, fontsize=style.MEDIUM, ha="center", va="top")
    figure.legend(
        handles=_handles(() if components_KC is None else names),
        loc="lower center",
        ncols=4,
        frameon=False,
        fontsize=style.SMALL,
    )
    return figure


def group_starts(expected_C: Array, minimum: float) -> NDArray[np.int64]:
    """First channels of groups of at least `minimum` counts; the last takes the remainder."""
    starts, total = [0], 0.0
    for channel, counts in enumerate(expected_C[:-1]):
        total += counts
        if total >= minimum:
            starts.append(channel + 1)
            total = 0.0
    if len(starts) > 1 and total + expected_C[-1] < minimum:
        starts.pop()
    return np.array(starts)


def _grouped(values_C: Array, starts_G: NDArray[np.int64]) -> Array:
    summed: Array = np.add.reduceat(values_C, starts_G, axis=-1)
    return summed


def _heading(counts_C: Array, expected_SC: Array, exposure_s: float, seed: int) -> str:
    counts, expected = torch.from_numpy(counts_C), torch.from_numpy(expected_SC)
    fit = goodness(counts, expected.mean(0))
    generator = torch.Generator().manual_seed(seed)
    p_value = float(posterior_predictive_p(counts[None], expected[None], generator))
    least = 1 / len(expected_SC)
    quoted = rf"$p={p_value:.2f}$" if p_value >= 0.01 else rf"$p={p_value:.1g}$"
    return (
        f"{counts_C.sum():,.0f} counts in {exposure_s / 1e3:.4g} ks,  "
        rf"C-stat ${float(fit.statistic):.0f}$, expected "
        rf"${float(fit.expected):.0f} \pm {float(fit.sigma):.0f}$ "
        f"({len(counts_C)} channels),  posterior-predictive "
        + (quoted if p_value > 0 else rf"$p<{least:.1g}$")
    )


def _bands(axes: Axes, edges_G1: Array, bands_QG: Array) -> None:
    for low_G, high_G, colour in (
        (bands_QG[0], bands_QG[4], LIGHT),
        (bands_QG[1], bands_QG[3], DARK),
    ):
        axes.stairs(
            high_G, edges_G1, baseline=low_G, fill=True, color=colour, linewidth=0, zorder=1
        )


def _spectrum(axes: Axes, edges_G1: Array, counts_G: Array, mean_G: Array) -> None:
    width_G, centre_G = np.diff(edges_G1), np.sqrt(edges_G1[1:] * edges_G1[:-1])
    seen = counts_G > 0
    axes.errorbar(
        centre_G[seen],
        (counts_G / width_G)[seen],
        (np.sqrt(counts_G) / width_G)[seen],
        _reach(edges_G1, centre_G)[:, seen],
        fmt="o",
        color=style.BLACK,
        markersize=2.0,
        elinewidth=0.6,
        zorder=4,
    )
    top = 2.5 * float((counts_G / width_G).max(initial=1.0))
    lowest = float((mean_G / width_G)[mean_G > 0].min(initial=top))
    axes.set_yscale("log")
    axes.set_ylim(max(lowest / 30, top * 1e-5), top)
    axes.set_ylabel("counts keV$^{-1}$")


def _reach(edges_G1: Array, centre_G: Array) -> Array:
    """Error bars from the centre of each group to its two ends."""
    return np.stack([centre_G - edges_G1[:-1], edges_G1[1:] - centre_G])


def _components(axes: Axes, edges_C1: Array, lines: Sequence[Array]) -> None:
    """The background, dotted, then the components, at the resolution of the channels."""
    centre_C, width_C = np.sqrt(edges_C1[1:] * edges_C1[:-1]), np.diff(edges_C1)
    colours = itertools.chain([style.BLACK], itertools.cycle(COLOURS))
    for line_C, colour in zip(lines, colours, strict=False):
        dotted = colour == style.BLACK
        axes.plot(
            centre_C,
            line_C / width_C,
            color=colour,
            linewidth=1.0 if dotted else 1.4,
            linestyle=":" if dotted else "-",
            drawstyle="steps-mid",
            zorder=3,
        )


def _residuals(axes: Axes, edges_G1: Array, residual_G: Array) -> None:
    centre_G = np.sqrt(edges_G1[1:] * edges_G1[:-1])
    axes.errorbar(
        centre_G,
        residual_G,
        1.0,
        _reach(edges_G1, centre_G),
        fmt="o",
        color=style.BLACK,
        markersize=2.0,
        elinewidth=0.6,
    )
    axes.axhline(0, color=style.BLACK, linewidth=0.6)
    limit = float(np.clip(1.2 * np.abs(residual_G).max(), 3.5, 20.0))
    axes.set_ylim(-limit, limit)
    axes.yaxis.set_major_locator(MaxNLocator(5, symmetric=True, integer=True))
    axes.set_ylabel(r"(data − model) / $\sigma$")
    axes.set_xlabel("energy [keV]")


def _handles(names: Sequence[str]) -> list[Artist]:
    data = Line2D([], [], color=style.BLACK, marker="o", markersize=3, linewidth=0.8)
    data.set_label("data")
    handles: list[Artist] = [data]
    handles.append(Patch(color=DARK, linewidth=0, label="68 % of predicted counts"))
    handles.append(Patch(color=LIGHT, linewidth=0, label="95 % of predicted counts"))
    handles.append(Line2D([], [], color=style.BLACK, linestyle=":", label="background"))
    for name, colour in zip(names, itertools.cycle(COLOURS), strict=False):
        handles.append(Line2D([], [], color=colour, linewidth=1.6, label=style.component(name)))
    return handles
