"""Predictions of trained models on a split of a dataset, batch by batch.

Spectra are never held beyond one shard; what stays of each is its label and the models' answers,
some hundred bytes.

Shapes: B batch, C channel, K component, N evaluated spectrum, P parameter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.data.batches import BatchConfig, local_reader
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.registry.checkpoint import Model
from wolter.spectra.evaluate.calibration import Calibration, ranks
from wolter.spectra.evaluate.metrics import component_residuals
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.translation import translated

Array = NDArray[np.float64]
EXAMPLE_QUANTILES = (0.95, 0.7, 0.4, 0.1)  # of the counts, bright to faint


@dataclass(frozen=True)
class Example:
    """One spectrum with its decomposition; counts per channel.

    `predicted_KC` comes from the model named `model`; see `SpectraBatch` for the others.
    """

    model: str
    components: tuple[str, ...]
    exposure_s: float
    parameters: dict[str, float]
    counts_C: Array
    background_C: Array
    true_KC: Array
    predicted_KC: Array


@dataclass(frozen=True)
class Answers:
    """Predictions of one model for N spectra, with the columns of `component_residuals`."""

    mean_NP: Array
    median_NP: Array
    relative_NK: Array | None
    squared_NK: Array | None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Predictions:
    """Labels of N spectra, predictions of every model, and a few decomposed examples."""

    truth_NP: Array
    exposure_N: Array
    counts_N: Array
    answers: tuple[Answers, ...]
    examples: tuple[Example, ...]


@dataclass
class _Columns:
    """Pieces of one model's answers, joined at the end."""

    mean: list[Tensor] = field(default_factory=list)
    median: list[Tensor] = field(default_factory=list)
    relative: list[Tensor] = field(default_factory=list)
    squared: list[Tensor] = field(default_factory=list)
    ranks: list[Array] = field(default_factory=list)
    n_samples: int = 0

    def joined(self, names: Sequence[str]) -> Answers:
        return Answers(
            _join(self.mean),
            _join(self.median),
            _join(self.relative) if self.relative else None,
            _join(self.squared) if self.squared else None,
            Calibration(tuple(names), np.concatenate(self.ranks), self.n_samples)
            if self.ranks
            else None,
        )


def _join(parts: Sequence[Tensor]) -> Array:
    return torch.cat(list(parts)).double().numpy()


def check_grid(model: Model, dataset: ShardDataset) -> None:
    """Check that a model reads the spectra of a dataset.

    Raises:
        InputError: the kind or the energy grid differs.
    """
    own, given, name = model.card.spec, dataset.spec, model.family.name
    if model.family.kind != dataset.manifest.kind:
        raise InputError(
            f"{dataset.path}: holds {dataset.manifest.kind}, {name} reads {model.family.kind}; "
            "choose another dataset"
        )
    if len(own.energy_edges) != len(given.energy_edges) or not np.allclose(
        own.energy_edges, given.energy_edges, rtol=1e-6
    ):
        raise InputError(
            f"{dataset.path}: its {given.n_channels} channels from {given.energy_edges[0]:g} to "
            f"{given.energy_edges[-1]:g} keV are not {name}'s grid ({own.n_channels} from "
            f"{own.energy_edges[0]:g} to {own.energy_edges[-1]:g} keV); make the dataset on it"
        )


def check_compatible(model: Model, dataset: ShardDataset) -> None:
    """Check that a model's estimates can be evaluated on a dataset.

    Raises:
        InputError: the kind, the energy grid or the parameters differ, or there are no true labels.
    """
    check_grid(model, dataset)
    own, given, name = model.card.spec, dataset.spec, model.family.name
    if dataset.manifest.labels:
        raise InputError(
            f"{dataset.path}: its labels are estimates ({dataset.manifest.labels}); evaluate on a "
            "simulated dataset"
        )
    missing = [parameter for parameter in own.names if parameter not in given.names]
    if missing:
        raise InputError(
            f"{dataset.path}: has no labels for {', '.join(missing)}, which {name} estimates; "
            "evaluate on a simulated dataset of the same model"
        )


def predict_split(
    models: Sequence[Model],
    dataset: ShardDataset,
    split: str = "test",
    limit: int | None = None,
    batch_size: int = 1024,
    progress: Callable[[int], None] | None = None,
    translator: Model | None = None,
) -> Predictions:
    """Predict the first `limit` spectra of a split with every model, in one pass.

    The columns of the labels and answers are in the order of the first model's parameters, which
    all models must have.

    Args:
        models: loaded models.
        dataset: a labelled dataset on the models' grid.
        split: "test", "validation", "train" or "all".
        limit: evaluate at most so many spectra.
        batch_size: spectra a forward pass.
        progress: called with the number of spectra done by each batch.
        translator: carries the spectra to the simulated domain before the models read them.

    Raises:
        InputError: a model does not fit the dataset, or the split has no rows.
    """
    names = models[0].card.spec.names
    for model in models:
        check_compatible(model, dataset)
        if set(model.card.spec.names) != set(names):
            raise InputError(
                f"{model.family.name} estimates {', '.join(model.card.spec.names)} and "
                f"{models[0].family.name} {', '.join(names)}; evaluate them one at a time"
            )
    column_P = [dataset.spec.names.index(name) for name in names]
    truth, exposure, counts = [], [], []
    columns = [_Columns() for _ in models]
    examples: tuple[Example, ...] = ()
    rows = 0
    config = BatchConfig(size=batch_size, shuffle=False, fresh_noise=False, cache_bytes=0)
    for whole in local_reader(dataset, split, config)(0):
        batch = whole if limit is None else whole[: limit - rows]
        assert batch.parameters_BP is not None  # check_compatible has found their names
        truth.append(batch.parameters_BP[:, column_P])
        exposure.append(batch.exposure_B)
        counts.append(batch.counts_BC.sum(1))
        read = batch
        if translator is not None:
            read = translated(translator.family, translator.module, batch)
        for model, own in zip(models, columns, strict=True):
            predicted = _answer(model, read, own, names, truth[-1])
            true_BKC = _true_components(model, dataset, batch)
            if predicted is None or true_BKC is None:
                continue
            relative_BK, squared_BK = component_residuals(predicted, true_BKC)
            own.relative.append(relative_BK)
            own.squared.append(squared_BK)
            if rows == 0 and not examples:
                examples = _examples(model, dataset.spec, batch, true_BKC, predicted)
        rows += len(batch)
        if progress is not None:
            progress(len(batch))
        if limit is not None and rows >= limit:
            break
    if rows == 0:
        raise InputError(f"{dataset.path}: no rows in split {split!r}; use more spectra")
    answers = tuple(own.joined(names) for own in columns)
    return Predictions(_join(truth), _join(exposure), _join(counts), answers, examples)


@torch.inference_mode()
def _answer(
    model: Model, batch: SpectraBatch, own: _Columns, names: Sequence[str], truth_BP: Tensor
) -> Tensor | None:
    """Append the model's estimates to its columns; return its components (B, K, C) if any."""
    device = next(model.module.parameters()).device
    model.module.eval()
    values = {k: v.cpu() for k, v in model.family.predict(model.module, batch.to(device)).items()}
    own.mean.append(torch.stack([values[name] for name in names], 1))
    own.median.append(torch.stack([values.get(f"{n}_mfe", values[n]) for n in names], 1))
    if "samples" in values:
        order_P = [model.card.spec.names.index(name) for name in names]
        own.n_samples = values["samples"].shape[1]
        own.ranks.append(ranks(values["samples"][..., order_P].numpy(), truth_BP.numpy()))
    return values.get("components")


def _true_components(model: Model, dataset: ShardDataset, batch: SpectraBatch) -> Tensor | None:
    """Noise-free components (B, K, C) in the model's order, where the dataset has them."""
    stored, wanted = dataset.spec.components, model.card.spec.components
    if batch.expected_BKC is None or not set(wanted) <= set(stored):
        return None
    return batch.expected_BKC[:, [stored.index(name) for name in wanted]]


def _examples(
    model: Model, spec: SpectraSpec, batch: SpectraBatch, true_BKC: Tensor, predicted_BKC: Tensor
) -> tuple[Example, ...]:
    """Spectra from bright to faint, chosen by their counts alone."""
    order_B = batch.counts_BC.sum(1).argsort()
    picks = dict.fromkeys(int(order_B[round(q * (len(batch) - 1))]) for q in EXAMPLE_QUANTILES)
    assert batch.parameters_BP is not None
    background_BC = batch.background_BC * batch.background_scale_B[:, None]
    if batch.expected_background_BC is not None:
        background_BC = batch.expected_background_BC
    return tuple(
        Example(
            model=model.family.name,
            components=model.card.spec.components,
            exposure_s=float(batch.exposure_B[i]),
            parameters=dict(zip(spec.names, batch.parameters_BP[i].tolist(), strict=True)),
            counts_C=batch.counts_BC[i].double().numpy(),
            background_C=background_BC[i].double().numpy(),
            true_KC=true_BKC[i].double().numpy(),
            predicted_KC=predicted_BKC[i].double().numpy(),
        )
        for i in picks
    )
