"""Scores of families of images and of the baselines on every pair of a split.

Shapes: B batch, H and W rows and columns, N evaluated pairs.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wolter.data.batches import BatchConfig, local_reader
from wolter.data.shards import ShardDataset
from wolter.data.stream import read_selected
from wolter.errors import InputError
from wolter.images.evaluate import baselines, scores
from wolter.images.evaluate.coverage import Coverage
from wolter.images.evaluate.detection import Array
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.targets import Targets, targets
from wolter.images.tiling import holds_background
from wolter.registry.checkpoint import Model
from wolter.xray.imaging.consistency import ForwardImage, chi2
from wolter.xray.instruments.psf import Psf

LEVELS = {"68": ("lower", "upper"), "95": ("lower_95", "upper_95")}
NOT_FOLDED = 1.05  # ratio of widths, below which two point-spread functions are the same
LEAST = ("l1", "deviance", "chi2")  # beginnings of scores that are better the lower they are
FLUX = "flux_ratio"  # better the closer to 1; of the sums of two scores
MADE, SEEN = "flux_made", "flux_seen"


@dataclass(frozen=True)
class Scores:
    """Scores (N) by name, by method and setting; a network's setting is empty.

    Attributes:
        methods: method -> setting -> score -> (N).
        n: pairs.
        fields: name (N) of the field of each pair; empty: all are of different fields.
        coverage: method -> "answer" or "truth" -> coverage of its intervals by that brightness.
    """

    methods: dict[str, dict[str, dict[str, Array]]]
    n: int
    fields: tuple[str, ...] = ()
    coverage: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)

    def best(self, method: str) -> dict[str, tuple[str, Array, Array]]:
        """For each score the setting with the best mean; of this, values (N) and weights (N).

        The mean is the sum of the values over that of the weights: 1, or the photons' counts.
        """
        settings = self.methods[method]
        found = {}
        for name in _names(next(iter(settings.values()))):
            parts = {key: _parts(name, columns) for key, columns in settings.items()}
            mean = {key: badness(name, float(v.sum() / w.sum())) for key, (v, w) in parts.items()}
            setting = min(mean, key=mean.__getitem__)
            found[name] = (setting, *parts[setting])
        return found

    def by_field(self, values_N: Array) -> Array:
        """Sums over the pairs of each field, which are not independent."""
        if not self.fields:
            return values_N
        _, field_N = np.unique(self.fields, return_inverse=True)
        sums: Array = np.bincount(field_N, weights=values_N).astype(np.float64)
        return sums


def _names(columns: Mapping[str, Array]) -> list[str]:
    names = [name for name in columns if name not in (MADE, SEEN)]
    return [FLUX, *names] if SEEN in columns else names


def _parts(name: str, columns: Mapping[str, Array]) -> tuple[Array, Array]:
    """Values and weights of a score, 0 where it has none."""
    values_N, weights_N = columns[MADE if name == FLUX else name], None
    if name == FLUX:
        weights_N = columns[SEEN]
    known_N = np.isfinite(values_N)
    return np.where(known_N, values_N, 0.0), known_N * (1.0 if weights_N is None else weights_N)


def badness(name: str, value: float) -> float:
    """Badness of a score: lower is better for every score."""
    if name == FLUX:
        return abs(math.log(max(value, 1e-9)))
    return value if name.removeprefix("masked_").removeprefix("true_").startswith(LEAST) else -value


@dataclass
class _Columns:
    pieces: dict[str, dict[str, dict[str, list[Tensor]]]] = field(default_factory=dict)
    coverage: dict[str, dict[str, Coverage]] = field(default_factory=dict)

    def add(self, method: str, setting: str, values: dict[str, Tensor]) -> None:
        own = self.pieces.setdefault(method, {}).setdefault(setting, {})
        for name, value_B in values.items():
            own.setdefault(name, []).append(value_B)

    def joined(self, n: int, fields: tuple[str, ...]) -> Scores:
        return Scores(
            {
                method: {
                    setting: {k: torch.cat(v).double().numpy() for k, v in columns.items()}
                    for setting, columns in settings.items()
                }
                for method, settings in self.pieces.items()
            },
            n,
            fields,
            {
                method: {by: each.deciles() for by, each in found.items()}
                for method, found in self.coverage.items()
            },
        )


def fold_of(spec: ImageSpec, axis_yx: tuple[float, float] | None = None) -> ForwardImage:
    """Forward folding from a dataset's targets to its inputs."""
    energy = float(np.sqrt(spec.band_kev[0] * spec.band_kev[1]))
    wide, narrow = spec.psf_fwhm_arcsec
    ratio = wide / narrow if wide and narrow else 1.0
    sharpness = ratio if ratio > NOT_FOLDED else 1.0
    return ForwardImage(
        spec.scale, spec.pixel_arcsec, Psf(), sharpness, energy_kev=energy, axis_yx=axis_yx
    )


def score(
    models: Sequence[Model],
    labels: Sequence[str],
    dataset: ShardDataset,
    split: str,
    limit: int | None = None,
    batch_size: int = 4,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Score models and baselines on the pairs of a split.

    Besides `scores.scores`: `chi2` of the input's photons under the folded image, and, where
    a network gives intervals and the truth is known, `coverage_68` and `coverage_95`.

    Raises:
        InputError: the split is empty or has no targets, or a model makes other pixels.
    """
    spec = dataset.spec
    for model in models:
        other = model.card.spec.mismatch(spec)
        if other:
            raise InputError(f"{dataset.path}: {model.family.name} {other}")
    fold = fold_of(spec)
    columns, n = _Columns(), 0
    for batch in _batches(dataset, split, limit, batch_size):
        target = targets(batch, spec)
        for label, model in zip(labels, models, strict=True):
            found, rate_BHW, limits = _network(model, batch, target, fold)
            columns.add(label, "", found)
            if limits and target.truth is not None:
                covered = columns.coverage.setdefault(label, {})
                for by, by_BHW in (("answer", rate_BHW), ("truth", target.truth)):
                    each = covered.setdefault(by, Coverage())
                    each.add(by_BHW, target.truth, target.valid, limits)
        sharpen = fold if fold.sharpness > 1 else None
        for made in baselines.baselines(batch, spec.scale, sharpen, spec.target_background):
            # Targets with background are judged by sources alone, and their background added.
            rate_BHW = made.rate_BHW - target.background / target.exposure
            found = scores.scores(rate_BHW, target)
            columns.add(made.method, made.setting, found)
        n += len(batch)
        if progress is not None:
            progress(len(batch))
    if not n:
        raise InputError(f"{dataset.path}: no rows in split {split!r}; use more images")
    return columns.joined(n, _fields(dataset, split, n))


def _fields(dataset: ShardDataset, split: str, n: int) -> tuple[str, ...]:
    """Source ids of the first rows of a split, in the order in which they are read."""
    names: list[str] = []
    for file in dataset.files:
        if len(names) < n:
            names += read_selected(file, split, ("source_id",))["source_id"].to_pylist()
    return tuple(names[:n])


def _batches(
    dataset: ShardDataset, split: str, limit: int | None, size: int
) -> Iterator[ImageBatch]:
    config = BatchConfig(size=size, shuffle=False, fresh_noise=False, cache_bytes=0)
    left = limit
    for batch in local_reader(dataset, split, config)(0):
        rows = batch if left is None else batch[:left]
        yield rows
        if left is not None:
            left -= len(rows)
            if left <= 0:
                return


@torch.inference_mode()
def _network(
    model: Model, batch: ImageBatch, target: Targets, fold: ForwardImage
) -> tuple[dict[str, Tensor], Tensor, dict[str, tuple[Tensor, Tensor]]]:
    """Scores (B), rates, and the limits of intervals by level."""
    device = next(model.module.parameters()).device
    answer = model.family.predict(model.module.eval(), batch.to(device))
    answer = {name: value.cpu() for name, value in answer.items()}
    rate_BHW = answer["rate"]
    found = scores.scores(rate_BHW, target)
    level_BHW = batch.background_BHW
    if holds_background(model):
        level_BHW = torch.zeros_like(level_BHW)
    found["chi2"] = torch.tensor(
        [
            chi2(counts_HW, fold(rate_HW, exposure_HW, background_HW), exposure_HW)
            for rate_HW, counts_HW, exposure_HW, background_HW in zip(
                rate_BHW, batch.counts_BHW, batch.exposure_BHW, level_BHW, strict=True
            )
        ]
    )
    limits = {k: (answer[low], answer[high]) for k, (low, high) in LEVELS.items() if low in answer}
    if target.truth is not None:
        for level, ends in limits.items():
            found[f"coverage_{level}"] = scores.coverage(*ends, target)
    return found, rate_BHW, limits
