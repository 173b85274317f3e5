"""Reading of uploaded spectra and images; run as a process of its own, bounded in memory and time.

The process (`python -m wolter.serve.reading MEMORY_MB`) reads one JSON job a line and answers with
one JSON line. Whatever a hostile file does to it, it can be killed and started again.
"""

import json
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from wolter import config as configs
from wolter.data.evidence import Evidence
from wolter.data.pictures import save_picture
from wolter.data.records import Record, ResponseChoice, read_observed, to_record
from wolter.data.schema import SpectraBatch, SpectraSpec
from wolter.errors import InputError
from wolter.serve.config import MB
from wolter.serve.uploads import plain_name
from wolter.xray.pha import Spectrum, read_spectrum
from wolter.xray.picture import read_picture

_REMEDY = {
    "RMF": "send it in the field rmf, or ask for response=embedded (EPIC-pn)",
    "ARF": "send it in the field arf",
    "background": "send it in the field background, or ask for no_background=true",
}


@dataclass(frozen=True)
class Upload:
    """A stored upload: the client's name of it, and where it is."""

    name: str
    path: str


@dataclass(frozen=True)
class Job:
    """A spectrum to read with the files that came with it; one of a role serves every spectrum.

    `evidence` is a file to write what the spectrum's likelihood needs; none is where it is empty.
    """

    pha: Upload
    spec: SpectraSpec
    rmf: tuple[Upload, ...] = ()
    arf: tuple[Upload, ...] = ()
    background: tuple[Upload, ...] = ()
    use_background: bool = True
    response: ResponseChoice = "files"
    evidence: str = ""


@dataclass(frozen=True)
class ImageJob:
    """An image to read with its maps, at most one of each; the picture is kept in `result`."""

    image: Upload
    result: str
    max_pixels: int
    exposure_map: tuple[Upload, ...] = ()
    mask: tuple[Upload, ...] = ()
    exposure_s: float | None = None


def read_image_job(job: ImageJob) -> None:
    """Read the image of a job (see `wolter.xray.picture.read_picture`).

    Raises:
        InputError: a file is bad, or the image too large; it names the client's files.
    """
    uploads = (job.image, *job.exposure_map, *job.mask)
    try:
        exposure_map, mask = (
            Path(each[0].path) if each else None for each in (job.exposure_map, job.mask)
        )
        picture = read_picture(Path(job.image.path), exposure_map, mask, job.exposure_s)
        if picture.counts_HW.numel() > job.max_pixels:
            raise InputError(
                f"{job.image.path}: {picture.counts_HW.numel()} pixels; send at most "
                f"{job.max_pixels}"
            )
        save_picture(replace(picture, file=job.image.name), Path(job.result))
    except InputError as error:
        raise InputError(_with_names(str(error), uploads)) from error


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
        observation = read_observed(Path(job.pha.path), response=job.response, **files)
        if not job.evidence:
            return to_record(observation, job.spec, job.pha.name)
        evidence = Evidence.of(observation, job.spec, job.pha.name)
        evidence.save(Path(job.evidence))
        return evidence.record
    except InputError as error:
        uploads = (job.pha, *job.rmf, *job.arf, *job.background)
        raise InputError(_with_names(str(error), uploads)) from error


def _with_names(message: str, uploads: Sequence[Upload]) -> str:
    for upload in uploads:
        message = message.replace(upload.path, upload.name)
    return message


def _background(job: Job, spectrum: Spectrum) -> str | None:
    if not job.use_background:
        return "none"
    if not job.background and spectrum.backfile and _same(spectrum.backfile, job.pha.name):
        return job.pha.path  # source and background in one file
    return _find(job, job.background, spectrum.backfile, "background", "BACKFILE")


def _find(job: Job, uploads: tuple[Upload, ...], named: str, what: str, keyword: str) -> str | None:
    """Path of the only upload of a role, or of the one that the header names; None for none."""
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
    """Whether a header's name means an upload, whatever their folders and gzip suffixes."""
    plain = plain_name(named.split("[")[0].split("{")[0].strip())
    return plain.removesuffix(".gz") == uploaded.removesuffix(".gz")


def to_json(record: Record) -> dict[str, Any]:
    """A record as JSON can hold it; float32 survives unchanged."""
    batch = record.batch
    return {
        "name": record.name,
        "flags": list(record.flags),
        "counts": batch.counts_BC[0].tolist(),
        "background": batch.background_BC[0].tolist(),
        "background_scale": batch.background_scale_B[0].item(),
        "exposure_s": batch.exposure_B[0].item(),
        "area": None if batch.area_BA is None else batch.area_BA[0].tolist(),
    }


def from_json(values: dict[str, Any]) -> Record:
    """The record of `to_json`."""
    batch = SpectraBatch(
        counts_BC=torch.tensor([values["counts"]]),
        background_BC=torch.tensor([values["background"]]),
        background_scale_B=torch.tensor([values["background_scale"]]),
        exposure_B=torch.tensor([values["exposure_s"]]),
        area_BA=None if values["area"] is None else torch.tensor([values["area"]]),
    )
    return Record(values["name"], batch, tuple(values["flags"]))


def main() -> None:
    """Answer jobs until the input ends."""
    torch.set_num_threads(1)
    # Answers keep the real output; what libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _limit_memory(int(sys.argv[1]) * MB)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(line)), file=answers, flush=True)


def _answer(line: str) -> dict[str, Any]:
    values = json.loads(line)
    name = values["image" if "image" in values else "pha"]["name"]
    try:
        if "image" in values:
            read_image_job(configs.from_dict(ImageJob, values))
            return {"image": name}
        return {"record": to_json(read_job(configs.from_dict(Job, values)))}
    except InputError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"{name}: reading it takes too much memory; send smaller files"}
    except Exception as error:
        return {"error": f"{name}: not readable ({type(error).__name__}); check its files"}


def _limit_memory(size: int) -> None:
    """Let the process grow by so many bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
