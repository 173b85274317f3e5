"""Representations of spectra that are compared: latents, ratios, components.

Shapes: D number of a representation, N source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wolter.report.table import Group
from wolter.spectra.latents.components import Components
from wolter.spectra.latents.ratios import band_fluxes, hardness_ratios
from wolter.spectra.latents.sources import Array, Outputs, Sources, numbers

LATENT = "latent"  # output of the families that are analysed
RATIOS, RATIOS_FLUX = "hardness ratios", "hardness ratios and flux"


@dataclass(frozen=True)
class Representation:
    """Numbers that stand for spectra, standardised on the training split.

    Attributes:
        label: row of tables.
        group: kind of row.
        train_ND: of the training split.
        test_ND: of the split that is judged.
    """

    label: str
    group: Group
    train_ND: Array
    test_ND: Array


def represent(label: str, group: Group, train_ND: Array, test_ND: Array) -> Representation:
    """A representation, each number scaled to mean 0 and deviation 1 of the training split."""
    mean_D, scale_D = train_ND.mean(0), train_ND.std(0)
    scale_D = np.where(scale_D > 0, scale_D, 1.0)
    return Representation(label, group, (train_ND - mean_D) / scale_D, (test_ND - mean_D) / scale_D)


def representations(
    labels: Sequence[str],
    train: Sources,
    test: Sources,
    outputs: Mapping[str, tuple[Outputs, Outputs]],
    components: Components,
) -> tuple[Representation, ...]:
    """Latents of every model, and the baselines.

    Args:
        labels: names of the models.
        train: sources to learn from.
        test: sources to judge by.
        outputs: of each model for both, by its label.
        components: principal components of the training split.
    """
    latents = [
        represent(name, "measured", outputs[name][0][LATENT], outputs[name][1][LATENT])
        for name in labels
    ]
    n = len(components.axes_LC)
    return (
        *latents,
        represent(RATIOS, "baseline", _ratios(train), _ratios(test)),
        represent(RATIOS_FLUX, "baseline", _ratios_and_flux(train), _ratios_and_flux(test)),
        represent(
            f"{n} principal components",
            "baseline",
            _scores(components, train),
            _scores(components, test),
        ),
    )


def _ratios(sources: Sources) -> Array:
    return np.stack(list(hardness_ratios(sources).values()), 1)


def _ratios_and_flux(sources: Sources) -> Array:
    total_N = sum(band_fluxes(sources).values())
    floor = 1e-12  # keV/cm^2/s, fainter than any source
    return np.column_stack([_ratios(sources), np.log10(np.maximum(total_N, floor))])


def _scores(components: Components, sources: Sources) -> Array:
    return numbers(components.scores(sources.batch.counts_BC - sources.background()))
