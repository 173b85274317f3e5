"""Reading of uploaded spectra in a sandbox process, in plain JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wolter import config as configs
from wolter.answering.uploads import Upload, plain_name, with_names
from wolter.answering.values import LEAST_S, check_bounds
from wolter.errors import InputError
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.reading import Record, ResponseChoice, read_observed, to_record
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.training_ranges import TrainingRanges, beyond_training
from wolter.xray.instruments.instrument import DEFAULT
from wolter.xray.ogip.pha import Spectrum, read_spectrum

_REMEDY = {
    "RMF": "send it in the field rmf, or ask for response=embedded",
    "ARF": "send it in the field arf",
    "background": "send it in the field background, or ask for no_background=true",
}


@dataclass(frozen=True)
class Job:
    """A spectrum to read with the files that came with it; one of a role serves every spectrum.

    `gridded` is a file to write what the spectrum's likelihood needs; none is where it is empty,
    nor, where `trained` says what a model was trained on, for spectra within that.
    """

    pha: Upload
    spec: SpectraSpec
    rmf: tuple[Upload, ...] = ()
    arf: tuple[Upload, ...] = ()
    background: tuple[Upload, ...] = ()
    use_background: bool = True
    response: ResponseChoice = "files"
    instrument: str = DEFAULT
    gridded: str = ""
    trained: TrainingRanges | None = None


def read(values: dict[str, Any]) -> dict[str, Any]:
    """Read the spectrum of a job in plain JSON; returns the record in plain JSON.

    Raises:
        InputError: see `read_job`.
    """
    return to_json(read_job(configs.from_dict(Job, values)))


def read_job(job: Job) -> Record:
    """Read the spectrum of a job.

    Names in its header are looked up among the job's uploads alone, never on this machine's disk.

    Raises:
        InputError: a file is missing or bad; it names the client's files.
    """
    try:
        spectrum = read_spectrum(Path(job.pha.path))
        files: dict[str, str | None] = {}
        if job.response == "files":
            files["rmf"] = _find(job, job.rmf, spectrum.respfile, "RMF", "RESPFILE")
            files["arf"] = _find(job, job.arf, spectrum.ancrfile, "ARF", "ANCRFILE")
            if files["rmf"] is None:
                raise InputError(f"{job.pha.name}: names no RMF (RESPFILE); {_REMEDY['RMF']}")
        files["background"] = _background(job, spectrum)
        observation = read_observed(
            Path(job.pha.path), response=job.response, instrument=job.instrument, **files
        )
        gridded = (
            GriddedObservation.of(observation, job.spec, job.pha.name) if job.gridded else None
        )
        record = gridded.record if gridded else to_record(observation, job.spec, job.pha.name)
        batch = record.batch
        check_bounds(job.pha.name, "counts", batch.counts_BC, batch.background_BC)
        check_bounds(job.pha.name, "an exposure", batch.exposure_B, least=LEAST_S)
        check_bounds(job.pha.name, "a background scale", batch.background_scale_B)
        if gridded is not None:
            check_bounds(
                job.pha.name,
                "an element of the response",
                gridded.response.matrix_EC,
            )
            check_bounds(job.pha.name, "a background", gridded.background_C)
            if job.trained is None or beyond_training(job.trained, record):
                gridded.save(Path(job.gridded))
        return record
    except InputError as error:
        uploads = (job.pha, *job.rmf, *job.arf, *job.background)
        raise type(error)(with_names(str(error), uploads)) from error


def to_json(record: Record) -> dict[str, Any]:
    """Convert a record to JSON; float32 survives unchanged."""
    batch = record.batch
    return {
        "name": record.name,
        "flags": list(record.flags),
        "counts": batch.counts_BC[0].tolist(),
        "background": batch.background_BC[0].tolist(),
        "background_scale": batch.background_scale_B[0].item(),
        "exposure_s": batch.exposure_B[0].item(),
        "areascale": record.areascale,
        "area": _row(batch.area_BA),
        "redistribution": _row(batch.redistribution_BQA),
    }


def _row(values: Tensor | None) -> list[Any] | None:
    return None if values is None else values[0].tolist()


def _batch(row: list[Any] | None) -> Tensor | None:
    return None if row is None else torch.tensor([row])


def from_json(values: dict[str, Any]) -> Record:
    """The record of `to_json`."""
    batch = SpectraBatch(
        counts_BC=torch.tensor([values["counts"]]),
        background_BC=torch.tensor([values["background"]]),
        background_scale_B=torch.tensor([values["background_scale"]]),
        exposure_B=torch.tensor([values["exposure_s"]]),
        area_BA=_batch(values["area"]),
        redistribution_BQA=_batch(values["redistribution"]),
    )
    return Record(values["name"], batch, tuple(values["flags"]), values["areascale"])


def _background(job: Job, spectrum: Spectrum) -> str | None:
    if not job.use_background:
        return "none"
    return _find(job, job.background, spectrum.backfile, "background", "BACKFILE")


def _find(job: Job, uploads: tuple[Upload, ...], named: str, what: str, keyword: str) -> str | None:
    """Path of the only upload of a role, or of the one that the header names; None for none.

    A spectrum may name itself: source and background in one file.
    """
    if not uploads and named and _same(named, job.pha.name) and what == "background":
        return job.pha.path
    if len(uploads) == 1:
        return uploads[0].path
    for upload in uploads:
        if _same(named, upload.name):
            return upload.path
    if uploads or named:
        raise InputError(
            f"{job.pha.name}: its {what} {plain_name(named)} ({keyword}) is not among the uploads; "
            f"{_REMEDY[what]}"
        )
    return None


def _same(named: str, uploaded: str) -> bool:
    """True if a header's file name matches an upload, without folders and gzip suffix."""
    whole, cut = named.strip(), named.split("[")[0].split("{")[0].strip()  # as ogip.beside
    return uploaded.removesuffix(".gz") in [plain_name(n).removesuffix(".gz") for n in (whole, cut)]
