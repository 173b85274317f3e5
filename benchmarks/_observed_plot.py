"""The figure of `observed.py`: corner plot, spectrum with residuals, and a table of statistics.

Shapes: C channel, G group of channels, P parameter.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from wolter.report import style
from wolter.spectra.evaluate.plots import corner_plot
from wolter.spectra.evaluate.plots.predictive_plot import group_starts
from wolter.spectra.model_check import ModelCheck, predictive
from wolter.spectra.schema import SpectraSpec

# Upper right of the corner plot of seven parameters, inches.
LEFT, WIDTH, RESIDUALS, SPECTRUM = 6.55, 5.3, (8.35, 1.15), (9.55, 1.95)
TABLE = (7.45, 7.75)
GROUP_COUNTS = 40
DASHES = ("-", "-", "-", (0, (4, 2.5)))


def draw(
    checked: ModelCheck,
    spec: SpectraSpec,
    fits: Mapping[str, Tensor],
    entries: Mapping[str, dict[str, Any] | None],
    explained: bool,
) -> bytes:
    """PNG of everything that was found of one spectrum."""
    record = checked.likelihood.gridded.record
    figure = corner_plot.corner(
        {label: samples_SP.double().numpy() for label, samples_SP in checked.sets.items()},
        spec.parameters,
        points={label: best_P.numpy() for label, best_P in fits.items()},
        title=f"{record.name}: {spec.model}",
    )
    marks = [colour for _, colour in corner_plot.POINTS]
    colours = dict(zip(checked.sets, style.CYCLE, strict=False)) | dict(
        zip(fits, marks, strict=False)
    )
    _spectrum(figure, checked, spec, fits, colours)
    _table(figure, entries, colours, explained)
    return style.to_png(figure)


def _spectrum(
    figure: Figure,
    checked: ModelCheck,
    spec: SpectraSpec,
    fits: Mapping[str, Tensor],
    colours: Mapping[str, str],
) -> None:
    likelihood = checked.likelihood
    lines = {
        label: likelihood.expected(predictive(samples_SP)).mean(0)
        for label, samples_SP in checked.sets.items()
    }
    lines |= {k: likelihood.expected(best_P[None].float())[0] for k, best_P in fits.items()}
    expected = {label: line_C.double().numpy() for label, line_C in lines.items()}
    counts_C = likelihood.counts_BC[0].double().numpy()
    edges_C1 = np.array(spec.energy_edges)
    # The refined posterior's groups serve all, so that residuals lie at the same energies.
    starts_G = group_starts(list(expected.values())[len(checked.sets) - 1], GROUP_COUNTS)
    edges_G1 = np.append(edges_C1[starts_G], edges_C1[-1])
    width_G, centre_G = np.diff(edges_G1), np.sqrt(edges_G1[1:] * edges_G1[:-1])
    reach_2G = np.stack([centre_G - edges_G1[:-1], edges_G1[1:] - centre_G])
    counts_G = np.add.reduceat(counts_C, starts_G)

    above = style.place(figure, LEFT, SPECTRUM[0], WIDTH, SPECTRUM[1])
    below = style.place(figure, LEFT, RESIDUALS[0], WIDTH, RESIDUALS[1], sharex=above)
    above.errorbar(
        centre_G, counts_G / width_G, np.sqrt(counts_G) / width_G, reach_2G,
        fmt="none", ecolor=style.GREY, elinewidth=0.8,
    )  # fmt: skip
    for (label, line_C), dashes in zip(expected.items(), DASHES, strict=False):
        model_G = np.add.reduceat(line_C, starts_G)
        line = {"color": colours[label], "linewidth": 1.2, "linestyle": dashes}
        above.stairs(model_G / width_G, edges_G1, baseline=None, **line)
        below.stairs((counts_G - model_G) / np.sqrt(model_G), edges_G1, baseline=None, **line)
    above.set_yscale("log")
    above.set_ylabel("counts keV$^{-1}$")
    above.tick_params(labelbottom=False, which="both")
    below.axhline(0, color=style.GREY, linewidth=0.6)
    below.yaxis.set_major_locator(MaxNLocator(5, symmetric=True, integer=True))
    below.set_ylabel(r"(data − model) / $\sigma$")
    below.set_xlabel("energy [keV]")
    style.energy_axis(below, edges_C1)
    for axes in (above, below):
        axes.yaxis.set_label_coords(-0.085, 0.5)
        style.dress(axes)


def _table(
    figure: Figure,
    entries: Mapping[str, dict[str, Any] | None],
    colours: Mapping[str, str],
    explained: bool,
) -> None:
    width, height = figure.get_size_inches()
    columns = (0.0, 1.6, 2.3, 3.4)  # inches

    def write(row: int, *texts: str, colour: str = style.BLACK) -> None:
        for x, text in zip(columns, texts, strict=False):
            at = ((TABLE[0] + x) / width, (TABLE[1] - 0.21 * row) / height)
            figure.text(*at, text, color=colour, fontsize=style.MEDIUM)

    write(0, "", "C-stat", "expected", "p", colour=style.GREY)
    row = 1
    for label, entry in entries.items():
        if entry is not None:
            expected = f"{entry['cstat_expected']:.0f} ± {entry['cstat_sigma']:.0f}"
            p_value = entry["p_value"]
            quoted = f"{p_value:.2f}" if p_value >= 0.01 else "< 0.01"
            write(row, label, f"{entry['cstat']:.0f}", expected, quoted, colour=colours[label])
            row += 1
    if not explained:
        write(row, "No parameters of the model explain this spectrum:", colour=style.VERMILION)
        write(row + 1, "intervals and fits are those of a wrong model.", colour=style.VERMILION)
