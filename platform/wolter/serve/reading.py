"""Reading of uploaded spectra and images, by a process of its own (see `wolter.serve.sandbox`)."""

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.images.reading import save_picture
from wolter.serve.config import LEAST_S, MOST
from wolter.serve.errors import TooLargeError
from wolter.serve.uploads import plain_name
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.reading import Record, ResponseChoice, read_observed, to_record
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.training_ranges import TrainingRanges, beyond_training
from wolter.xray.imaging.counts_image import read_counts_image
from wolter.xray.instruments.instrument import DEFAULT
from wolter.xray.ogip.pha import Spectrum, read_spectrum
from wolter.xray.ogip.tables import open_fits

if TYPE_CHECKING:
    from astropy.io import fits

_REMEDY = {
    "RMF": "send it in the field rmf, or ask for response=embedded",
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
    """Read the image of a job (see `wolter.xray.imaging.counts_image.read_counts_image`).

    Raises:
        InputError: a file is bad, or the image too large; it names the client's files.
    """
    uploads = (job.image, *job.exposure_map, *job.mask)
    try:
        exposure_map, mask = (
            Path(each[0].path) if each else None for each in (job.exposure_map, job.mask)
        )
        for upload in uploads:
            _check_pixels(upload, job.max_pixels)
        picture = read_counts_image(Path(job.image.path), exposure_map, mask, job.exposure_s)
        _bounded(job.image.name, "a pixel", picture.counts_HW)
        _bounded(job.image.name, "an exposure", picture.exposure_HW)
        _bounded(job.image.name, "an exposure", picture.exposure_s, least=LEAST_S)
        plain = replace(picture, file=job.image.name, header=_plain(picture.header))
        save_picture(plain, Path(job.result))
    except InputError as error:
        raise type(error)(_with_names(str(error), uploads)) from error


def _check_pixels(upload: Upload, most: int) -> None:
    """Check the sizes that the headers of an image tell, before any pixel is read."""
    with open_fits(Path(upload.path)) as hdus:
        for hdu in hdus:
            if hdu.is_image and hdu.header.get("NAXIS") == 2:
                pixels = hdu.header["NAXIS1"] * hdu.header["NAXIS2"]
                if pixels > most:
                    raise TooLargeError(f"{upload.path}: {pixels} pixels; send at most {most}")


def _bounded(name: str, what: str, *values: Tensor | float, least: float = 0.0) -> None:
    """Check that numbers are finite and none is beyond `least` and `MOST`, as those of JSON."""
    for value in values:
        numbers = torch.as_tensor(value)
        bad = ~((numbers >= least) & (numbers <= MOST))
        if bad.any():
            first = float(numbers[bad].flatten()[0])
            raise InputError(f"{name}: {what} of {first:g}; {least:g} to {MOST:g} are taken")


def _plain(header: "fits.Header") -> "fits.Header":
    """A header without the cards that cannot be written and read again."""
    from astropy.io import fits

    plain = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for card in header.cards:
            with contextlib.suppress(ValueError, TypeError, LookupError, Warning, fits.VerifyError):
                text = str(card)
                again = fits.Card.fromstring(text)
                again.verify("exception")
                if (again.keyword, str(again)) == (card.keyword, text):
                    plain.append(fits.Card.fromstring(text), end=True)
    return plain


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
        _bounded(job.pha.name, "counts", batch.counts_BC, batch.background_BC)
        _bounded(job.pha.name, "an exposure", batch.exposure_B, least=LEAST_S)
        _bounded(job.pha.name, "a background scale", batch.background_scale_B)
        if gridded is not None:
            _bounded(
                job.pha.name,
                "an element of the response",
                gridded.response.matrix_EC,
            )
            _bounded(job.pha.name, "a background", gridded.background_C)
            if job.trained is None or beyond_training(job.trained, record):
                gridded.save(Path(job.gridded))
        return record
    except InputError as error:
        uploads = (job.pha, *job.rmf, *job.arf, *job.background)
        raise type(error)(_with_names(str(error), uploads)) from error


def _with_names(message: str, uploads: Sequence[Upload]) -> str:
    for upload in uploads:
        message = message.replace(upload.path, upload.name)
    return message


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
    """Whether a header's name means an upload, whatever their folders and gzip suffixes."""
    whole, cut = named.strip(), named.split("[")[0].split("{")[0].strip()  # as ogip.beside
    return uploaded.removesuffix(".gz") in [plain_name(n).removesuffix(".gz") for n in (whole, cut)]
