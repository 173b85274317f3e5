"""Batch inference: spectra of any instrument to a table of parameters.

Shapes: B batch, C channel, K component.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.data.tables import check_suffix, write_rejects, write_table
from wolter.errors import InputError
from wolter.registry.checkpoint import Model
from wolter.spectra.columns import estimates_parameters, to_columns, to_table
from wolter.spectra.flags import estimate_flags, prior_back, record_flags
from wolter.spectra.gridding import batch_of
from wolter.spectra.reading import Reading, Record, read_record, to_record
from wolter.spectra.refinement import refined
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.translation import translated
from wolter.xray.spectral.observation import Observation

if TYPE_CHECKING:
    from astropy.table import Table

CHUNK = 1024  # spectra a forward pass: bounds the memory, whatever the number of files


@dataclass(frozen=True)
class PredictionSummary:
    """Summary of `predict_to_file`: rows written, and (file, reason) of rejects."""

    rows: int
    rejects: tuple[tuple[str, str], ...]
    rejects_file: Path | None


def to_batch(observations: Sequence[Observation], spec: SpectraSpec) -> SpectraBatch:
    """Observations on a model's energy grid: channels of good QUALITY summed by their centres.

    Raises:
        InputError: an observation has no good channel on the grid.
    """
    return batch_of(observations, spec.energy_edges)


@torch.inference_mode()
def predict_batch(model: Model, batch: SpectraBatch) -> dict[str, NDArray[np.float32]]:
    """Predict a batch, first axis B (see `Family.predict`)."""
    device = next(model.module.parameters()).device
    return _arrays(model.family.predict(model.module, _as_trained(model, batch).to(device)))


def _as_trained(model: Model, batch: SpectraBatch) -> SpectraBatch:
    if model.card.trained is None:
        return batch
    return replace(batch, exposure_B=model.card.trained.effective_exposure(batch))


def _arrays(values: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    return {name: value.float().cpu().numpy() for name, value in values.items()}


def refine_batch(
    model: Model, batch: SpectraBatch
) -> tuple[dict[str, NDArray[np.float32]], list[list[str]]]:
    """Predict a batch with latents fitted to its counts, and flags of each fit.

    Raises:
        InputError: the family's latents cannot be refined.
    """
    found = refined(model.family, model.module, _as_trained(model, batch))
    return _arrays(found.values), found.flags()


def estimate(model: Model, batch: SpectraBatch) -> dict[str, NDArray[np.float32]]:
    """Parameter estimates of a batch, first axis B; the prior where counts are too few."""
    return prior_back(model.card, batch, predict_batch(model, batch))


def predict_records(
    model: Model, records: Sequence[Record], version: str = "", components: bool = False
) -> "Table":
    """Table of the parameters of records, one row each.

    Args:
        model: a loaded model of a spectra family.
        records: from `to_record` or `read_record` with the model's spec.
        version: the model's, for the table; its fingerprint where none is given.
        components: add the component spectra, counts on the grid, where the family predicts them.

    Returns:
        Columns file, model_name, model_version, each parameter (the estimate of least squared
        error), each `<parameter>_mfe` (of least fractional error), anomaly (sigmas from the
        training spectra), counts, exposure_s, flag; with components also `component_<name>` and
        the grid, `component_energy_edges`.
    """
    return to_table(model, [_predict(model, records, components)], version)


def predict_observations(
    model: Model, observations: Sequence[Observation], version: str = "", components: bool = False
) -> "Table":
    """Table of the parameters of observations; see `predict_records`.

    Raises:
        InputError: an observation has no good channel on the model's grid.
    """
    records = [to_record(observation, model.card.spec) for observation in observations]
    return predict_records(model, records, version, components)


def predict_files(
    model: Model,
    files: Sequence[Path],
    *,
    version: str = "",
    components: bool = False,
    translator: Model | None = None,
    refine: bool = False,
    chunk: int = CHUNK,
    on_reject: Callable[[str, str], None] | None = None,
    on_files: Callable[[int], None] | None = None,
    **reading: Unpack[Reading],
) -> "Table":
    """Table of the parameters of PHA files; see `predict_records`.

    Args:
        model: a loaded model of a spectra family.
        files: PHA files.
        version: version of the model, see `predict_records`.
        components: add the component spectra, see `predict_records`.
        translator: carries the spectra to the simulated domain before the model reads them.
        refine: fit latents to the counts of each spectrum; families that have them alone.
        chunk: spectra a forward pass.
        on_reject: called with file and reason where a file cannot be read, in place of the error.
        on_files: called with the number of files as each chunk is done.
        reading: files and response for every spectrum, see `read_observed`.

    Raises:
        InputError: the family does not read spectra, the translator does not fit it, its latents
            cannot be refined, or a file cannot be read.
    """
    if translator is not None and (
        translator.card.spec.energy_edges != model.card.spec.energy_edges
    ):
        raise InputError(f"the translator's energy grid is not that of {model.family.name}")
    if model.family.kind != "spectra":
        raise InputError(f"family {model.family.name} reads {model.family.kind}, not spectra")
    spec, parts = model.card.spec, []
    for start in range(0, len(files), chunk):
        records = []
        for file in files[start : start + chunk]:
            try:
                record = read_record(Path(file), spec, **reading)
            except InputError as error:
                if on_reject is None:
                    raise
                on_reject(str(file), str(error))
            else:
                records.append(record)
        parts.append(_predict(model, records, components, translator, refine))
        if on_files is not None:
            on_files(len(files[start : start + chunk]))
    return to_table(model, parts, version)


def predict_to_file(
    model: Model,
    files: Sequence[Path],
    out: Path,
    *,
    on_error: Literal["reject", "raise"] = "reject",
    table_of: "Callable[..., Table] | None" = None,
    **options: Any,
) -> PredictionSummary:
    """Write the table of `predict_files` to a file whose suffix chooses the format.

    A file that cannot be read becomes a row of `<out's stem>.rejects.parquet`, with its path and
    reason. The only file that is given is never rejected but raised.

    Args:
        model: a loaded model of a spectra family.
        files: PHA files.
        out: see `write_table`.
        on_error: "reject", or "raise" at the first file that cannot be read.
        table_of: what makes the table, with the arguments of `predict_files`, which is the default.
        options: options of `predict_files`.

    Raises:
        InputError: no file could be read, the output cannot be written, or `on_error` says so.
    """
    check_suffix(out, vectors=options.get("components", False))
    rejects: list[tuple[str, str]] = []
    if on_error == "reject" and len(files) > 1:
        options["on_reject"] = lambda file, reason: rejects.append((file, reason))
    table = (table_of or predict_files)(model, files, **options)
    rejects_file = out.with_name(f"{out.stem}.rejects.parquet")
    write_rejects(rejects, rejects_file)
    if not len(table):
        first = rejects[0][1] if rejects else "none was given"
        raise InputError(f"none of {len(files)} spectra could be read: {first}")
    write_table(table, out)
    return PredictionSummary(len(table), tuple(rejects), rejects_file if rejects else None)


def _predict(
    model: Model,
    records: Sequence[Record],
    components: bool,
    translator: Model | None = None,
    refine: bool = False,
) -> dict[str, Any]:
    """Columns of the table that differ between rows, by name; empty where there are no records."""
    if not records:
        return {}
    batch = SpectraBatch.concatenate([record.batch for record in records])
    read = batch
    if translator is not None:
        read = translated(translator.family, translator.module, batch)
    if estimates_parameters(model):
        values = estimate(model, read)
        flags = estimate_flags(model.card, batch, values)
    else:
        fits: list[list[str]] = [[] for _ in records]
        values, fits = refine_batch(model, read) if refine else (predict_batch(model, read), fits)
        told = record_flags(model.card, batch, values)
        flags = [[*own, *fit] for own, fit in zip(told, fits, strict=True)]
    return to_columns(model, records, batch, values, flags, components)
