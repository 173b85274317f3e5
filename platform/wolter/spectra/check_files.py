"""Goodness of fit of a model's answers to spectrum files: a table, and figures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from wolter.errors import InputError
from wolter.registry.checkpoint import Model
from wolter.spectra.columns import to_columns, to_table
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.model_check import ModelCheck, check_checkable, check_model
from wolter.spectra.reading import Reading, read_observed
from wolter.xray.spectral.response import width_in_bins

if TYPE_CHECKING:
    from astropy.table import Table


def check_files(
    model: Model,
    files: Sequence[Path],
    *,
    version: str = "",
    components: bool = False,
    refined: bool = False,
    plots: Path | None = None,
    on_reject: Callable[[str, str], None] | None = None,
    on_files: Callable[[int], None] | None = None,
    **reading: Unpack[Reading],
) -> "Table":
    """Table of `wolter.spectra.predict.predict_files` with goodness of fit, fits and refinement.

    Args:
        model: a loaded model of a spectra family that was trained on simulated spectra.
        files: PHA files.
        version: version of the model; its fingerprint where none is given.
        components: add the component spectra, counts on the grid, where the family predicts them.
        refined: give the exact posterior in place of the network's; families of posteriors only.
        plots: folder for pictures of each spectrum, named by `picture_stems`.
        on_reject: called with file and reason where a file cannot be read, in place of the error.
        on_files: called with the number of files as each is done.
        reading: files and response for every spectrum, see `read_observed`.

    Returns:
        The table of `predict_files` with the `figures` and `flags` of
        `wolter.spectra.model_check.ModelCheck`.

    Raises:
        InputError: a file cannot be read, or the model cannot be checked or refined.
    """
    from wolter.spectra.model_check_plots import draw, picture_stems

    check_checkable(model)
    spec = model.card.spec
    stems = ["" for _ in files] if plots is None else picture_stems(files, plots)
    parts = []
    for file, stem in zip(files, stems, strict=True):
        try:
            observation = read_observed(Path(file), **reading)
            checked = check_model(
                model, GriddedObservation.of(observation, spec, str(file)), refined
            )
        except InputError as error:
            if on_reject is None:
                raise
            on_reject(str(file), str(error))
        else:
            parts.append(_columns(model, checked, components))
            if plots is not None:
                edges_C1, good_C = observation.response.channel_edges_C1, observation.good_C
                width_C = width_in_bins(edges_C1, spec.energy_edges, good_C)
                draw(checked, spec, plots / stem, width_C)
        if on_files is not None:
            on_files(1)
    return to_table(model, parts, version)


def _columns(model: Model, checked: ModelCheck, components: bool) -> dict[str, Any]:
    record = checked.likelihood.gridded.record
    columns = to_columns(model, [record], record.batch, checked.values, [checked.flags], components)
    flag = columns.pop("flag")
    figures = {name: np.array([value]) for name, value in checked.figures.items()}
    return columns | figures | {"flag": flag}
