"""Plots of reconstructed spectra: counts, what a model made of them, and residuals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
import torch

from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.registry.checkpoint import Model
from wolter.report import style
from wolter.spectra.evaluate.plots.predictive_plot import Quoted, predictive
from wolter.spectra.model_check_plots import picture_stems
from wolter.spectra.predict import predict_batch, refine_batch
from wolter.spectra.reading import Reading, read_observed, to_record
from wolter.xray.spectral.response import width_in_bins
from wolter.xray.stats.goodness import goodness

RECONSTRUCTION = "reconstruction"  # output of families that reconstruct spectra
PLOTTED = 200  # replicated spectra


def check_reconstructs(model: Model) -> None:
    """Check that a model reconstructs spectra.

    Raises:
        InputError: it does not.
    """
    if RECONSTRUCTION not in {output.name for output in model.outputs}:
        raise InputError(
            f"{model.family.name} does not reconstruct spectra; leave out --reconstruction and "
            "--plots"
        )


def plot_files(
    model: Model,
    files: Sequence[Path],
    folder: Path,
    refine: bool = False,
    **reading: Unpack[Reading],
) -> None:
    """Draw `<stem>-spectrum.png` of every file that can be read.

    Args:
        model: a loaded model that reconstructs spectra.
        files: PHA files.
        folder: see `wolter.spectra.model_check_plots.picture_stems`.
        refine: fit the latents to the counts, see `wolter.spectra.refinement`.
        reading: files and response for every spectrum, see `read_observed`.
    """
    spec = model.card.spec
    for file, stem in zip(files, picture_stems(files, folder), strict=True):
        try:
            observation = read_observed(Path(file), **reading)
            record = to_record(observation, spec, str(file))
        except InputError:  # the table's rejects say why
            continue
        batch = record.batch
        values = refine_batch(model, batch)[0] if refine else predict_batch(model, batch)
        expected_C = values[RECONSTRUCTION][0].astype(float)
        fit = goodness(batch.counts_BC[0], torch.from_numpy(expected_C))
        edges_C1, good_C = observation.response.channel_edges_C1, observation.good_C
        scale = float(batch.background_scale_B[0])
        figure = predictive(
            batch.counts_BC[0].double().numpy(),
            batch.background_BC[0].double().numpy() * scale,
            float(batch.exposure_B[0]),
            spec.energy_edges,
            np.tile(expected_C, (PLOTTED, 1)),
            title=Path(file).name,
            widths_kev=width_in_bins(edges_C1, spec.energy_edges, good_C).tolist(),
            quoted=Quoted(
                float(fit.statistic),
                float(fit.expected),
                float(fit.sigma),
                spec.n_channels,
                of="reconstruction's",
            ),
        )
        write_atomically(folder / f"{stem}-spectrum.png", style.to_png(figure))
