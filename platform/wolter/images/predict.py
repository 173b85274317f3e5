"""Image enhancement: source rate, uncertainty, consistency check.

Shapes: H and W rows and columns of the input, S H and S W those of the answer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.family import Family
from wolter.images.reading import check_compatible, fills_image, picture_batch
from wolter.images.schema import ImageSpec
from wolter.images.tiling import enhance, enlarged, holds_background
from wolter.registry.checkpoint import Model
from wolter.xray.imaging.consistency import Agreement, ForwardImage, agreement, significance_around
from wolter.xray.imaging.counts_image import CountsImage
from wolter.xray.imaging.excess import needs_source
from wolter.xray.instruments.psf import TARGET_SHARPNESS

FLUX, SIGMAS = 0.03, 4.0  # an answer may miss so much of the input's photons, and their noise


@dataclass(frozen=True)
class Enhanced:
    """Enhanced image with uncertainty and consistency check.

    Attributes:
        picture: that it was given.
        scale: output pixels along a side of an input pixel.
        rate_HW: expected rate of the sources, ct/s per output pixel as on the axis (S H, S W); NaN
            where nothing was seen.
        lower_HW, upper_HW: ends of its 68 % interval; None where the model gives none. The lower
            one is 0 where the photons need no source (`wolter.xray.imaging.excess.needs_source`).
        check_HW: deviation of the input's photons from the answer, seen through the telescope, in
            sigma (H, W); NaN where nothing was seen.
        background_HW: expected counts in the input besides the answer (H, W).
        expected_HW: in all (H, W).
        needed_HW: True where the photons need a source (H, W).
        fold: forward model from the answer to the counts expected in the input.
        agreement: agreement of photons and answer, in two figures.
        model_name, model_version: name and version of the model.
        remarks: assumptions and warnings.
    """

    picture: CountsImage
    scale: int
    rate_HW: Tensor
    lower_HW: Tensor | None
    upper_HW: Tensor | None
    check_HW: Tensor
    background_HW: Tensor
    expected_HW: Tensor
    needed_HW: Tensor
    fold: ForwardImage
    agreement: Agreement
    model_name: str
    model_version: str
    remarks: tuple[str, ...]


def variant_name(family: Family, task: str) -> str:
    """Name of the model of a family for a task: the family's own name, or a variant's.

    Args:
        family: family of models for images.
        task: its name or one of its variants; empty for the family's own name.

    Raises:
        InputError: it has no such task.
    """
    tasks = (family.name, *family.variants)
    if task and task not in tasks:
        raise InputError(f"--task {task}: {family.name} has {', '.join(tasks)}")
    return family.name if task in ("", family.name) else f"{family.name}-{task}"


def enhance_picture(
    model: Model,
    picture: CountsImage,
    version: str = "",
    progress: Callable[[float], None] | None = None,
) -> Enhanced:
    """Denoise or super-resolve a picture, in tiles.

    Args:
        model: of a family that answers for images.
        picture: to enhance.
        version: of the model.
        progress: is told after each tile which part is done, 0 to 1.

    Raises:
        InputError: its pixels are not those that the model was trained on.
    """
    spec: ImageSpec = model.card.spec
    remarks = [*picture.remarks, *check_compatible(picture, spec)]
    batch = picture_batch(picture)
    found = enhance(model.family, model.module, batch, spec.scale, progress=progress)
    counts_HW, exposure_HW = batch.counts_BHW[0], batch.exposure_BHW[0]
    background_HW = batch.background_BHW[0]
    needed_HW = needs_source(counts_HW, background_HW, exposure_HW, picture.pixel_arcsec)
    if "lower" in found:
        found["lower"] = found["lower"] * enlarged(needed_HW, spec.scale)
    seen_HW = enlarged(exposure_HW > 0, spec.scale)

    def kept(name: str) -> Tensor | None:
        return torch.where(seen_HW, found[name][0], torch.nan) if name in found else None

    fold = ForwardImage(
        spec.scale,
        picture.pixel_arcsec,
        sharpness=TARGET_SHARPNESS if spec.scale > 1 else 1.0,
        energy_kev=math.sqrt(spec.band_kev[0] * spec.band_kev[1]),
        axis_yx=picture.axis_yx,
    )
    if holds_background(model):
        background_HW = torch.zeros_like(background_HW)
    expected_HW = fold(found["rate"][0], exposure_HW, background_HW)
    check_HW = significance_around(counts_HW, expected_HW, exposure_HW, fold.pixel_arcsec)
    agreed = agreement(check_HW, fold.pixel_arcsec)
    if fills_image(picture):
        remarks.append(
            "sources fill the image, so that its background is not known: the answer holds it, too"
        )
    remarks += _disagreement(float(expected_HW.sum()), float(counts_HW.sum()), agreed)
    rate_HW = kept("rate")
    assert rate_HW is not None
    return Enhanced(
        picture=picture,
        scale=spec.scale,
        rate_HW=rate_HW,
        lower_HW=kept("lower"),
        upper_HW=kept("upper"),
        check_HW=check_HW,
        background_HW=background_HW,
        expected_HW=expected_HW,
        needed_HW=needed_HW,
        fold=fold,
        agreement=agreed,
        model_name=model.family.model_name(spec),
        model_version=version,
        remarks=tuple(remarks),
    )


def _disagreement(expected: float, seen: float, agreed: Agreement) -> list[str]:
    """Remarks on disagreement between photons and answer."""
    remarks = []
    if abs(expected - seen) > FLUX * seen + SIGMAS * math.sqrt(seen):
        remarks.append(
            f"the answer stands for {expected:.0f} photons, and the input has {seen:.0f}: it is "
            "unlike what the model was trained on; do not measure fluxes in it"
        )
    if agreed.bad:
        remarks.append(
            f"the photons contradict the answer: {agreed}; see CHECK before you use its details"
        )
    return remarks
