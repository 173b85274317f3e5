"""Images of real telescopes: FITS in, with the exposure of every pixel and the sky kept.

Shapes: H and W rows and columns of an image.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.imaging import units
from wolter.xray.imaging.epic_pn_exposure import find
from wolter.xray.imaging.exposure_map import (
    check_seconds,
    header_exposure,
    needed_exposure,
    read_exposure_map,
    read_mask,
    read_spread,
)
from wolter.xray.imaging.field_of_view import unexposed
from wolter.xray.imaging.image_file import read_image
from wolter.xray.instruments import epic_pn_camera
from wolter.xray.instruments.instrument import of_header
from wolter.xray.instruments.pointing import celestial, pixel_sides

if TYPE_CHECKING:
    from astropy.io import fits

MOST_PHOTONS = 2.0**24  # in a pixel: single precision counts no further
SQUARE = 0.01  # by which width and height of a pixel may differ
EVEN = "no exposure map: taken as evenly exposed, without vignetting or gaps"


@dataclass(frozen=True)
class CountsImage:
    """An image of photons.

    Attributes:
        file: file that it was read from.
        counts_HW: photons.
        exposure_HW: exposure times vignetting (1 on the axis) and the share of the events that
            stay in place, s; 0 where nothing was seen.
        exposure_s: on the axis.
        pixel_arcsec: side of a pixel.
        axis_yx: row and column of the optical axis, from the lower left corner; None: not known.
        header: header of the image, with its world coordinates.
        remarks: assumptions where the file does not say.
        out_of_time: share of the events that moved along columns of the image; see `moving_share`.
    """

    file: str
    counts_HW: Tensor
    exposure_HW: Tensor
    exposure_s: float
    pixel_arcsec: float
    axis_yx: tuple[float, float] | None
    header: "fits.Header"
    remarks: tuple[str, ...] = ()
    out_of_time: float = 0.0


def moving_share(header: "fits.Header", columns: bool) -> tuple[float, float, tuple[str, ...]]:
    """Share of the events that the instrument reads out while they move.

    Args:
        header: header of the image or of its events, with INSTRUME and SUBMODE.
        columns: whether they move along columns of the image: it is in detector coordinates.

    Returns:
        The share, that whose streaks can be told, and a remark where they cannot.
    """
    instrument = of_header(header)
    imaging = None if instrument is None else instrument.imaging
    if imaging is None or imaging.camera is None:
        return 0.0, 0.0, ()
    share = imaging.out_of_time.get(str(header.get("SUBMODE", "")).strip(), 0.0)
    if share and not columns:
        left = f"{share:.1%} of the events are out of time; their streaks are left where they are"
        return share, 0.0, (left,)
    return share, share, ()


def read_counts_image(
    path: Path,
    exposure_map: Path | None = None,
    mask: Path | None = None,
    exposure_s: float | None = None,
    pixel_arcsec: float = epic_pn_camera.PIXEL_ARCSEC,
    spread: bool = False,
) -> CountsImage:
    """Read a counts image and determine the exposure of each pixel.

    The exposure of a pixel comes from `exposure_map`, or else from EPIC-pn's own vignetting, gaps
    and the live time of every CCD (`LIVETInn` or `ONTIMEnn`) for its images in detector
    coordinates; `mask` leaves out further pixels. All other images are taken as evenly exposed
    within the field of view that their photons show, and a remark says so. Coordinates and
    instrument are those that the header names.

    Args:
        path: FITS file, whose first two-dimensional image is read.
        exposure_map: FITS image on the same pixels and the same sky, in a unit of time, or
            relative and then with `exposure_s`.
        mask: FITS image on the same pixels; 0 where pixels are to be left out.
        exposure_s: exposure on the axis, s, in place of the header's.
        pixel_arcsec: side of a pixel where the header does not tell.
        spread: take the map in any unit for how the exposure is spread: its highest value stands
            for `exposure_s`, or for the header's.

    Raises:
        InputError: no image of counts, no exposure, values beyond all bounds, NaN or negative
            pixels, no photon at all, or maps of other pixels, another sky or another unit.
    """
    values_HW, header = read_image(path)
    counts_HW, remarks = _counts(path, values_HW, header)
    if exposure_s is not None:
        check_seconds(exposure_s, f"{path}: exposure")
    pixel, told = _pixel(path, header, pixel_arcsec)
    remarks += told
    pn = find(path, header, values_HW.shape)
    if exposure_map is not None and not spread:
        known_s = exposure_s or header_exposure(path, header)
        exposure_HW, seconds, told = read_exposure_map(
            exposure_map, path, header, values_HW.shape, exposure_s, known_s
        )
    elif exposure_map is not None:
        seconds = exposure_s or needed_exposure(path, header)
        exposure_HW, told = read_spread(exposure_map, path, header, values_HW.shape)
        exposure_HW = exposure_HW * seconds
    elif pn is not None:
        exposure_HW, seconds, told = pn.exposure(path, header, counts_HW, exposure_s, pixel)
    else:
        seconds = exposure_s or needed_exposure(path, header)
        exposure_HW, told = even(counts_HW, seconds, pixel)
    remarks += told
    if mask is not None:
        kept_HW, told = read_mask(mask, path, header, values_HW.shape)
        exposure_HW = exposure_HW * kept_HW
        remarks += told
    outside = float((counts_HW * (exposure_HW <= 0)).sum())
    if outside == float(counts_HW.sum()):
        raise InputError(f"{path}: no photon where there is exposure; check the map and the mask")
    if outside:
        remarks.append(f"{outside:.0f} photons where nothing was exposed are left out")
    counts_HW = torch.where(exposure_HW > 0, counts_HW, 0.0)
    share, streaks, left = moving_share(header, pn is not None and pn.upright)
    return CountsImage(
        str(path),
        counts_HW,
        exposure_HW * (1 - share),
        seconds,
        pixel,
        pn.axis_yx if pn is not None else None,
        header,
        (*remarks, *left),
        streaks,
    )


def _counts(
    path: Path, values_HW: NDArray[np.float32], header: "fits.Header"
) -> tuple[Tensor, list[str]]:
    """Photons (H, W) and remarks on them."""
    unit = str(header.get("BUNIT", "")).strip()
    photons = units.is_counts(unit)
    if photons is False:
        raise InputError(f"{path}: pixels in {unit!r}; give an image of counts")
    if min(values_HW.shape) < 2:
        raise InputError(f"{path}: image of {_size(values_HW.shape)} pixels; give a larger one")
    bad = int(np.count_nonzero(~np.isfinite(values_HW)))
    if bad:
        raise InputError(f"{path}: {bad} pixels are NaN or infinite; set them to 0 and mask them")
    lowest, highest = float(values_HW.min()), float(values_HW.max())
    if lowest < 0:
        raise InputError(
            f"{path}: pixels down to {lowest:g}; give photons, from which nothing was subtracted"
        )
    if highest > MOST_PHOTONS:
        raise InputError(f"{path}: pixels up to {highest:g}; no pixel holds so many photons")
    if not highest:
        raise InputError(f"{path}: no photon in any pixel; check the band and the exposure")
    counts_HW = torch.from_numpy(values_HW)
    whole = bool((counts_HW == counts_HW.round()).all())
    if photons is None and not whole:
        raise InputError(f"{path}: pixels in {unit!r}, no unit of counts; give an image of counts")
    remarks = [] if whole else ["pixels are not whole counts"]
    if photons is None:
        remarks.append(f"pixels in {unit!r}, which is no known unit: taken to be counts")
    return counts_HW, remarks


def _pixel(path: Path, header: "fits.Header", otherwise: float) -> tuple[float, list[str]]:
    """Side of a pixel in arcsec, and the assumptions made."""
    try:
        sides = pixel_sides(header)
        celestial(header)  # which others ask for later
    except InputError as error:
        raise InputError(f"{path}: {error}; correct the header") from error
    if sides is None:
        return otherwise, [f"no world coordinates: pixels are taken to be {otherwise:g} arcsec"]
    width, height = sides
    if not abs(width / height - 1) <= SQUARE:
        raise InputError(f"{path}: pixels of {width:g} x {height:g} arcsec; give square ones")
    return math.sqrt(width * height), []


def even(counts_HW: Tensor, seconds: float, pixel_arcsec: float) -> tuple[Tensor, list[str]]:
    """Uniform exposure (H, W) over the field of view, and the remarks on that assumption."""
    dark_HW = unexposed(counts_HW, pixel_arcsec)
    share = float(dark_HW.float().mean())
    exposure_HW = torch.where(dark_HW, 0.0, torch.full_like(counts_HW, seconds))
    if not share:
        return exposure_HW, [EVEN]
    outside = f"{share:.0%} of the pixels, where photons are missing, were not exposed"
    return exposure_HW, [f"{EVEN}; {outside}: give a map to be sure"]


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
