"""Spectra of one split with what is known of their sources, and the outputs of models for them.

Shapes: C channel, L latent, N source.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from wolter.data.batches import read_split
from wolter.data.integrity import read_shard
from wolter.data.shards import ShardDataset
from wolter.data.split import split_bounds
from wolter.registry.checkpoint import Model
from wolter.spectra.refinement import Refinement, refined
from wolter.spectra.schema import SpectraBatch, SpectraSpec

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Outputs = Mapping[str, Array]
"""Outputs of one model by name, first axis N."""

BATCH = 1024  # spectra that are encoded at once
UNKNOWN = -1  # class of a source whose class is not known


@dataclass(frozen=True)
class Sources:
    """Spectra of one split and what is known of their sources.

    Attributes:
        batch: the spectra.
        spec: names of parameters, classes and catalogue features.
    """

    batch: SpectraBatch
    spec: SpectraSpec

    def __len__(self) -> int:
        return len(self.batch)

    @cached_property
    def counts_N(self) -> Array:
        """Net counts: those of the source region less the background that is expected there."""
        batch = self.batch
        net_N = batch.counts_BC.sum(1) - batch.background_scale_B * batch.background_BC.sum(1)
        return numbers(net_N)

    @cached_property
    def class_N(self) -> Indices:
        """Index of each source's class, `UNKNOWN` where it is not known."""
        if self.batch.class_B is None:
            return np.full(len(self), UNKNOWN)
        return torch.nan_to_num(self.batch.class_B, nan=UNKNOWN).long().numpy()

    def of(self, rows_M: Indices) -> Self:
        """Some of the sources."""
        return replace(self, batch=self.batch[torch.from_numpy(rows_M)])

    def label(self, name: str) -> Array:
        """A physical quantity (N), NaN where it is not known."""
        return self._column(self.batch.parameters_BP, self.spec.names, name)

    def feature(self, name: str) -> Array:
        """A catalogue feature (N), NaN where there is none."""
        return self._column(self.batch.catalogue_BX, self.spec.catalogue, name)

    def _column(self, values: torch.Tensor | None, names: tuple[str, ...], name: str) -> Array:
        if values is None or name not in names:
            return np.full(len(self), np.nan)
        return numbers(values[:, names.index(name)])

    def background(self) -> torch.Tensor:
        """Expected counts in the source region that are not the source's (N, C).

        Noise-free where the records have them, else the counts of the background spectrum.
        """
        batch = self.batch
        if batch.expected_background_BC is None:
            return batch.background_BC * batch.background_scale_B[:, None]
        if batch.unmodelled_BC is None:
            return batch.expected_background_BC
        return (batch.expected_background_BC + batch.unmodelled_BC).clamp_min(0)


def numbers(values: torch.Tensor) -> Array:
    """A tensor as float64."""
    found: Array = values.double().cpu().numpy()
    return found


def read(dataset: ShardDataset, split: str, limit: int | None = None) -> Sources:
    """Sources of a split, or the first `limit` of them.

    Raises:
        InputError: the split has no rows.
    """
    return Sources(read_split(dataset, split, limit), dataset.spec)


def read_folds(
    dataset: ShardDataset, split: str, n_folds: int, limit: int | None = None
) -> Indices:
    """Part, 0 to `n_folds` - 1, of each source of a split (N): all spectra of one are in one part.

    Args:
        dataset: of spectra.
        split: see `read`.
        n_folds: number of parts.
        limit: spectra at most.
    """
    tables = [read_shard(file, ["split_key"]) for file in dataset.files]
    key_N = np.concatenate([table["split_key"].to_numpy() for table in tables])
    low, high = split_bounds(split)
    key_N = key_N[(key_N >= low) & (key_N < high)][:limit]
    found: Indices = ((key_N - low) / (high - low) * n_folds).astype(np.int64)
    return found.clip(0, n_folds - 1)


def refine(
    model: Model, batch: SpectraBatch, advance: Callable[[int], None] | None = None
) -> dict[str, Array] | None:
    """Outputs of a model for spectra, with latents fitted to their counts; see `encode`.

    None where the family's latents cannot be refined.
    """
    if model.family.ability(Refinement) is None:
        return None
    return _in_pieces(
        lambda piece: refined(model.family, model.module, piece).values, batch, advance
    )


def encode(
    model: Model, batch: SpectraBatch, advance: Callable[[int], None] | None = None
) -> dict[str, Array]:
    """Outputs of a model for spectra.

    Args:
        model: any family.
        batch: on its grid.
        advance: told of the spectra done.
    """
    device = next(model.module.parameters()).device
    model.module.eval()
    return _in_pieces(
        lambda piece: model.family.predict(model.module, piece.to(device)), batch, advance
    )


@torch.inference_mode()
def _in_pieces(
    answer: Callable[[SpectraBatch], Mapping[str, torch.Tensor]],
    batch: SpectraBatch,
    advance: Callable[[int], None] | None,
) -> dict[str, Array]:
    pieces: dict[str, list[Array]] = {}
    for start in range(0, len(batch), BATCH):
        piece = batch[start : start + BATCH]
        for name, value in answer(piece).items():
            pieces.setdefault(name, []).append(numbers(value))
        if advance is not None:
            advance(len(piece))
    return {name: np.concatenate(parts) for name, parts in pieces.items()}
