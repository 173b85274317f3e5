"""Figure style: labels, colours and sizes, set on each figure and never globally.

Colours are Okabe and Ito's (2008), told apart under every common colour blindness.
"""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from numpy.typing import NDArray

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#8c8c8c"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY)
SMALL, MEDIUM, LARGE = 8.0, 9.2, 12.0  # points
WIDE = 0.66  # width of a letter over its size
DPI = 160
PICTURES = (".png", ".pdf", ".svg")  # suffixes of files of pictures
TICKS_KEV = (0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


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
    """Axes at this place, in inches: layouts that no label's length can upset."""
    x, y = figure.get_size_inches()
    return figure.add_axes((left / x, bottom / y, width / x, height / y), sharex=sharex)


def title(figure: Figure, text: str) -> None:
    """Title of a figure, 0.12 inch below its upper edge; what is too long loses its middle."""
    width, height = map(float, figure.get_size_inches())
    shown = shortened(text, width - 0.3, LARGE)
    figure.text(0.5, 1 - 0.12 / height, shown, fontsize=LARGE, ha="center", va="top")


def shortened(text: str, inches: float, points: float = MEDIUM) -> str:
    """Text that fits into a width, its middle left out where it must be."""
    fitting = max(8, int(inches * 72 / (WIDE * points)))
    if len(text) <= fitting:
        return text
    end = fitting // 2
    return f"{text[: fitting - end - 1]}…{text[-end:]}"


def dress(axes: Axes, grid: bool = True) -> None:
    """Give axes the common look."""
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
