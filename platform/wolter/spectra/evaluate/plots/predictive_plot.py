"""Posterior-predictive plot of a counts spectrum.

Shapes: C channel, G group of channels, K component, S posterior sample.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from wolter.report import style
from wolter.spectra.evaluate.plots import naming
from wolter.spectra.evaluate.plots.component_plots import COLOURS
from wolter.xray.stats.goodness import goodness, posterior_predictive_p

Array = NDArray[np.float64]
GROUP_COUNTS = 20  # the least expected in a group, so that its Poisson noise is nearly Gaussian,
GROUPS = 12  # unless fewer groups than these would be left
NONE_SEEN = 1.84  # counts: 84 % upper limit where none was seen (Gehrels 1986, ApJ 303, 336)
MOST_SIGMA = 20.0  # beyond it residuals are marked at the frame
DRAWS = 1000  # replicated spectra of the bands
PERCENTILES = (2.5, 16.0, 50.0, 84.0, 97.5)
DARK, LIGHT = "#9a9a9a", "#d4d4d4"  # of the 68 and 95 % bands


@dataclass(frozen=True)
class Quoted:
    """Goodness of fit in a plot's caption.

    Attributes:
        cstat: C-stat.
        expected, sigma: its mean and deviation for a true model (Kaastra 2017).
        channels: that it is over.
        p_value: posterior-predictive; None for a single answer.
        least: p-value that the samples can tell from 0.
        of: word for what was compared with the counts.
    """

    cstat: float
    expected: float
    sigma: float
    channels: int
    p_value: float | None = None
    least: float = 0.0
    of: str = "best-fit"


def predictive(
    counts_C: Array,
    background_C: Array,
    exposure_s: float,
    edges_kev: Sequence[float],
    expected_SC: Array,
    components_KC: Array | None = None,
    names: Sequence[str] = (),
    title: str = "",
    group_counts: float | None = None,
    seed: int = 0,
    widths_kev: Sequence[float] | None = None,
    quoted: Quoted | None = None,
) -> Figure:
    """Counts against energy with posterior-predictive bands, components and residuals.

    The bands hold 68 and 95 % of replicated counts: expected counts of posterior samples, with
    Poisson noise. Groups in which nothing was seen have upper limits; triangles at the frame stand
    for what lies beyond it.

    Args:
        counts_C: observed counts of source and background.
        background_C: background counts expected in the source region (background spectrum times
            its scale).
        exposure_s: seconds.
        edges_kev: C + 1 edges of the channels.
        expected_SC: expected counts of source and background together of posterior samples.
        components_KC: expected counts of each component, as of the posterior mean.
        names: names of the K components.
        title: what is shown.
        group_counts: channels are added for display until so many counts are expected in a group;
            groups that end where the observed counts are high would be biased. None: 20, or fewer
            in faint spectra (`least_counts`).
        seed: seed of the replicated counts.
        widths_kev: of the instrument's channels whose counts are in each channel, keV, where these
            do not nest (C); None: the channels' own.
        quoted: what the heading says; None: C-stat of the posterior mean of the expected counts
            on the channels as given, and `posterior_predictive_p`.
    """
    counts_C, expected_SC = np.asarray(counts_C, float), np.asarray(expected_SC, float)
    edges_C1 = np.asarray(edges_kev, float)
    widths_C = np.diff(edges_C1) if widths_kev is None else np.asarray(widths_kev, float)
    mean_C = expected_SC.mean(0)
    starts_G = group_starts(
        mean_C, group_counts or least_counts(mean_C, float(counts_C.sum())), widths_C
    )
    edges_G1 = np.append(edges_C1[starts_G], edges_C1[-1])
    widths_G = _grouped(widths_C, starts_G)
    generator = np.random.default_rng(seed)
    rows = generator.permutation(len(expected_SC))[:DRAWS]
    rows = np.resize(rows, DRAWS)  # few samples are drawn from several times
    replicated_DG = generator.poisson(_grouped(expected_SC[rows], starts_G))
    bands_QG = np.percentile(replicated_DG, PERCENTILES, axis=0)
    mean_G = _grouped(mean_C, starts_G)
    counts_G = _grouped(counts_C, starts_G)

    figure = style.new_figure(7.4, 5.6)
    above = style.place(figure, 0.8, 2.2, 6.35, 2.65)
    below = style.place(figure, 0.8, 0.95, 6.35, 1.2, sharex=above)
    with np.errstate(divide="ignore", invalid="ignore"):  # no channel at all
        per_kev_G = np.where(widths_G > 0, 1 / widths_G, np.nan)
    _bands(above, edges_G1, bands_QG * per_kev_G)
    _spectrum(above, edges_G1, counts_G, mean_G, per_kev_G)
    lines = [np.asarray(background_C, float)]
    lines += [] if components_KC is None else list(np.asarray(components_KC, float))
    _components(above, edges_C1, lines, widths_C)
    above.tick_params(labelbottom=False, which="both")
    noise_G = np.sqrt(mean_G.clip(min=1e-9))
    _bands(below, edges_G1, (bands_QG - mean_G) / noise_G)
    _residuals(below, edges_G1, (counts_G - mean_G) / noise_G)
    style.energy_axis(below, edges_C1)
    for axes in (above, below):
        axes.yaxis.set_label_coords(-0.085, 0.5)
        style.dress(axes)
    style.title(figure, title)
    quoted = quoted or _quoted(counts_C, expected_SC, seed)
    heading = _heading(float(counts_C.sum()), exposure_s, quoted)
    figure.text(0.5, 1 - 0.43 / 5.6, heading, fontsize=style.SMALL + 0.4, ha="center", va="top")
    figure.legend(
        handles=_handles(() if components_KC is None else names),
        loc="lower center",
        ncols=4,
        frameon=False,
        fontsize=style.SMALL,
    )
    return figure


def least_counts(expected_C: Array, seen: float | None = None) -> float:
    """Counts expected in a group: `GROUP_COUNTS`, or fewer if less than `GROUPS` would be left.

    Args:
        expected_C: counts.
        seen: counts in all; where they are far fewer than expected, groups are as wide as these
            allow.
    """
    expected = float(expected_C.sum())
    fair = expected if seen is None or seen >= expected / 2 else seen
    return max(expected / max(GROUPS, fair / GROUP_COUNTS), 1.0)


def group_starts(
    expected_C: Array, minimum: float, widths_C: Array | None = None
) -> NDArray[np.int64]:
    """First channels of groups of at least `minimum` counts; the last takes the remainder.

    Args:
        expected_C: counts.
        minimum: counts of a group.
        widths_C: widths of the channels; a group has some width, where any is left.
    """
    widths_C = np.ones_like(expected_C) if widths_C is None else widths_C
    starts, total, width = [0], 0.0, 0.0
    for channel, counts in enumerate(expected_C[:-1]):
        total += counts
        width += widths_C[channel]
        if total >= minimum and width > 0 and widths_C[channel + 1 :].any():
            starts.append(channel + 1)
            total = width = 0.0
    if len(starts) > 1 and total + expected_C[-1] < minimum:
        starts.pop()
    return np.array(starts)


def _grouped(values_C: Array, starts_G: NDArray[np.int64]) -> Array:
    summed: Array = np.add.reduceat(values_C, starts_G, axis=-1)
    return summed


def _quoted(counts_C: Array, expected_SC: Array, seed: int) -> Quoted:
    counts, expected = torch.from_numpy(counts_C), torch.from_numpy(expected_SC)
    fit = goodness(counts, expected.mean(0))
    generator = torch.Generator().manual_seed(seed)
    p_value = float(posterior_predictive_p(counts[None], expected[None], generator))
    figures = float(fit.statistic), float(fit.expected), float(fit.sigma)
    return Quoted(*figures, len(counts_C), p_value, 1 / len(expected_SC))


def _heading(counts: float, exposure_s: float, quoted: Quoted) -> str:
    heading = (
        f"{counts:,.0f} counts in {exposure_s / 1e3:.4g} ks,  "
        rf"{quoted.of} C-stat ${quoted.cstat:.1f}$, expected "
        rf"${quoted.expected:.0f} \pm {quoted.sigma:.0f}$ ({quoted.channels} channels)"
    )
    p_value = quoted.p_value
    if p_value is None:
        return heading
    told = rf"$p={p_value:.2f}$" if p_value >= 0.01 else rf"$p={p_value:.1g}$"
    if p_value <= 0:
        told = rf"$p<{quoted.least:.1g}$"
    return f"{heading},  posterior-predictive {told}"


def _bands(axes: Axes, edges_G1: Array, bands_QG: Array) -> None:
    for low_G, high_G, colour in (
        (bands_QG[0], bands_QG[4], LIGHT),
        (bands_QG[1], bands_QG[3], DARK),
    ):
        axes.stairs(
            high_G, edges_G1, baseline=low_G, fill=True, color=colour, linewidth=0, zorder=1
        )


def _spectrum(
    axes: Axes, edges_G1: Array, counts_G: Array, mean_G: Array, per_kev_G: Array
) -> None:
    centre_G = np.sqrt(edges_G1[1:] * edges_G1[:-1])
    reach_2G = _reach(edges_G1, centre_G)
    known_G = np.isfinite(per_kev_G)
    seen_G = known_G & (counts_G > 0)
    density_G = counts_G * per_kev_G
    axes.errorbar(
        centre_G[seen_G],
        density_G[seen_G],
        (np.sqrt(counts_G) * per_kev_G)[seen_G],
        reach_2G[:, seen_G],
        fmt="o",
        color=style.BLACK,
        markersize=2.0,
        elinewidth=0.6,
        zorder=4,
    )
    none_G = known_G & (counts_G <= 0)
    limit_G = NONE_SEEN * per_kev_G
    axes.errorbar(
        centre_G[none_G],
        limit_G[none_G],
        None,
        reach_2G[:, none_G],
        fmt="v",
        color=style.BLACK,
        markersize=3.0,
        elinewidth=0.6,
        zorder=4,
    )
    shown_G = np.where(counts_G > 0, density_G, limit_G)[known_G]
    expected_G = (mean_G * per_kev_G)[known_G & (mean_G > 0)]
    top = 2.5 * max(float(shown_G.max(initial=0.0)), float(expected_G.max(initial=0.0))) or 1.0
    lowest = float(expected_G.min(initial=top))
    low = max(lowest / 30, top * 1e-5)
    axes.set_ylim(low, top)
    axes.set_yscale("log")
    axes.set_ylabel("counts keV$^{-1}$")
    below_G = seen_G & (density_G < low)
    _beyond(axes, centre_G[below_G], below=True)


def _beyond(axes: Axes, centre_G: Array, below: bool) -> None:
    """Triangles at the lower or upper frame, for points that lie beyond it."""
    height = 0.03 if below else 0.97
    axes.plot(
        centre_G,
        np.full(len(centre_G), height),
        "v" if below else "^",
        color=style.VERMILION,
        markersize=4.5,
        linestyle="none",
        transform=axes.get_xaxis_transform(),
        zorder=5,
    )


def _reach(edges_G1: Array, centre_G: Array) -> Array:
    """Error bars from the centre of each group to its two ends."""
    return np.stack([centre_G - edges_G1[:-1], edges_G1[1:] - centre_G])


def _components(axes: Axes, edges_C1: Array, lines: Sequence[Array], widths_C: Array) -> None:
    """The background, dotted, then the components, at the resolution of the channels."""
    some_C = widths_C > 0
    centre_C, width_C = np.sqrt(edges_C1[1:] * edges_C1[:-1])[some_C], widths_C[some_C]
    colours = itertools.chain([style.BLACK], itertools.cycle(COLOURS))
    for line_C, colour in zip(lines, colours, strict=False):
        dotted = colour == style.BLACK
        axes.plot(
            centre_C,
            line_C[some_C] / width_C,
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
    limit = float(np.clip(1.2 * np.abs(residual_G).max(), 3.5, MOST_SIGMA))
    axes.set_ylim(-limit, limit)
    _beyond(axes, centre_G[residual_G > limit], below=False)
    _beyond(axes, centre_G[residual_G < -limit], below=True)
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
        handles.append(Line2D([], [], color=colour, linewidth=1.6, label=naming.component(name)))
    return handles
