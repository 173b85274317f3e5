"""Training targets of images: target photons, and the noise-free truth where known.

Shapes: B batch, H and W rows and columns of the target.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.images.schema import CLAMP, ImageBatch, ImageSpec


@dataclass(frozen=True)
class Targets:
    """Targets of training and evaluation; all (B, H, W).

    Attributes:
        valid: where photons could be seen.
        photons: counted, independent of the input's; 0 where not valid.
        exposure: s, times vignetting; 1 where not valid.
        background: expected background counts, where `photons` holds them and an answer does not.
        expected: noise-free counts of `photons`; 0 where not valid; None where not known.
        truth: noise-free rate that an answer should give, ct/s; 0 where not valid; None where not
            known.
        clamp: ct/s a pixel at which comparisons with a target saturate, as the reference's do.
    """

    valid: Tensor
    photons: Tensor
    exposure: Tensor
    background: Tensor
    expected: Tensor | None
    truth: Tensor | None
    clamp: float

    @property
    def rate(self) -> Tensor:
        """ct/s that the photons mean; noisy."""
        return (self.photons - self.background) / self.exposure

    def mean(self, rate: Tensor) -> Tensor:
        """Counts expected with an answer, ct/s; above 0."""
        return (rate * self.exposure + self.background).clamp_min(1e-12)


def clamp_of(spec: ImageSpec, scale: int | None = None) -> float:
    """ct/s at which Sweere et al. (2022) clamp, for pixels of any size.

    Args:
        spec: spec of the images.
        scale: pixels for one of the input, along a side; None: as many as the target has.

    Raises:
        InputError: the target has other pixels than once or twice the input's.
    """
    if spec.scale not in CLAMP:
        raise InputError(f"targets of {spec.scale}x the pixels; give 1x or 2x")
    return CLAMP[scale or spec.scale] * (spec.pixel_arcsec / 4.0) ** 2


def targets(batch: ImageBatch, spec: ImageSpec, background: bool = False) -> Targets:
    """The targets of a batch of pairs.

    Args:
        batch: pairs.
        spec: spec of the images.
        background: answers hold the background where targets do; else only sources.

    Raises:
        InputError: they have none, or are scaled otherwise than once or twice.
    """
    photons_BHW, exposure_BHW = batch.target_BHW, batch.target_exposure_BHW
    if photons_BHW is None or exposure_BHW is None:
        raise InputError("no targets in these images; give pairs of images")
    valid = (exposure_BHW > 0) & photons_BHW.isfinite()
    background_BHW = torch.zeros_like(photons_BHW)
    if spec.target_background and not background:
        own_BHW, level_BHW = (
            enlarge(each, spec.scale) for each in (batch.exposure_BHW, batch.background_BHW)
        )
        valid = valid & (own_BHW > 0)
        background_BHW = level_BHW / spec.scale**2 * exposure_BHW / own_BHW.clamp(min=1e-6)
    safe_BHW = torch.where(valid, exposure_BHW, 1.0)
    expected_BHW, truth_BHW = batch.expected_target_BHW, None
    if expected_BHW is not None:
        expected_BHW = torch.where(valid, expected_BHW, 0.0)
        truth_BHW = torch.where(valid, (expected_BHW - background_BHW) / safe_BHW, 0.0)
    return Targets(
        valid=valid,
        photons=torch.where(valid, photons_BHW, 0.0),
        exposure=safe_BHW,
        background=torch.where(valid, background_BHW, 0.0),
        expected=expected_BHW,
        truth=truth_BHW,
        clamp=clamp_of(spec),
    )


def enlarge(image_BHW: Tensor, scale: int) -> Tensor:
    """Repeat pixels."""
    return image_BHW.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
