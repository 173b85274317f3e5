"""Figure of latents and physics: how strongly every latent goes with every quantity.

Shapes: L latent, Q quantity.
"""

from collections.abc import Mapping

import numpy as np

from wolter.report import style
from wolter.report.page import Figure
from wolter.report.write import file_name
from wolter.spectra.latents.physics import Map
from wolter.spectra.latents.plots.maps import heat

CAPTION = (
    "Spearman's rank correlation of every latent with every quantity, over the sources that have "
    "it; the colour is its size."
)


def figures_of(maps: Mapping[str, Map]) -> dict[str, Figure]:
    """Map of each model, by file name."""
    figures = {}
    for label, each in maps.items():
        title = f"{label}: latents and physics"
        rho_LQ = each.spearman_LQ
        text = [[f"{rho:+.2f}" if np.isfinite(rho) else "" for rho in row] for row in rho_LQ]
        rows = [f"latent {i}" for i in range(len(rho_LQ))]
        drawing = heat(np.abs(rho_LQ), rows, each.names, text, title, ("", ""), 1.0)
        figures[f"physics-{file_name(label)}.png"] = Figure(title, CAPTION, style.to_png(drawing))
    return figures
