"""Exposure maps and masks of an image, matched to its sky coordinates and units.

Shapes: H and W rows and columns of an image.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.imaging import units
from wolter.xray.imaging.image_file import read_image
from wolter.xray.instruments.pointing import farthest

if TYPE_CHECKING:
    from astropy.io import fits

APART = 0.25  # pixels by which a map may lie off its image
LEAST_S, MOST_S = 1e-3, 1e9  # exposures that make sense, s
RELATIVE = 1.1  # highest value of relative maps: they are not all 1 on the axis


def check_seconds(value: float, what: str) -> float:
    """Check an exposure in seconds.

    Raises:
        InputError: it is not finite, or not within `LEAST_S` and `MOST_S`.
    """
    if not LEAST_S <= value <= MOST_S:
        raise InputError(f"{what} = {value:g}; give the exposure in seconds, above 0")
    return value


def header_exposure(path: Path, header: "fits.Header") -> float | None:
    """Exposure of an image, s, by its header: EXPOSURE, LIVETIME or ONTIME; None without any.

    Raises:
        InputError: it is no number, or makes no sense.
    """
    for key in ("EXPOSURE", "LIVETIME", "ONTIME"):
        if key in header:
            try:
                return check_seconds(float(header[key]), key)
            except (TypeError, ValueError) as error:
                message = f"{path}: {key} = {header[key]}; give the exposure in seconds"
                raise InputError(message) from error
    return None


def needed_exposure(path: Path, header: "fits.Header") -> float:
    """Exposure of an image by its header, s.

    Raises:
        InputError: there is none, or it makes no sense.
    """
    seconds = header_exposure(path, header)
    if seconds is None:
        raise InputError(f"{path}: no EXPOSURE in the header; give it, in seconds")
    return seconds


def read_exposure_map(
    path: Path,
    image: Path,
    header: "fits.Header",
    shape: tuple[int, ...],
    given_s: float | None,
    known_s: float | None,
) -> tuple[Tensor, float, list[str]]:
    """Read an exposure map: seconds of every pixel (H, W), seconds on the axis, assumptions.

    Maps in units of time are in seconds then, and their highest value is the exposure on the axis.
    Relative ones, from 0 to 1 or in percent, are shares of `given_s`. All others are refused.

    Args:
        path: FITS image of the map.
        image: whose exposure it is.
        header: header of the image.
        shape: shape of the image.
        given_s: exposure that the user gave; for relative maps alone.
        known_s: exposure by the image's header, against which a map without a unit is held.

    Raises:
        InputError: the map has other pixels, shows another part of the sky or is in another unit.
    """
    values_HW, unit, remarks = _on_pixels(path, image, header, shape)
    highest = float(values_HW.max())
    if not highest > 0:
        raise InputError(f"{path}: no pixel has any exposure; give seconds")
    factor, share = units.seconds_in(unit), units.share_in(unit)
    if share == 1 and highest > RELATIVE:  # no unit at all
        factor, share = 1.0, None
        if known_s is not None and not 0.1 <= highest / known_s <= 10:
            raise InputError(
                f"{path}: no BUNIT, and values up to {highest:g} for an image of {known_s:g} s; "
                "give a map with BUNIT = 's'"
            )
        remarks.append("the exposure map has no unit: taken to be in seconds")
    if share is not None:
        if given_s is None:
            raise InputError(
                f"{path}: a relative map (highest value {highest:g}, BUNIT {unit!r}); give the "
                "exposure in seconds that it is a share of, too"
            )
        if highest * share > RELATIVE:
            raise InputError(f"{path}: shares up to {highest * share:g}; give a map from 0 to 1")
        return values_HW * (share * given_s), given_s, remarks
    if factor is None:
        raise InputError(f"{path}: a map in {unit!r}; give one of the exposure time, in seconds")
    if given_s is not None:
        raise InputError(
            f"{path}: the map is in seconds, so that no exposure of {given_s:g} s can be given, too"
        )
    return values_HW * factor, check_seconds(highest * factor, f"{path}: exposure"), remarks


def read_spread(
    path: Path, image: Path, header: "fits.Header", shape: tuple[int, ...]
) -> tuple[Tensor, list[str]]:
    """Read a relative exposure map (H, W) in any unit, with maximum 1.

    Raises:
        InputError: the map has other pixels or shows another part of the sky, or no exposure.
    """
    values_HW, _, remarks = _on_pixels(path, image, header, shape)
    highest = float(values_HW.max())
    if not highest > 0:
        raise InputError(f"{path}: no pixel has any exposure; give seconds")
    return values_HW / highest, remarks


def read_mask(
    path: Path, image: Path, header: "fits.Header", shape: tuple[int, ...]
) -> tuple[Tensor, list[str]]:
    """Read a mask: True for pixels (H, W) above 0.

    Raises:
        InputError: the mask has other pixels or shows another part of the sky.
    """
    values_HW, _, remarks = _on_pixels(path, image, header, shape)
    return values_HW > 0, remarks


def _on_pixels(
    path: Path, image: Path, header: "fits.Header", shape: tuple[int, ...]
) -> tuple[Tensor, str, list[str]]:
    """Values (H, W) on an image's pixels, at least 0; their unit, and what was assumed."""
    values_HW, own = read_image(path)
    if values_HW.shape != shape:
        raise InputError(
            f"{path}: {_size(values_HW.shape)} pixels, and {image} has {_size(shape)}; give a map "
            "on the image's pixels"
        )
    if np.isinf(values_HW).any():
        raise InputError(f"{path}: infinite values; give a map with 0 where nothing was exposed")
    try:
        far = farthest(header, own, shape)
    except InputError as error:
        raise InputError(f"{path}: {error}; correct its header or {image}'s") from error
    if far is not None and not far <= APART:
        where = f"{far:.4g} pixels away" if np.isfinite(far) else "elsewhere"
        raise InputError(
            f"{path}: its pixels lie {where} by the coordinates of {image}; give a map on the "
            "image's pixels"
        )
    remarks = []
    if far is None:
        remarks.append("map or mask are taken to lie on the image's pixels: no coordinates say so")
    values = torch.from_numpy(np.nan_to_num(values_HW)).clamp_min(0)
    return values, str(own.get("BUNIT", "")).strip(), remarks


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
