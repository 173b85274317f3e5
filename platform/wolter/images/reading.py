"""Conversion of counts images to model input batches."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from wolter.errors import InputError
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.xray.imaging.background import estimate_background, with_streaks
from wolter.xray.imaging.band import band_of, same_band
from wolter.xray.imaging.counts_image import CountsImage

# Shares of a pixel's side by which it may differ: SIXTE's 4.13 arcsec count as 4, and the 4.35 of
# XMM-Newton's pipeline, 87 steps of .05, are read; the first is told.
PIXEL_TOLD, PIXEL_TOLERANCE = 0.02, 0.1


def save_picture(picture: CountsImage, path: Path) -> None:
    """Keep a picture as plain tensors and text, for another process to load."""
    told = {
        "file": picture.file,
        "exposure_s": picture.exposure_s,
        "pixel_arcsec": picture.pixel_arcsec,
        "axis_yx": picture.axis_yx,
        "header": picture.header.tostring(),
        "remarks": picture.remarks,
        "out_of_time": picture.out_of_time,
    }
    tensors = {"counts": picture.counts_HW, "exposure": picture.exposure_HW}
    kept = {name: value.contiguous() for name, value in tensors.items()}
    save_file(kept, path, {"told": json.dumps(told)})


def load_picture(path: Path) -> CountsImage:
    """The picture of `save_picture`."""
    from astropy.io import fits

    with safe_open(path, "pt") as file:
        told = json.loads(file.metadata()["told"])
        counts_HW, exposure_HW = file.get_tensor("counts"), file.get_tensor("exposure")
    axis = told["axis_yx"]
    return CountsImage(
        told["file"],
        counts_HW,
        exposure_HW,
        told["exposure_s"],
        told["pixel_arcsec"],
        None if axis is None else (axis[0], axis[1]),
        fits.Header.fromstring(told["header"]),
        tuple(told["remarks"]),
        told["out_of_time"],
    )


def picture_batch(picture: CountsImage) -> ImageBatch:
    """A picture as a batch of one, with the background that it shows itself."""
    background_HW = own_background(picture)
    return ImageBatch(picture.counts_HW[None], picture.exposure_HW[None], background_HW[None])


def own_background(picture: CountsImage) -> Tensor:
    """Expected background counts (H, W) by the picture itself, with its out-of-time events."""
    counts_HW, exposure_HW = picture.counts_HW, picture.exposure_HW
    if not picture.out_of_time or picture.axis_yx is None:
        return estimate_background(counts_HW, exposure_HW)
    place = picture.axis_yx[0], picture.pixel_arcsec
    return with_streaks(counts_HW, exposure_HW, picture.out_of_time, *place)


def fills_image(picture: CountsImage) -> bool:
    """True if sources leave too few pixels for a background estimate."""
    background_HW = estimate_background(picture.counts_HW, picture.exposure_HW)
    return bool(picture.counts_HW.any()) and not bool(background_HW.any())


def check_compatible(picture: CountsImage, spec: ImageSpec) -> list[str]:
    """Check an image against a model; returns remarks.

    Raises:
        InputError: its pixels are not those that the model was trained on.
    """
    if abs(picture.pixel_arcsec / spec.pixel_arcsec - 1) > PIXEL_TOLERANCE:
        raise InputError(
            f"{picture.file}: pixels of {picture.pixel_arcsec:.3g} arcsec, and the model reads "
            f"{spec.pixel_arcsec:.3g}; bin the events to those"
        )
    told = []
    if abs(picture.pixel_arcsec / spec.pixel_arcsec - 1) > PIXEL_TOLD:
        told.append(
            f"pixels of {picture.pixel_arcsec:.3g} arcsec, and the model was trained on "
            f"{spec.pixel_arcsec:.3g}: widths may be wrong by as much"
        )
    told += _other_photons(picture, spec)
    shortest, longest = spec.exposure_s or (0.0, float("inf"))
    if not 0.999 * shortest <= picture.exposure_s <= 1.001 * longest:
        told.append(
            f"exposure of {picture.exposure_s:.0f} s, and the model was trained from "
            f"{shortest:.0f} to {longest:.0f} s: uncertainties may be wrong"
        )
    return told


def _other_photons(picture: CountsImage, spec: ImageSpec) -> list[str]:
    """Differences in telescope, camera and band from the training images."""
    told = []
    trained = [*spec.instrument.upper().split("/"), "", ""][:2]
    own = [str(picture.header.get(key, "")).strip().upper() for key in ("TELESCOP", "INSTRUME")]
    same = [not a or not b or a == b for a, b in zip(own, trained, strict=True)]
    if not own[1]:
        told.append(f"the header names no instrument: taken to be {'/'.join(trained)}")
    if not all(same):
        name = "/".join(word for word in own if word)
        told.append(
            f"an image of {name}, and the model is for {'/'.join(trained)}: rates and widths may "
            "be wrong"
        )
    band = band_of(picture.header)
    low, high = spec.band_kev
    if band is None:
        told.append(f"the header tells no energy band: taken to be {low:g}-{high:g} keV")
    elif not same_band(band, spec.band_kev):
        told.append(
            f"photons of {band[0]:g}-{band[1]:g} keV, and the model is for {low:g}-{high:g} keV: "
            "rates and widths may be wrong"
        )
    return told
