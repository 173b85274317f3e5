"""Records of image pairs: dataset description and typed batch.

Shapes: B batch, H and W rows and columns of the input, S H and S W those of the target.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from wolter.data.schema import RecordBatch

# ct/s in one pixel, at which Sweere et al. (2022) clamp; by target pixels per input pixel of 4".
CLAMP = {1: 0.0022336, 2: 0.0005584}


@dataclass(frozen=True)
class ImageSpec:
    """Description of a dataset of image pairs for model families; saved in every checkpoint.

    Attributes:
        shape: rows and columns of an input tile.
        scale: target pixels per input pixel along a side: 1 to denoise, 2 to super-resolve.
        pixel_arcsec: side of an input pixel.
        band_kev: energy band of the photons.
        exposure_s: shortest and longest input exposure.
        target_exposure_s: that of the target; None where pairs differ.
        target_background: the target holds the background too.
        instrument: "telescope/instrument/filter".
        psf_fwhm_arcsec: FWHM of the PSF of the input on the axis, and of the target.
    """

    shape: tuple[int, int]
    scale: int = 2
    pixel_arcsec: float = 4.0
    band_kev: tuple[float, float] = (0.5, 2.0)
    exposure_s: tuple[float, float] | None = None
    target_exposure_s: float | None = None
    target_background: bool = False
    instrument: str = ""
    psf_fwhm_arcsec: tuple[float, float] = (0.0, 0.0)
    kind: str = "images"

    def mismatch(self, other: "ImageSpec") -> str:
        """Reason why weights cannot be fine-tuned on other images; empty if they can."""
        if (self.scale, self.pixel_arcsec) == (other.scale, other.pixel_arcsec):
            return ""
        return f'makes {self.scale}x images of {self.pixel_arcsec}" pixels, others'


@dataclass
class ImageBatch(RecordBatch):
    """Pairs of images of the same sky that share no photon; float32 tensors.

    Attributes:
        counts_BHW: photons of the input, source and background.
        exposure_BHW: exposure map of the input, s: exposure times vignetting (1 on the axis), 0 in
            gaps, outside the detector and in bad pixels.
        background_BHW: expected background counts of the input (what the user can estimate).
        target_BHW: photons of the target (B, S H, S W); NaN where none were taken.
        target_exposure_BHW: exposure map of the target, s.
        expected_BHW: noise-free input counts, source and background; simulated pairs only.
        expected_target_BHW: noise-free target counts (B, S H, S W); simulated pairs only.
    """

    counts_BHW: Tensor
    exposure_BHW: Tensor
    background_BHW: Tensor
    target_BHW: Tensor | None = None
    target_exposure_BHW: Tensor | None = None
    expected_BHW: Tensor | None = None
    expected_target_BHW: Tensor | None = None

    @property
    def has_expected(self) -> bool:
        """True if noise-free counts are stored, around which noise can be drawn."""
        return self.expected_BHW is not None and self.expected_target_BHW is not None

    def redraw(self, generator: torch.Generator) -> Self:
        """Draw fresh photons of input and target, independent of each other."""
        assert self.expected_BHW is not None
        assert self.expected_target_BHW is not None
        return replace(
            self,
            counts_BHW=torch.poisson(self.expected_BHW, generator),
            target_BHW=torch.poisson(self.expected_target_BHW, generator),
        )
