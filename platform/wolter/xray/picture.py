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
from wolter.xray import detector
from wolter.xray.attitude import DETECTOR_ARCSEC, celestial
from wolter.xray.ogip import open_fits

if TYPE_CHECKING:
    from astropy.io import fits

CORNER_DET = (-18243.5, -17487.5)  # DETX, DETY of the first pixel of the pipeline's images
OFF_MASK = 0.05  # share of the photons in rejected pixels, from which the mask is not the image's


@dataclass(frozen=True)
class Picture:
    """An image of photons.

    Attributes:
        file: where it came from.
        counts_HW: photons.
        exposure_HW: exposure times vignetting (1 on the axis) and the share of the events that
            stay in place, s; 0 where nothing was seen.
        exposure_s: on the axis.
        pixel_arcsec: side of a pixel.
        axis_yx: row and column of the optical axis, from the lower left corner; None: not known.
        header: of the image, with its world coordinates.
        remarks: what was assumed where the file does not say.
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
    """Share of the events that EPIC-pn reads out while they move.

    Args:
        header: of the image or of its events, with INSTRUME and SUBMODE.
        columns: whether they move along columns of the image: it is in detector coordinates.

    Returns:
        The share, that whose streaks can be told, and a remark where they cannot.
    """
    if str(header.get("INSTRUME", "")).strip().upper() != "EPN":
        return 0.0, 0.0, ()
    share = detector.OUT_OF_TIME.get(str(header.get("SUBMODE", "")).strip(), 0.0)
    if share and not columns:
        left = f"{share:.1%} of the events are out of time; their streaks are left where they are"
        return share, 0.0, (left,)
    return share, share, ()


def read_picture(
    path: Path,
    exposure_map: Path | None = None,
    mask: Path | None = None,
    exposure_s: float | None = None,
    pixel_arcsec: float = detector.PIXEL_ARCSEC,
) -> Picture:
    """Read an image of photons, and find what each pixel's exposure was.

    The exposure of a pixel comes from `exposure_map`, or else from EPIC-pn's own vignetting, gaps
    and the live time of every CCD (`ONTIMEnn`) for images in its detector coordinates; `mask`
    leaves out further pixels. All other images are taken as evenly exposed, and a remark says so.

    Args:
        path: FITS file, whose first two-dimensional image is read.
        exposure_map: FITS image in s on the same pixels.
        mask: FITS image on the same pixels; 0 where pixels are to be left out.
        exposure_s: overrides the header's EXPOSURE, s.
        pixel_arcsec: side of a pixel where the header does not tell.

    Raises:
        InputError: no image, no exposure, NaN or negative pixels, no photon at all, or maps of
            another shape.
    """
    values_HW, header = read_image(path)
    if "/s" in str(header.get("BUNIT", "")).replace(" ", "").lower():
        raise InputError(f"{path}: pixels in {header['BUNIT']}; give an image of counts")
    counts_HW = _counts(path, values_HW)
    seconds = exposure_s or header_exposure(path, header)
    remarks = [] if (counts_HW == counts_HW.round()).all() else ["pixels are not whole counts"]
    pixel, told = _pixel(header, pixel_arcsec)
    remarks += told
    if exposure_map is not None:
        exposure_HW = _same_shape(exposure_map, path, counts_HW).clamp_min(0)
        seconds = exposure_s or float(exposure_HW.max())
        if not seconds:
            raise InputError(f"{exposure_map}: no pixel has any exposure; give seconds")
    else:
        exposure_HW, told = _own_exposure(counts_HW, header, seconds)
        remarks += told
    if mask is not None:
        exposure_HW = exposure_HW * (_same_shape(mask, path, counts_HW) > 0)
    outside = float((counts_HW * (exposure_HW <= 0)).sum())
    if outside == float(counts_HW.sum()):
        raise InputError(f"{path}: no photon where there is exposure; check the map and the mask")
    if outside:
        remarks.append(f"{outside:.0f} photons where nothing was exposed are left out")
    counts_HW = torch.where(exposure_HW > 0, counts_HW, 0.0)
    where = _in_frame(counts_HW, header)
    axis_yx = None
    share, streaks, left = moving_share(header, where is not None)
    if where is not None:
        column, row = detector.AXIS_XY
        axis_yx = (row - where[0].start, column - where[1].start)
    return Picture(
        str(path),
        counts_HW,
        exposure_HW * (1 - share),
        seconds,
        pixel,
        axis_yx,
        header,
        (*remarks, *left),
        streaks,
    )


def read_image(path: Path) -> tuple[NDArray[np.float32], "fits.Header"]:
    """The first two-dimensional image (H, W) of a FITS file, and its header.

    Raises:
        InputError: the file cannot be read as FITS, or holds no such image.
    """
    with open_fits(path) as hdus:
        for hdu in hdus:
            if hdu.is_image and hdu.header.get("NAXIS") == 2:
                return np.ascontiguousarray(hdu.data, np.float32), hdu.header
    raise InputError(f"{path}: no two-dimensional image in it; give an image of counts")


def _counts(path: Path, values_HW: NDArray[np.float32]) -> Tensor:
    if min(values_HW.shape) < 2:
        raise InputError(f"{path}: image of {_size(values_HW.shape)} pixels; give a larger one")
    bad = int(np.count_nonzero(~np.isfinite(values_HW)))
    if bad:
        raise InputError(f"{path}: {bad} pixels are NaN or infinite; set them to 0 and mask them")
    lowest = float(values_HW.min())
    if lowest < 0:
        raise InputError(
            f"{path}: pixels down to {lowest:g}; give photons, from which nothing was subtracted"
        )
    if not values_HW.any():
        raise InputError(f"{path}: no photon in any pixel; check the band and the exposure")
    return torch.from_numpy(values_HW)


def header_exposure(path: Path, header: "fits.Header") -> float:
    """Exposure of an image, s, by its header: EXPOSURE, LIVETIME or ONTIME.

    Raises:
        InputError: there is none, or it is no number above 0.
    """
    for key in ("EXPOSURE", "LIVETIME", "ONTIME"):
        if key in header:
            try:
                seconds = float(header[key])
            except (TypeError, ValueError):
                seconds = math.nan
            if not (math.isfinite(seconds) and seconds > 0):
                raise InputError(f"{path}: {key} = {header[key]}; give the exposure in seconds")
            return seconds
    raise InputError(f"{path}: no EXPOSURE in the header; give it, in seconds")


def _pixel(header: "fits.Header", otherwise: float) -> tuple[float, list[str]]:
    """Side of a pixel in arcsec, and what was assumed."""
    if header.get("CTYPE1", "") == "DETX" and header.get("CDELT1"):
        return abs(float(header["CDELT1"])) * DETECTOR_ARCSEC, []
    wcs = celestial(header)
    if wcs is None:
        return otherwise, [f"no world coordinates: pixels are taken to be {otherwise:g} arcsec"]
    area_deg2 = float(wcs.proj_plane_pixel_area().to_value("deg2"))
    return math.sqrt(area_deg2) * 3600, []


def _same_shape(path: Path, image: Path, counts_HW: Tensor) -> Tensor:
    values_HW, _ = read_image(path)
    if values_HW.shape != counts_HW.shape:
        raise InputError(
            f"{path}: {_size(values_HW.shape)} pixels, and {image} has {_size(counts_HW.shape)}; "
            "give a map on the image's pixels"
        )
    return torch.from_numpy(np.nan_to_num(values_HW))


def _own_exposure(
    counts_HW: Tensor, header: "fits.Header", seconds: float
) -> tuple[Tensor, list[str]]:
    """Exposure map (H, W) of EPIC-pn in its own coordinates; of others, the same everywhere."""
    where = _in_frame(counts_HW, header)
    if where is None:
        even_HW = torch.full_like(counts_HW, seconds)
        return even_HW, ["no exposure map: taken as evenly exposed, without vignetting or gaps"]
    seconds_HW = torch.full_like(counts_HW, seconds)
    ccd_HW = detector.ccd_numbers()[where]
    for number in range(1, detector.N_CCD + 1):
        own = header.get(f"ONTIME{number:02d}")
        if own is not None:
            seconds_HW[ccd_HW == number] = float(own)
    vignetted_HW = seconds_HW * detector.vignetting(detector.off_axis()[where])
    live_HW = detector.live()[where]
    share = float(counts_HW[~live_HW].sum() / counts_HW.sum())
    if share > OFF_MASK:
        return vignetted_HW, [
            f"no mask: {share:.0%} of the photons lie in the gaps and bad columns of EPIC-pn, so "
            "that all pixels are taken as live"
        ]
    return vignetted_HW * live_HW, []


def _in_frame(counts_HW: Tensor, header: "fits.Header") -> tuple[slice, slice] | None:
    """Rows and columns of the detector's frame that an image in detector coordinates covers."""
    if header.get("CTYPE1") == "DETX":
        steps = [float(header.get(f"CDELT{i}", 0)) * DETECTOR_ARCSEC for i in (1, 2)]
        if any(abs(step - detector.PIXEL_ARCSEC) > 1e-3 for step in steps):
            return None
        first = [_first(header, axis) for axis in (1, 2)]
        column, row = (
            round((at - corner) * DETECTOR_ARCSEC / detector.PIXEL_ARCSEC)
            for at, corner in zip(first, CORNER_DET, strict=True)
        )
    elif tuple(counts_HW.shape) == detector.NATIVE:  # simulated ones say no more than that
        row = column = 0
    else:
        return None
    corners = (row + detector.CORNER[0], column + detector.CORNER[1])
    ends = [at + size for at, size in zip(corners, counts_HW.shape, strict=True)]
    if min(corners) < 0 or max(ends) > detector.FRAME:
        return None
    return slice(corners[0], ends[0]), slice(corners[1], ends[1])


def _first(header: "fits.Header", axis: int) -> float:
    """Coordinate of an axis's first pixel."""
    value, pixel, step = (float(header[f"{key}{axis}"]) for key in ("CRVAL", "CRPIX", "CDELT"))
    return value + (1 - pixel) * step


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
