"""Figure style: labels, colours and sizes, set on each figure and never globally.

Colours are Okabe and Ito's (2008), told apart under every common colour blindness.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from numpy.typing import NDArray

from wolter.spectra.schema import Parameter

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#8c8c8c"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY)
SMALL, MEDIUM, LARGE = 8.0, 9.2, 12.0  # points
WIDE = 0.66  # width of a letter over its size
DPI = 160
PICTURES = (".png", ".pdf", ".svg")  # suffixes of files of pictures
TICKS_KEV = (0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Label:
    """Axis label of a parameter: name, unit, and the factor to that unit."""

    name: str
    unit: str
    factor: float = 1.0

    @property
    def text(self) -> str:
        """Name with unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


LABELS: Mapping[str, Label] = {
    "nh": Label(r"$N_\mathrm{H}$", r"$10^{22}$ cm$^{-2}$"),
    "slope": Label(r"photon index $\Gamma$", ""),
    "pow_norm": Label("power-law norm", r"$10^{-3}$ ph keV$^{-1}$ cm$^{-2}$ s$^{-1}$", 1e-3),
    "line_energy": Label("line energy", "keV"),
    "line_norm": Label("line norm", r"$10^{-5}$ ph cm$^{-2}$ s$^{-1}$", 1e-5),
    "kt": Label("blackbody $kT$", "keV"),
    "bb_norm": Label("blackbody norm", r"$10^{-5}$ $L_{39}\,D_{10}^{-2}$", 1e-5),
}
NAMES: Mapping[str, str] = {name: label.name for name, label in LABELS.items()}
COMPONENTS: Mapping[str, str] = {
    "powerlaw": "power law",
    "gaussian": "Gaussian line",
    "bbody": "blackbody",
    "diskbb": "disk blackbody",
    "bremss": "bremsstrahlung",
}


def label(parameter: Parameter) -> Label:
    """Label of a parameter; its own name and unit where it is none of the reference's."""
    return LABELS.get(parameter.name, Label(parameter.name, parameter.unit))


def component(name: str) -> str:
    """Label of a component."""
    return COMPONENTS.get(name, name)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, with its own canvas."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def place(
    figure: Figure,
    left: float,
    bottom: float,
    width: float,
    height: float,
    sharex: Axes | None = None,
) -> Axes:
    """Axes at a position in inches, independent of label lengths."""
    x, y = figure.get_size_inches()
    return figure.add_axes((left / x, bottom / y, width / x, height / y), sharex=sharex)


def title(figure: Figure, text: str) -> None:
    """Title of a figure, 0.12 inch below its upper edge; what is too long loses its middle."""
    width, height = map(float, figure.get_size_inches())
    shown = shortened(text, width - 0.3, LARGE)
    figure.text(0.5, 1 - 0.12 / height, shown, fontsize=LARGE, ha="center", va="top")


def shortened(text: str, inches: float, points: float = MEDIUM) -> str:
    """Shorten a text to a width by leaving out its middle."""
    fitting = max(8, int(inches * 72 / (WIDE * points)))
    if len(text) <= fitting:
        return text
    end = fitting // 2
    return f"{text[: fitting - end - 1]}…{text[-end:]}"


def dress(axes: Axes, grid: bool = True) -> None:
    """Apply the common style to axes."""
    axes.tick_params(labelsize=SMALL, direction="in", which="both", top=True, right=True)
    axes.xaxis.label.set_fontsize(MEDIUM)
    axes.yaxis.label.set_fontsize(MEDIUM)
    if grid:
        axes.grid(True, which="major", color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)


def to_png(figure: Figure) -> bytes:
    """A figure as PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def to_bytes(figure: Figure, suffix: str = ".png") -> bytes:
    """A figure as a file of this suffix, one of `PICTURES`; without dates."""
    if suffix.lower() == ".png":
        return to_png(figure)
    buffer = io.BytesIO()
    dated = {".pdf": "CreationDate", ".svg": "Date"}[suffix.lower()]
    figure.savefig(buffer, format=suffix[1:].lower(), dpi=DPI, metadata={dated: None})
    return buffer.getvalue()


def energy_axis(axes: Axes, edges_C1: NDArray[np.float64]) -> None:
    """Logarithmic axis over the energies of C channels (C + 1 edges, keV), with plain numbers."""
    low, high = float(edges_C1[0]), float(edges_C1[-1])
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [tick for tick in TICKS_KEV if 0.999 * low <= tick <= 1.001 * high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
