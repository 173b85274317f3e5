"""Image pairs of the reference data for the comparison of enhanced images.

Rates are those of Sweere et al. (2022): counts over exposure, with vignetting left in, and frames
padded with zeros to 416 x 416 input pixels.

Shapes: B one, H and W rows and columns of the input, S H and S W those of the target, F those of
the padded frame.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.images.reading import picture_batch
from wolter.images.schema import CLAMP, ImageBatch
from wolter.images.targets import Targets
from wolter.xray.imaging.counts_image import CountsImage, read_counts_image
from wolter.xray.imaging.image_file import read_image
from wolter.xray.instruments import epic_pn_camera as camera

SIDE = 416  # rows and columns of the reference's frames, input pixels


@dataclass(frozen=True)
class Pair:
    """Photons of one sky, twice; no photon is in both.

    Attributes:
        name: name of the object or observation.
        picture: the input, as a user gives it.
        scale: target pixels along a side of an input pixel, S.
        seen: the input over its plain exposure (B, H, W), for what needs no training.
        vignetting_HW: (S H, S W), from rates as on the axis to those that are shown: where photons
            were counted, less those that were out of time.
        background_HW: shown rate (S H, S W) that targets hold and answers do not.
        target: what is judged by (B, F, F); answers are to hold the background then.
    """

    name: str
    picture: CountsImage
    scale: int
    seen: ImageBatch
    vignetting_HW: Tensor
    background_HW: Tensor
    target: Targets

    def shown(self, rate_HW: Tensor) -> Tensor:
        """Rates of an answer (S H, S W), as on the axis without background, as a target's are."""
        return rate_HW.nan_to_num() * self.vignetting_HW + self.background_HW

    def padded(self, image_BHW: Tensor) -> Tensor:
        """Zeros around an image of the target's pixels, as the reference puts them."""
        return _padded(image_BHW, self.scale)


def simulated(folder: Path, n: int = 0) -> Iterator[Pair]:
    """SIXTE's objects: 20 ks with background; 100 ks without, of twice the pixels and sharpness.

    SIXTE's images say no more than their exposure: they were masked as the pipeline's are.

    Raises:
        InputError: an object's target is missing.
    """
    for path in sorted((folder / "sim" / "combined" / "20ks").iterdir())[: n or None]:
        found = re.search(r"(TNG\d+)_.*subhalos_(\d+)", path.name)
        if found is None:
            continue
        there = folder / "sim" / "combined" / "100ks"
        targets = sorted(there.glob(f"{found[1]}_*subhalos_{found[2]}_*"))
        if len(targets) != 1:
            raise InputError(f"{there}: {len(targets)} targets of {path.name}; there is to be one")
        values_HW, header = read_image(targets[0])
        photons_HW = torch.from_numpy(values_HW)
        seconds_HW = float(header["EXPOSURE"]) * camera.live(2)[camera.native(2)]
        picture = read_counts_image(path)
        yield _pair(f"{found[1]} {found[2]}", picture, 2, photons_HW, seconds_HW)


def observed(folder: Path, n: int = 0) -> Iterator[Pair | str]:
    """EPIC-pn observations: 20 ks, and all photons but those; or why one cannot be used.

    Every CCD has the exposure of its own: that of the whole less that of the 20 ks.
    """
    for path in sorted((folder / "real" / "20ks").iterdir())[: n or None]:
        name = path.name.split("_")[0]
        (whole,) = (folder / "real" / "full").glob(f"{name}_*")
        picture, long = read_counts_image(path), read_counts_image(whole)
        photons_HW = long.counts_HW - picture.counts_HW
        if bool((photons_HW < 0).any()):
            yield f"{name}: the 20 ks hold photons that the whole exposure does not"
            continue
        vignetting_HW = camera.vignetting(camera.off_axis())[camera.native()]
        more_HW = (long.exposure_HW - picture.exposure_HW) / vignetting_HW
        more_HW = more_HW / (1 - picture.out_of_time)
        seen_HW = (picture.exposure_HW > 0) & (more_HW > 0)
        yield _pair(name, picture, 1, photons_HW, more_HW * seen_HW)


def _pair(
    name: str, picture: CountsImage, scale: int, photons_HW: Tensor, seconds_HW: Tensor
) -> Pair:
    coarse_HW, fine_HW = (
        camera.vignetting(camera.off_axis(s))[camera.native(s)].float() for s in (1, scale)
    )
    batch, kept = picture_batch(picture), 1 - picture.out_of_time
    seen = replace(batch, exposure_BHW=batch.exposure_BHW / coarse_HW / kept)
    background_HW = torch.zeros_like(fine_HW)
    if scale == 1:
        exposure_HW = seen.exposure_BHW[0]
        background_HW = batch.background_BHW[0] / exposure_HW.clamp(min=1) * (exposure_HW > 0)
    valid_BFF = _padded((seconds_HW > 0)[None], scale)
    target = Targets(
        valid=valid_BFF,
        photons=_padded(photons_HW[None], scale) * valid_BFF,
        exposure=torch.where(valid_BFF, _padded(seconds_HW[None].float(), scale), 1.0),
        background=torch.zeros(valid_BFF.shape),
        expected=None,
        truth=None,
        clamp=CLAMP[scale],
    )
    return Pair(name, picture, scale, seen, kept * fine_HW, background_HW, target)


def _padded(image_BHW: Tensor, scale: int) -> Tensor:
    rows, columns = (SIDE * scale - size for size in image_BHW.shape[1:])
    sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    padded: Tensor = torch.nn.functional.pad(image_BHW, sides)
    return padded
