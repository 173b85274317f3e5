"""Typed batches for training: epochs of `SpectraBatch` from shards, split by source.

Two readers give the same batches: `LocalReader` reads the files itself (no Ray), `RayReader`
takes the stream that Ray Data feeds to one training worker. Both keep the rows that they have
seen in memory when these fit, since streaming costs several times a training step of the small
families; every later epoch then is a permutation of memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as pads
import torch

from wolter.data.schema import SpectraBatch
from wolter.data.shards import BATCH_COLUMNS, ShardDataset, table_to_numpy, to_batch
from wolter.errors import InputError

SPLITS = {"test": (0.0, 0.05), "validation": (0.05, 0.10), "train": (0.10, 1.0), "all": (0.0, 1.0)}


class Reader(Protocol):
    """Gives the batches of an epoch."""

    def __call__(self, epoch: int) -> Iterator[SpectraBatch]:
        """Batches of epoch number `epoch`, in an order that depends on it and the seed."""


@dataclass(frozen=True)
class BatchConfig:
    """How to cut rows into batches.

    Attributes:
        size: rows a batch.
        shuffle: permute rows each epoch.
        fresh_noise: draw new Poisson noise around the noise-free counts each epoch.
        seed: seed of order and noise.
        cache_bytes: keep rows in memory up to this many bytes.
    """

    size: int = 512
    shuffle: bool = True
    fresh_noise: bool = True
    seed: int = 0
    cache_bytes: int = 8 * 2**30


class EpochReader:
    """Batches from a stream of blocks, cached in memory after the first pass when they fit.

    Without the cache, rows are permuted within each block and blocks come in the stream's order.
    """

    def __init__(
        self, stream: Callable[[int], Iterator[SpectraBatch]], config: BatchConfig
    ) -> None:
        self.stream, self.config = stream, config
        self.rows: SpectraBatch | None = None

    def __call__(self, epoch: int) -> Iterator[SpectraBatch]:
        """Batches of one epoch; see `Reader`."""
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
        if self.rows is not None:
            yield from self._cut(self.rows, generator)
            return
        kept: list[SpectraBatch] | None = []
        size = 0
        rest: SpectraBatch | None = None
        for block in self.stream(epoch):
            size += n_bytes(block)
            if kept is not None and size <= self.config.cache_bytes:
                kept.append(block)
            else:
                kept = None
            whole = block if rest is None else SpectraBatch.concatenate([rest, block])
            full = len(whole) - len(whole) % self.config.size
            if full:
                yield from self._cut(whole[:full], generator)
            rest = whole[full:] if full < len(whole) else None
        if rest is not None:
            yield from self._cut(rest, generator)
        if kept:
            self.rows = SpectraBatch.concatenate(kept)

    def _cut(self, rows: SpectraBatch, generator: torch.Generator) -> Iterator[SpectraBatch]:
        order = (
            torch.randperm(len(rows), generator=generator)
            if self.config.shuffle
            else torch.arange(len(rows))
        )
        for start in range(0, len(rows), self.config.size):
            batch = rows[order[start : start + self.config.size]]
            if self.config.fresh_noise and batch.expected_BKC is not None:
                batch = batch.redraw(generator)
            yield batch


def n_bytes(batch: SpectraBatch) -> int:
    """Memory of a batch's tensors."""
    return sum(t.numel() * t.element_size() for t in vars(batch).values() if t is not None)


def split_bounds(split: str) -> tuple[float, float]:
    """Interval of `split_key` that makes up a split.

    Raises:
        InputError: no split has this name.
    """
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}; choose one of: {', '.join(SPLITS)}")
    return SPLITS[split]


def count_rows(dataset: ShardDataset, split: str = "all") -> int:
    """Rows of a split; reads one narrow column."""
    low, high = split_bounds(split)
    key = pads.field("split_key")
    table = pads.dataset([str(f) for f in dataset.files])
    return int(table.count_rows(filter=(key >= low) & (key < high)))


def local_reader(
    dataset: ShardDataset, split: str, config: BatchConfig, rank: int = 0, world: int = 1
) -> EpochReader:
    """Reader of the files themselves, for one of `world` workers; needs no Ray."""
    low, high = split_bounds(split)

    def stream(epoch: int) -> Iterator[SpectraBatch]:
        order = np.arange(len(dataset.files))
        if config.shuffle:
            order = np.random.default_rng((config.seed, epoch)).permutation(order)
        for index in order:
            table = dataset.read(int(index))
            key = table["split_key"]
            keep = pc.and_(pc.greater_equal(key, low), pc.less(key, high))
            columns = table_to_numpy(table.select(present(table.column_names)).filter(keep))
            if len(next(iter(columns.values()))):
                batch = to_batch(columns)
                yield batch if world == 1 else batch[rank::world]

    return EpochReader(stream, config)


def present(names: list[str]) -> list[str]:
    """The columns among `names` that make up a batch."""
    return [name for name in BATCH_COLUMNS if name in names]


def read_split(dataset: ShardDataset, split: str, limit: int | None = None) -> SpectraBatch:
    """All rows of a split (or the first `limit`) as one batch, in file order.

    Raises:
        InputError: the split has no rows.
    """
    blocks, n = [], 0
    config = BatchConfig(size=4096, shuffle=False, fresh_noise=False, cache_bytes=0)
    for batch in local_reader(dataset, split, config)(0):
        blocks.append(batch)
        n += len(batch)
        if limit is not None and n >= limit:
            break
    if not blocks:
        raise InputError(f"{dataset.path}: no rows in split {split!r}; use more spectra")
    return SpectraBatch.concatenate(blocks)[:limit]


def ray_dataset(dataset: ShardDataset, split: str) -> Any:
    """Ray Data stream of a split's rows, for `ray_reader` in the training workers."""
    import ray

    low, high = split_bounds(split)

    def keep(table: Any) -> Any:
        key = table["split_key"]
        mask = pc.and_(pc.greater_equal(key, low), pc.less(key, high))
        return table.filter(mask).select(present(table.column_names))

    data = ray.data.read_parquet([str(f.absolute()) for f in dataset.files])
    return data.map_batches(keep, batch_format="pyarrow", batch_size=None, zero_copy_batch=True)


def ray_reader(iterator: Any, config: BatchConfig) -> EpochReader:
    """Reader of the Ray Data iterator that a training worker was given."""

    def stream(_epoch: int) -> Iterator[SpectraBatch]:
        for columns in iterator.iter_batches(
            batch_size=4096, batch_format="numpy", prefetch_batches=2
        ):
            yield to_batch(columns)

    return EpochReader(stream, config)
