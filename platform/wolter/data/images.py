"""Records of image pairs: what a data set of images says of itself, and the batch families read.

Shapes: B batch, H and W rows and columns of the input, S H and S W those of the target.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageSpec:
    """All that a family must know of the images it reads; saved in every checkpoint.

    Attributes:
        shape: rows and columns of an input tile.
        scale: target pixels per input pixel along a side: 1 to denoise, 2 to super-resolve.
        pixel_arcsec: side of an input pixel.
        band_kev: energy band of the photons.
        exposure_s: shortest and longest input exposure.
        target_exposure_s: that of the target; None where pairs differ.
        target_background: the target holds the background too.
        instrument: "telescope/instrument/filter".
        psf_fwhm_arcsec: of the input on the axis, and of the target.
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


@dataclass
class ImageBatch:
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

    def __len__(self) -> int:
        return len(self.counts_BHW)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        moved: dict[str, Any] = {k: None if v is None else function(v) for k, v in values.items()}
        return replace(self, **moved)

    def __getitem__(self, index: Tensor | slice) -> Self:
        """Select rows."""
        return self._map(lambda value: value[index])

    def to(self, device: torch.device | str) -> Self:
        """Move every tensor."""
        return self._map(lambda value: value.to(device, non_blocking=True))

    def split(self, size: int) -> Iterator[Self]:
        """Yield consecutive pieces of at most `size` rows."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    @classmethod
    def concatenate(cls, parts: "list[Self]") -> Self:
        """Join batches of one data set along B."""
        assert parts, "no batches to join"
        columns: dict[str, Any] = {}
        for name in (each.name for each in fields(cls)):
            values = [getattr(part, name) for part in parts]
            columns[name] = None if values[0] is None else torch.cat(values)
        return cls(**columns)

    def redraw(self, generator: torch.Generator) -> Self:
        """Draw fresh photons of input and target, independent of each other."""
        assert self.expected_BHW is not None
        assert self.expected_target_BHW is not None
        return replace(
            self,
            counts_BHW=torch.poisson(self.expected_BHW, generator),
            target_BHW=torch.poisson(self.expected_target_BHW, generator),
        )
