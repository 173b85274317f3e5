"""Reading of uploaded images in a sandbox process, which stores the image in a file.

Shapes: H and W rows and columns.
"""

import contextlib
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wolter import config as configs
from wolter.answering.uploads import Upload, with_names
from wolter.answering.values import LEAST_S, check_bounds
from wolter.errors import InputError, TooLargeError
from wolter.images.reading import load_picture, save_picture
from wolter.xray.imaging.counts_image import CountsImage, read_counts_image
from wolter.xray.ogip.tables import open_fits

if TYPE_CHECKING:
    from astropy.io import fits

    from wolter.answering.contract import Stored


@dataclass(frozen=True)
class Job:
    """An image to read with its maps, at most one of each; the image is kept in `result`."""

    image: Upload
    result: str
    max_pixels: int
    exposure_map: tuple[Upload, ...] = ()
    mask: tuple[Upload, ...] = ()
    exposure_s: float | None = None


def read_image(stored: "Stored", exposure_s: float | None, max_pixels: int) -> CountsImage:
    """The image of a request, with its maps.

    Args:
        stored: files of the request.
        exposure_s: in place of the header's.
        max_pixels: most pixels of the image, and of each map.

    Raises:
        InputError: a file is bad; `TooLargeError` where an image has too many pixels.
        UnavailableError: readers are lost, through no fault of the files.
    """
    job = Job(
        image=stored.files["image"][0],
        result=str(stored.folder / "image.safetensors"),
        max_pixels=max_pixels,
        exposure_map=stored.files["exposure_map"],
        mask=stored.files["mask"],
        exposure_s=exposure_s,
    )
    stored.read(job, job.image.name)
    return load_picture(Path(job.result))


def read(values: dict[str, Any]) -> None:
    """Read the image of a job in plain JSON; see `read_job`."""
    read_job(configs.from_dict(Job, values))


def read_job(job: Job) -> None:
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
        check_bounds(job.image.name, "a pixel", picture.counts_HW)
        check_bounds(job.image.name, "an exposure", picture.exposure_HW)
        check_bounds(job.image.name, "an exposure", picture.exposure_s, least=LEAST_S)
        plain = replace(picture, file=job.image.name, header=_plain(picture.header))
        save_picture(plain, Path(job.result))
    except InputError as error:
        raise type(error)(with_names(str(error), uploads)) from error


def _check_pixels(upload: Upload, most: int) -> None:
    """Check the image sizes in the headers, before any pixel is read."""
    with open_fits(Path(upload.path)) as hdus:
        for hdu in hdus:
            if hdu.is_image and hdu.header.get("NAXIS") == 2:
                pixels = hdu.header["NAXIS1"] * hdu.header["NAXIS2"]
                if pixels > most:
                    raise TooLargeError(f"{upload.path}: {pixels} pixels; send at most {most}")


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
