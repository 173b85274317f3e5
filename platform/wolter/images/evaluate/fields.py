"""Whole simulated fields through a network: source detection and example images.

Shapes: H and W rows and columns of the input, S H and S W those of the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from wolter import config as configs
from wolter.data.shards import ShardDataset
from wolter.images.evaluate import completeness, matching
from wolter.images.evaluate.baselines import INPUT, LUCY, input_rate, richardson_lucy
from wolter.images.evaluate.detection import WIDER_PHOTONS, Detections, Image, detect
from wolter.images.evaluate.scoring import fold_of
from wolter.images.evaluate.source_likelihood import detect_photons
from wolter.images.simulator import Field, ImageSimulateConfig, ImageSimulator
from wolter.images.targets import enlarge
from wolter.images.tiling import enhance, holds_background
from wolter.registry.checkpoint import Model
from wolter.xray.imaging.consistency import check_map
from wolter.xray.instruments import epic_pn_camera as camera

EXPOSURE_S = 20_000.0
SOURCES = ("agn", "pairs")  # scenes whose sources are counted
FILTERED = "input, filtered"
FINDERS: Mapping[str, Callable[[Image], Detections]] = {
    INPUT: detect_photons,
    FILTERED: partial(detect, wider=WIDER_PHOTONS),
}
ITERATIONS = 25  # of Richardson and Lucy, in whose images sources are counted
PICTURES = ("remnant", "cluster", "agn")
AXIS_YX = (camera.AXIS_XY[1], camera.AXIS_XY[0])
SEED = 20_220_501  # of the fields: no data set has it by chance


@dataclass(frozen=True)
class Example:
    """Example field for a figure.

    Attributes:
        title: its scene and exposure.
        input_HW: counts over exposure of the input, ct/s in an input pixel.
        output_HW: the answer, ct/s in an output pixel.
        target_HW: the target's photons over exposure, ct/s in an output pixel.
        check_HW: significance of the input's counts over the folded answer, sigma.
    """

    title: str
    input_HW: Tensor
    output_HW: Tensor
    target_HW: Tensor
    check_HW: Tensor


def simulator(dataset: ShardDataset, scene: str) -> ImageSimulator | None:
    """Whole fields of one scene as a simulated data set has them; None if it was not simulated."""
    if "scenes" not in dataset.manifest.config:
        return None
    config = configs.from_dict(ImageSimulateConfig, dataset.manifest.config)
    exposure = min(max(EXPOSURE_S, config.exposure_s[0]), config.exposure_s[1])
    own = replace(config, scenes=(scene,), maps=(), exposure_s=(exposure,) * 2, tile=0)
    return ImageSimulator(own)


def find_sources(
    model: Model, dataset: ShardDataset, n: int, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Sources of `n` fields of each of `SOURCES`, in the input and in the network's answer.

    The input is searched twice: by likelihood, the most that photons can tell, and by the filter
    that also searches the answer and the input deconvolved. All are given at the same purity, with
    their completeness at the flux where the input's by likelihood is 50 % (`completeness_at_half`)
    and where its by the filter is (`completeness_at_filter_half`). Empty where the data set was
    not simulated.
    """
    parts: dict[str, list[matching.Matched]] = {}
    for scene in SOURCES:
        made = simulator(dataset, scene)
        if made is None:
            return {}
        for index in range(n):
            field = made.draw(SEED, index)
            point_N3 = field.scene.point_N3.double().numpy()
            rate, paired = made.counts_per_flux[field.scene.point_spectrum], scene == "pairs"
            for name, image in _images(model, made, field).items():
                found = matching.match(image, point_N3, rate, FINDERS.get(name, detect), paired)
                parts.setdefault(name, []).append(found)
            if progress is not None:
                progress(1)
    joined = {name: matching.Matched.joined(each) for name, each in parts.items()}
    half = {
        key: completeness.completeness(joined[name], completeness.threshold(joined[name])).half
        for key, name in (
            ("completeness_at_half", INPUT),
            ("completeness_at_filter_half", FILTERED),
        )
    }
    return {name: completeness.summary(each, at_flux=half) for name, each in joined.items()}


def _images(model: Model, made: ImageSimulator, field: Field) -> Mapping[str, Image]:
    pair, spec = field.pair, made.spec
    scale, pixel = spec.scale, spec.pixel_arcsec
    answer_HW = enhance(model.family, model.module, pair, scale)["rate"][0]
    exposure_HW, background_HW = pair.exposure_BHW[0], pair.background_BHW[0]
    energy = made.imager.energy_kev
    wide, narrow = (made.imager.psfs[name][0] for name in ("input", "target"))
    coarse = exposure_HW, background_HW
    fine = enlarge(exposure_HW, scale), enlarge(background_HW, scale) / scale**2
    excess_HW = (pair.counts_BHW[0] - background_HW) / exposure_HW.clamp(min=1) * (exposure_HW > 0)
    seen = Image.of(excess_HW, *coarse, wide, pixel, energy)
    found = {INPUT: seen, FILTERED: seen}
    fold = fold_of(spec)
    if fold.sharpness > 1:
        ((_, lucy_BHW),) = richardson_lucy(pair, fold, (ITERATIONS,))
        found[LUCY] = Image.of(lucy_BHW[0], *fine, narrow, pixel / scale, energy)
    found["network"] = Image.of(answer_HW, *fine, narrow, pixel / scale, energy)
    return found


def examples(
    model: Model, dataset: ShardDataset, scenes: Sequence[str] = PICTURES
) -> tuple[Example, ...]:
    """One field of each scene; none where the data set was not simulated."""
    found = []
    for scene in scenes:
        made = simulator(dataset, scene)
        if made is None:
            return ()
        field = made.draw(SEED, len(PICTURES))
        title = f"{scene}, {field.how.exposure_s / 1e3:.3g} ks"
        found.append(_example(model, dataset, field, title))
    return tuple(found)


@torch.inference_mode()
def _example(model: Model, dataset: ShardDataset, field: Field, title: str) -> Example:
    pair, spec = field.pair, dataset.spec
    answer_HW = enhance(model.family, model.module, pair, spec.scale)["rate"][0]
    assert pair.target_BHW is not None
    assert pair.target_exposure_BHW is not None
    exposure_HW = pair.target_exposure_BHW[0]
    background_HW = pair.background_BHW[0]
    if holds_background(model):
        background_HW = torch.zeros_like(background_HW)
    check_HW = check_map(
        answer_HW,
        pair.counts_BHW[0],
        pair.exposure_BHW[0],
        background_HW,
        fold_of(spec, AXIS_YX),
    )
    seen_HW = exposure_HW > 0  # elsewhere nothing is told, as by `wolter predict`
    target_HW = pair.target_BHW[0] / exposure_HW.clamp(min=1) * seen_HW
    return Example(title, input_rate(pair)[0], answer_HW * seen_HW, target_HW, check_HW)
