"""Benchmark of enhanced images on the reference data, beside baselines without training.

    wolter bench superres --json FILE [--n N] [--weights FOLDER] [--pictures] [--jolideco]

`sixte` is super-resolution of objects that SIXTE simulated: 20 ks against 100 ks of twice the
pixels, sharpness and without background. `real` is denoising of EPIC-pn observations: 20 ks against
the photons of the rest of the exposure, which no input holds. Both are of rates as the reference
shows them (`_superres_pairs.py`): PSNR, SSIM and MS-SSIM of the padded frame, clamped as there, of
brightness and of its root; `deviance` of the target's photons per pixel, a proper score;
`flux_ratio`, all counts that an answer predicts over the target's.

A target's own noise limits a PSNR: `ceiling` is about what the true rates would have, and
`gap_closed` the share of the way there from the best baseline that the network goes, in the PSNR of
brightness: below 0 it is worse than that baseline. `gap_closed_plain` is from the best baseline
that knows of no exposure map. `deviance_ratio` is to the lowest of all baselines. For denoising,
Richardson and Lucy's images are blurred again, for they are sharper than the target.

With --jolideco, its images are among the baselines of super-resolution, which takes minutes each.
`pair_chi2` is of the input's photons under the target, as the telescope would have blurred it, in
blocks of 4 x 4 pixels: 1, and a little more for the target's own noise, where both show one sky. Of
`TNG100 343638` they do not: its knots are half as bright again in the input as in the target.

Without --weights it is the champions, or else the weights that come with the package; a part whose
network is missing has its baselines alone, and a remark.

Shapes: B one, S H and S W rows and columns of a target.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from benchmarks import _jolideco
from benchmarks._superres_pairs import Pair, observed, simulated
from torch import Tensor

from wolter.errors import InputError
from wolter.images.evaluate.baselines import GAUSSIAN, INPUT, LUCY, baselines, input_rate
from wolter.images.evaluate.fields import Example
from wolter.images.evaluate.plots import side_by_side
from wolter.images.evaluate.scores import compare, deviance
from wolter.images.predict import Enhanced, enhance_picture
from wolter.registry.checkpoint import Model, load_model
from wolter.registry.pretrained import find
from wolter.report import style
from wolter.xray.imaging.consistency import ForwardImage, chi2

GAP = "psnr_linear"  # of which the share is told that is closed
# PSNR in dB that expected counts have against a target's noise, of brightness and of its root, and
# of the root of the estimate that is best for it. Measured once on these objects with the target,
# adaptively smoothed, for the truth, and photons drawn anew: good to a few tenths. Beside them the
# best baseline of then, which took gaps for dark sky.
CEILING = {
    "TNG100 343638": {GAP: 34.44, "psnr_sqrt": 22.77, "best_psnr_sqrt": 23.14, "baseline": 33.60},
    "TNG300 296363": {GAP: 38.16, "psnr_sqrt": 27.85, "best_psnr_sqrt": 28.42, "baseline": 37.19},
    "TNG300 415728": {GAP: 40.55, "psnr_sqrt": 28.88, "best_psnr_sqrt": 29.44, "baseline": 39.05},
    "TNG50 382215": {GAP: 37.01, "psnr_sqrt": 23.26, "best_psnr_sqrt": 23.78, "baseline": 36.06},
}
TASKS = {"sixte": "superres", "real": "superres-denoise"}
Scores = dict[str, float]


def run(
    n: int = 0, weights: Path | None = None, pictures: bool = False, jolideco: bool = False
) -> dict[str, Any]:
    """Judge both tasks, by `n` pairs each; with `weights`, that network at its own."""
    folder, mixture = _reference(), None
    if jolideco:
        if not _jolideco.installed():
            raise InputError("jolideco is not installed; run `make peers`")
        mixture = _jolideco.learnt()
    networks, remarks = _networks(weights)
    found: dict[str, Any] = {"versions": {}, "remarks": remarks}
    drawn: dict[str, bytes] = {}
    for part, pairs in (("sixte", simulated(folder, n)), ("real", observed(folder, n))):
        network = networks.get(part)
        found["versions"][TASKS[part]] = network[1] if network else None
        entries, examples = {}, []
        for pair in pairs:
            if isinstance(pair, str):
                remarks.append(pair)
                continue
            enhanced = enhance_picture(network[0], pair.picture) if network else None
            entries[pair.name] = judge(pair, enhanced, mixture)
            if enhanced is not None:
                examples.append(_example(pair, enhanced))
        found[part] = {"n": len(entries), "mean": _means(list(entries.values())), **entries}
        if pictures and examples:
            figure = side_by_side(examples, f"{TASKS[part]} {network[1] if network else ''}")
            drawn[part] = style.to_png(figure)
    return {**found, "pictures": drawn}


def judge(pair: Pair, enhanced: Enhanced | None, mixture: Any = None) -> dict[str, Any]:
    """Scores of a network's answer, of every baseline, and how they compare."""
    own = {name: scores(pair, rate_BHW) for name, rate_BHW in _baselines(pair, mixture)}
    best = {
        "deviance": min(own, key=lambda name: own[name]["deviance"]),
        GAP: max(own, key=lambda name: own[name][GAP]),
    }
    entry: dict[str, Any] = {"network": None, "best_baseline": best, "baselines": own}
    smoothed = [name for name in own if name.startswith(GAUSSIAN)]
    entry["best_gaussian"] = min(smoothed, key=lambda name: own[name]["deviance"])
    if enhanced is not None:
        entry["network"] = scores(pair, pair.shown(enhanced.rate_HW)[None])
        entry["remarks"] = list(enhanced.remarks)
        entry["deviance_ratio"] = entry["network"]["deviance"] / own[best["deviance"]]["deviance"]
    if pair.scale > 1:
        entry["pair_chi2"] = agreement(pair)
    if pair.scale > 1 and pair.name in CEILING:
        entry["ceiling"] = CEILING[pair.name]
        if enhanced is not None:
            top, made = CEILING[pair.name], entry["network"][GAP]
            for name, bottom in (("", own[best[GAP]][GAP]), ("_plain", top["baseline"])):
                entry[f"gap_closed{name}"] = (made - bottom) / (top[GAP] - bottom)
    return entry


def agreement(pair: Pair) -> float:
    """Chi^2 per block of the input's photons, where the target's rates are expected."""
    fold, seen = _fold(pair), pair.seen
    exposure_HW, background_HW = seen.exposure_BHW[0], seen.background_BHW[0]
    return chi2(
        seen.counts_BHW[0], fold(_shown_target(pair), exposure_HW, background_HW), exposure_HW
    )


def _fold(pair: Pair) -> ForwardImage:
    return ForwardImage(pair.scale, pair.picture.pixel_arcsec, axis_yx=pair.picture.axis_yx)


def _shown_target(pair: Pair) -> Tensor:
    """The target's rates (S H, S W) without the padding."""
    inner_BFF = pair.padded(torch.ones_like(pair.vignetting_HW, dtype=torch.bool)[None])
    return pair.target.rate[inner_BFF].reshape(pair.vignetting_HW.shape)


def scores(pair: Pair, rate_BHW: Tensor) -> Scores:
    """Scores of shown rates (B, S H, S W) against a pair's target."""
    target = pair.target
    rate_BHW = pair.padded(rate_BHW) * target.valid
    expected, photons = (rate_BHW * target.exposure).sum(), target.photons.sum()
    found = {
        "deviance": deviance(rate_BHW, target),
        "flux_ratio": expected / photons,
        **compare(rate_BHW, target.rate, target.clamp),
    }
    return {name: float(value) for name, value in found.items() if not name.startswith("l1")}


def _baselines(pair: Pair, mixture: Any = None) -> Iterator[tuple[str, Tensor]]:
    denoise, fold = pair.scale == 1, _fold(pair)
    for each in baselines(pair.seen, pair.scale, fold, background=denoise):
        rate_BHW = each.rate_BHW
        if denoise and each.method == LUCY:
            seen_HW = (pair.seen.exposure_BHW[0] > 0).float()
            rate_BHW = fold(rate_BHW[0], seen_HW, torch.zeros_like(seen_HW))[None]
        if denoise and each.method not in (INPUT, GAUSSIAN, LUCY):
            continue  # interpolated to the pixels that it has
        yield f"{each.method} {each.setting}".strip(), rate_BHW
    if denoise:
        return
    yield "zeros", torch.zeros_like(each.rate_BHW)
    if mixture is not None:
        yield "jolideco", _jolideco.restored(pair.seen, fold, mixture)


def _example(pair: Pair, enhanced: Enhanced) -> Example:
    target_HW, output_HW = _shown_target(pair), pair.shown(enhanced.rate_HW)
    title = f"{pair.name}, {pair.picture.exposure_s / 1e3:.3g} ks"
    return Example(title, input_rate(pair.seen)[0], output_HW, target_HW, enhanced.check_HW)


def _means(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the pairs, of each method and of what compares them."""

    def mean(rows: list[Scores]) -> Scores:
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}

    if not entries:
        return {}
    found: dict[str, Any] = {
        name: sum(each[name] for each in entries) / len(entries)
        for name in ("gap_closed", "gap_closed_plain", "deviance_ratio")
        if all(name in each for each in entries)
    }
    if all(each["network"] for each in entries):
        found["network"] = mean([each["network"] for each in entries])
    names = entries[0]["baselines"]
    found["baselines"] = {n: mean([each["baselines"][n] for each in entries]) for n in names}
    return found


def _networks(weights: Path | None) -> tuple[dict[str, tuple[Model, str]], list[str]]:
    """The network of each part with its version, and what is missing."""
    if weights is not None:
        model = load_model(weights)
        name = model.family.model_name(model.card.spec)
        parts = {task: part for part, task in TASKS.items()}
        if name not in parts:
            raise InputError(f"{weights}: {name} does not enhance images; give superres's weights")
        others = [task for task in parts if task != name]
        return {parts[name]: (model, str(weights))}, [f"{task}: not asked for" for task in others]
    networks, remarks = {}, []
    for part, task in TASKS.items():
        try:
            place, version = find(task, "champion")
        except InputError as error:
            remarks.append(f"{task}: no network judged ({error})")
        else:
            networks[part] = load_model(place), version
    return networks, remarks


def _reference() -> Path:
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("WOLTER_REFERENCE_DATA", beside)) / "xmm_images"
    if not folder.is_dir():
        raise InputError(f"{folder}: not there; set WOLTER_REFERENCE_DATA")
    return folder


if __name__ == "__main__":
    figures = run(pictures=True)
    pictures = figures.pop("pictures")
    text = json.dumps(figures, indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
        for name, png in pictures.items():
            Path(sys.argv[1]).with_suffix(f".{name}.png").write_bytes(png)
