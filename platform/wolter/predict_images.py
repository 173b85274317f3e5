"""Enhanced images: FITS in, FITS out, on the same sky, with uncertainty and check.

Shapes: H and W rows and columns of the input, S H and S W those of the answer.
"""

import math
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy.io import fits
from numpy.typing import NDArray
from torch import Tensor

from wolter import __version__
from wolter import family as families
from wolter.data.images import ImageSpec
from wolter.data.pictures import filled, fitness, picture_batch
from wolter.enhance import enhance, holds_background
from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.train.checkpoint import Model
from wolter.xray.attitude import celestial
from wolter.xray.check import Fold, check_map
from wolter.xray.picture import Picture
from wolter.xray.psf import TARGET_SHARPNESS

FLUX, SIGMAS = 0.03, 4.0  # an answer may miss so much of the input's photons, and their noise


@dataclass(frozen=True)
class Enhanced:
    """What a model makes of a picture.

    Attributes:
        picture: that it was given.
        scale: output pixels along a side of an input pixel.
        rate_HW: expected rate of the sources, ct/s per output pixel as on the axis (S H, S W); NaN
            where nothing was seen.
        lower_HW, upper_HW: ends of its 68 % interval; None where the model gives none.
        check_HW: how far the input's photons lie from the answer, seen through the telescope, in
            sigma (H, W); NaN where nothing was seen.
        model_name, model_version: what answered.
        remarks: what the user must know.
    """

    picture: Picture
    scale: int
    rate_HW: Tensor
    lower_HW: Tensor | None
    upper_HW: Tensor | None
    check_HW: Tensor
    model_name: str
    model_version: str
    remarks: tuple[str, ...]


def model_name(family: str, task: str) -> str:
    """Name of the model of a family for a task: the family's own name, or a variant's.

    Raises:
        InputError: it has no such task.
    """
    found = families.load(family)
    tasks = (found.name, *found.variants)
    if task not in tasks:
        raise InputError(f"--task {task}: {family} has {', '.join(tasks)}")
    return found.name if task == found.name else f"{found.name}-{task}"


def enhance_picture(model: Model, picture: Picture, version: str = "") -> Enhanced:
    """Denoise or super-resolve a picture, in tiles.

    Raises:
        InputError: its pixels are not those that the model was trained on.
    """
    spec: ImageSpec = model.card.spec
    remarks = [*picture.remarks, *fitness(picture, spec)]
    batch = picture_batch(picture)
    found = enhance(model.family, model.module, batch, spec.scale)
    seen_HW = picture.exposure_HW > 0
    seen_fine_HW = seen_HW.repeat_interleave(spec.scale, 0).repeat_interleave(spec.scale, 1)

    def kept(name: str) -> Tensor | None:
        return torch.where(seen_fine_HW, found[name][0], torch.nan) if name in found else None

    fold = Fold(
        spec.scale,
        picture.pixel_arcsec,
        sharpness=TARGET_SHARPNESS if spec.scale > 1 else 1.0,
        energy_kev=math.sqrt(spec.band_kev[0] * spec.band_kev[1]),
        axis_yx=picture.axis_yx,
    )
    photons = (batch.counts_BHW[0], batch.exposure_BHW[0], batch.background_BHW[0])
    if holds_background(spec, model.card.config):
        photons = (*photons[:2], torch.zeros_like(photons[2]))
    check_HW = check_map(found["rate_BHW"][0], *photons, fold)
    expected = float(fold(found["rate_BHW"][0], *photons[1:]).sum())
    seen = float(photons[0].sum())
    if filled(picture):
        remarks.append(
            "sources fill the image, so that its background is not known: the answer holds it, too"
        )
    if abs(expected - seen) > FLUX * seen + SIGMAS * math.sqrt(seen):
        remarks.append(
            f"the answer stands for {expected:.0f} photons, and the input has {seen:.0f}: it is "
            "unlike what the model was trained on; do not measure fluxes in it"
        )
    rate_HW = kept("rate_BHW")
    assert rate_HW is not None
    return Enhanced(
        picture,
        spec.scale,
        rate_HW,
        kept("lower_BHW"),
        kept("upper_BHW"),
        check_HW,
        model.family.model_name(spec),
        version,
        tuple(remarks),
    )


def to_hdus(enhanced: Enhanced) -> fits.HDUList:
    """The answer as FITS.

    The primary image is the rate in ct/s, with the input's header and its world coordinates for the
    output's pixels. `UNCERTAINTY` is half the width of the 68 % interval and `LOWER` and `UPPER`
    its ends; `CHECK` is in sigma on the input's pixels.
    """
    picture, scale = enhanced.picture, enhanced.scale
    header = scaled_header(picture.header, scale)
    header["BUNIT"] = ("ct/s", "on the axis: vignetting is corrected for")
    header["EXPOSURE"] = (picture.exposure_s, "[s] of the input")
    header["ENHMODEL"] = (f"wolter {enhanced.model_name}", "what made this image")
    header["ENHVERS"] = (enhanced.model_version, "its version")
    header["CREATOR"] = f"wolter {__version__}"
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
    check = fits.ImageHDU(_image(enhanced.check_HW), own, "CHECK")
    check.header["BUNIT"] = ("sigma", "photons minus answer through the telescope")
    return fits.HDUList([*hdus, check])


def write(enhanced: Enhanced, path: Path) -> None:
    """Write the answer, whole or not at all.

    Raises:
        InputError: the disk is full, or the file cannot be written.
    """
    buffer = BytesIO()
    to_hdus(enhanced).writeto(buffer, output_verify="fix+ignore")
    write_atomically(path, buffer.getvalue())


def draw(enhanced: Enhanced, path: Path, compare: Path | None = None) -> None:
    """Draw input, answer, uncertainty and check; and another telescope's image of the same sky.

    Args:
        enhanced: what to draw.
        path: PNG file.
        compare: FITS image of counts, to be brought onto the answer's pixels.

    Raises:
        InputError: the comparison shows another part of the sky, or one of the two has no sky
            coordinates.
    """
    from wolter.evaluate import style
    from wolter.evaluate.picture_plot import Panel, on_grid, side_by_side

    picture, fine = enhanced.picture, enhanced.picture.pixel_arcsec / enhanced.scale
    seen_HW = picture.exposure_HW > 0
    rate_HW = torch.where(seen_HW, picture.counts_HW / picture.exposure_HW, torch.nan)
    panels = [
        Panel("input", rate_HW.numpy(), "rate", picture.pixel_arcsec),
        Panel(enhanced.model_name, enhanced.rate_HW.numpy(), "rate", fine),
    ]
    if enhanced.lower_HW is not None and enhanced.upper_HW is not None:
        half_HW = ((enhanced.upper_HW - enhanced.lower_HW) / 2).numpy()
        panels.append(Panel("uncertainty (68 %)", half_HW, "rate", fine))
    check_HW = enhanced.check_HW.numpy()
    panels.append(Panel("photons against answer", check_HW, "sigma", picture.pixel_arcsec))
    if compare is not None:
        rows, columns = enhanced.rate_HW.shape
        world = celestial(picture.header)
        other_HW = on_grid(compare, world, (rows, columns), enhanced.scale)
        panels.append(Panel(compare.name, other_HW, "counts", fine))
    write_atomically(path, style.to_png(side_by_side(panels, Path(picture.file).name)))


_STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|BUNIT|DATAMIN"
    r"|DATAMAX|CHECKSUM|DATASUM|EXTNAME|EXTVER|INHERIT|LONGSTRN"
)
_WORLD = re.compile(
    r"(WCSAXES|WCSNAME|RADESYS|EQUINOX|LONPOLE|LATPOLE|RADECSYS)[A-Z]?|(LTV|LTM)\d.*"
    r"|(CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA|CD|PC|PV)\d+(_\d+)?[A-Z]?"
)


def scaled_header(header: fits.Header, scale: int, world_only: bool = False) -> fits.Header:
    """A header for an image with `scale` times as many pixels along each side.

    Args:
        header: of the image with the fewer pixels.
        scale: pixels for one of it, along a side.
        world_only: keep its coordinates alone.
    """
    made = fits.Header()
    for card in header.cards:
        key = card.keyword
        unwanted = _STRUCTURE.fullmatch(key) or (world_only and not _WORLD.fullmatch(key))
        if unwanted or key == "":
            continue
        made.append(_scaled(card, scale), end=True)
    return made


def _scaled(card: Any, scale: int) -> Any:
    key, value = card.keyword, card.value
    if scale == 1 or not isinstance(value, int | float):
        return card
    if re.fullmatch(r"CRPIX\d+[A-Z]?", key):
        value = (value - 0.5) * scale + 0.5
    elif re.fullmatch(r"(CDELT\d+|CD\d+_\d+)[A-Z]?", key):
        value = value / scale
    elif re.fullmatch(r"LTM\d_\d", key):  # image = LTM * physical + LTV
        value = value * scale
    elif re.fullmatch(r"LTV\d", key):
        value = (value - 0.5) * scale + 0.5
    else:
        return card
    return fits.Card(key, value, card.comment)


def _image(values_HW: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values_HW.numpy().astype(np.float32)
    return array
