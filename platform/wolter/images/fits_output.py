"""FITS output of enhanced images: rate, intervals, check, exposure, background, WCS.

Shapes: H and W rows and columns of the input, S H and S W those of the answer.
"""

import gzip
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from numpy.typing import NDArray
from torch import Tensor

from wolter import __version__
from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.images.predict import Enhanced
from wolter.xray.imaging.consistency import AROUND_ARCSEC, FAR, ForwardImage
from wolter.xray.imaging.excess import NEEDED
from wolter.xray.imaging.scaled_header import scaled_header
from wolter.xray.instruments.pointing import celestial
from wolter.xray.ogip.tables import open_fits

SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz")


def to_hdus(enhanced: Enhanced) -> fits.HDUList:
    """The answer as FITS.

    The primary image is the rate in ct/s, with the input's header and its world coordinates for the
    output's pixels. `UNCERTAINTY` is half the width of the 68 % interval and `LOWER` and `UPPER`
    its ends; `LOWER` is 0 where the photons need no source. On the input's pixels, `CHECK` is in
    sigma, `EXPMAP` the exposure times vignetting in s, and `BACKGROUND` the counts expected besides
    the answer; see `expected_counts`.
    """
    picture, scale = enhanced.picture, enhanced.scale
    header = scaled_header(picture.header, scale)
    header["BUNIT"] = ("ct/s", "on the axis: vignetting is corrected for")
    header["EXPOSURE"] = (picture.exposure_s, "[s] of the input")
    header["ENHMODEL"] = (f"wolter {enhanced.model_name}", "what made this image")
    header["ENHVERS"] = (enhanced.model_version, "its version")
    header["CREATOR"] = f"wolter {__version__}"
    _tell(header, enhanced)
    for remark in enhanced.remarks:
        header.add_comment(f"wolter: {remark}")
    if header.get("CTYPE1") == "DETX" and (sky := celestial(picture.header)) is not None:
        header.update(scaled_header(sky.to_header(key="S"), scale))
    world = scaled_header(header, 1, world_only=True)
    hdus = [fits.PrimaryHDU(_image(enhanced.rate_HW), header)]
    if enhanced.lower_HW is not None and enhanced.upper_HW is not None:
        half_HW = (enhanced.upper_HW - enhanced.lower_HW) / 2
        maps = {"UNCERTAINTY": half_HW, "LOWER": enhanced.lower_HW, "UPPER": enhanced.upper_HW}
        for name, values_HW in maps.items():
            hdu = fits.ImageHDU(_image(values_HW), world.copy(), name)
            hdu.header["BUNIT"] = "ct/s"
            hdus.append(hdu)
    own = scaled_header(picture.header, 1, world_only=True)
    for name, values_HW, unit, about in (
        ("CHECK", enhanced.check_HW, "sigma", "photons minus answer through the telescope"),
        ("EXPMAP", picture.exposure_HW, "s", "exposure times vignetting"),
        ("BACKGROUND", enhanced.background_HW, "count", "expected besides the answer"),
    ):
        hdu = fits.ImageHDU(_image(values_HW), own.copy(), name)
        hdu.header["BUNIT"] = (unit, about)
        hdus.append(hdu)
    return fits.HDUList(hdus)


def _tell(header: fits.Header, enhanced: Enhanced) -> None:
    """Header keywords of the check, and of the forward folding to expected counts."""
    fold, agreed = enhanced.fold, enhanced.agreement
    header["CHECKRMS"] = (agreed.rms, "[sigma] rms of CHECK; 1 is good")
    header["CHECKFAR"] = (agreed.beyond, f"share of CHECK beyond {FAR:g} sigma")
    header["CHECKRAD"] = (AROUND_ARCSEC, "[arcsec] radius of the discs of CHECK")
    header["NEEDSIG"] = (NEEDED, "[sigma] excess of photons, else LOWER is 0")
    header["PSFSHARP"] = (fold.sharpness, "PSF of the input over that of the answer")
    header["PSFKEV"] = (fold.energy_kev, "[keV] energy of both")
    header["PIXARCS"] = (fold.pixel_arcsec, "[arcsec] side of a pixel of the input")
    if fold.axis_yx is not None:
        header["AXISROW"] = (fold.axis_yx[0], "[pixel] optical axis from the lower edge")
        header["AXISCOL"] = (fold.axis_yx[1], "[pixel] and from the left edge")


def expected_counts(path: Path) -> Tensor:
    """Expected input counts (H, W) of an enhanced image read from its file.

    Its rate times `EXPMAP`, through the point-spread function, and `BACKGROUND`. The counts of
    `CHECK` are these, but for pixels beside gaps: there `CHECK` knows how the answer goes on.

    Raises:
        InputError: not a file that `write` wrote.
    """
    with open_fits(path) as hdus:
        try:
            header, rate_HW = hdus[0].header, _tensor(hdus[0].data)
            exposure_HW, background_HW = (_tensor(hdus[k].data) for k in ("EXPMAP", "BACKGROUND"))
            row, column = header.get("AXISROW"), header.get("AXISCOL")
            fold = ForwardImage(
                scale=len(rate_HW) // len(exposure_HW),
                pixel_arcsec=header["PIXARCS"],
                sharpness=header["PSFSHARP"],
                energy_kev=header["PSFKEV"],
                axis_yx=None if row is None else (row, column),
            )
        except KeyError as error:
            raise InputError(f"{path}: no answer of wolter predict superres ({error})") from error
    return fold(rate_HW, exposure_HW, background_HW)


def to_bytes(enhanced: Enhanced, zipped: bool = False) -> bytes:
    """The answer as the content of a file, FITS or gzipped FITS."""
    buffer = BytesIO()
    to_hdus(enhanced).writeto(buffer, output_verify="fix+ignore")
    return gzip.compress(buffer.getvalue(), 6, mtime=0) if zipped else buffer.getvalue()


def write(enhanced: Enhanced, path: Path) -> None:
    """Write the answer, whole or not at all; gzipped where the name ends in .gz.

    Raises:
        InputError: the disk is full, or the file cannot be written.
    """
    write_atomically(path, to_bytes(enhanced, path.suffix.lower() == ".gz"))


def _image(values_HW: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values_HW.numpy().astype(np.float32)
    return array


def _tensor(values_HW: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(values_HW.astype(np.float32))
