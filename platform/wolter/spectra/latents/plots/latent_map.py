"""Figure of latents in two dimensions, by class and by hardness ratio.

Shapes: K class, L latent, N source.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from wolter.report import style
from wolter.spectra.latents.sources import UNKNOWN, Array, Indices

COLOURS = (*style.CYCLE, style.BLACK)
FEWEST, MOST = 3, 2500  # sources that are drawn; fewer have no map
RATIO_SCALE = "coolwarm"  # soft to hard
CAPTION = (
    "t-SNE (van der Maaten & Hinton 2008) of standardised latents of sources drawn at random from "
    "the split, which keeps neighbours and not distances. Left: by class. Right: by the hardness "
    "ratio (F_h - F_s) / (F_h + F_s)."
)


def two_dimensions(latent_NL: Array, seed: int = 0) -> Array:
    """Places (N, 2) of latents by t-SNE."""
    perplexity = min(30.0, max(2.0, (len(latent_NL) - 1) / 3))
    placed: Array = TSNE(perplexity=perplexity, random_state=seed).fit_transform(latent_NL)
    return placed


def latent_map(
    place_N2: Array, class_N: Indices, names: Sequence[str], ratio_N: Array, title: str
) -> Drawing:
    """Two panels: sources by class, and by hardness ratio.

    Args:
        place_N2: see `two_dimensions`.
        class_N: classes; `UNKNOWN` ones are grey.
        names: of the classes.
        ratio_N: hardness ratio; NaN is left out.
        title: what is shown.
    """
    figure = style.new_figure(10.2, 5.4)
    style.title(figure, title)
    left = style.place(figure, 0.3, 0.75, 4.2, 4.2)
    right = style.place(figure, 4.9, 0.75, 4.2, 4.2)
    bar = style.place(figure, 9.25, 0.75, 0.16, 4.2)
    handles = []
    for k in (UNKNOWN, *range(len(names))):
        own_N: NDArray[np.bool_] = class_N == k
        if not own_N.any():
            continue
        colour = "#cccccc" if k == UNKNOWN else COLOURS[k % len(COLOURS)]
        _points(left, place_N2[own_N], color=colour)
        name = "unknown" if k == UNKNOWN else names[k]
        handles.append(
            Line2D([], [], color=colour, marker="o", linestyle="", markersize=4, label=name)
        )
    known_N = np.isfinite(ratio_N)
    shown = _points(right, place_N2[known_N], c=ratio_N[known_N], cmap=RATIO_SCALE, vmin=-1, vmax=1)
    colours = figure.colorbar(shown, cax=bar)
    colours.ax.tick_params(labelsize=style.SMALL)
    colours.set_label("hardness ratio hard_hs", fontsize=style.MEDIUM)
    left.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.03),
        ncols=4,
        frameon=False,
        fontsize=style.SMALL,
        handletextpad=0.1,
    )
    return figure


def _points(axes: Axes, place_N2: Array, **colour: Any) -> PathCollection:
    x_N, y_N = place_N2.T
    found = axes.scatter(x_N, y_N, s=5, linewidths=0, alpha=0.75, rasterized=True, **colour)
    axes.set_xticks([])
    axes.set_yticks([])
    return found
