"""Typed batches for training: epochs of records from shards, split by source.

`local_reader` reads the files itself (no Ray); `ray_reader` takes the stream that Ray Data feeds
to one training worker. Both give the same batches. Rows stay in memory when they fit, since
streaming costs several times a training step of the small families; every epoch then is a
permutation of memory, and depends on nothing but its number, the seed and the worker's rank.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from wolter.data.integrity import read_schema, read_shard, verify_all
from wolter.data.record_kinds import record_kind
from wolter.data.schema import RecordBatch
from wolter.data.shards import ShardDataset, table_to_numpy, to_batch
from wolter.data.stream import read_numbered, read_selected, select
from wolter.errors import InputError, told_by_tasks

SAMPLED_FILES = 4  # shards that a sample is taken from
SPREAD_FILES = 32  # and those of one that is spread over a dataset
RAY_BLOCK_BYTES = 32 * 2**20  # a dozen wait in the object store, which must not spill to disk


class Reader(Protocol):
    """Protocol of a reader: batches of an epoch."""

    def __call__(self, epoch: int) -> Iterator[Any]:
        """Batches of epoch number `epoch`, in an order that depends on it and the seed."""


@dataclass(frozen=True)
class BatchConfig:
    """Configuration of batches: size, order, noise, memory.

    Attributes:
        size: rows a batch.
        shuffle: permute rows each epoch.
        fresh_noise: draw new Poisson noise around the noise-free counts each epoch.
        seed: seed of order and noise.
        rank: number of the worker, which draws an order and noise of its own.
        cache_bytes: keep rows in memory if they take at most this many bytes.
        device: device of kept rows and batches.
    """

    size: int = 512
    shuffle: bool = True
    fresh_noise: bool = True
    seed: int = 0
    rank: int = 0
    cache_bytes: int = 8 * 2**30
    device: str = "cpu"


class EpochReader:
    """Batches from a stream of blocks, which is read once if its rows are kept in memory.

    Else it is read every epoch: rows are then permuted within each block only.
    """

    def __init__(
        self,
        stream: Callable[[int | None], Iterable[RecordBatch]],
        config: BatchConfig,
        n_kept: int | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            stream: blocks of an epoch; of no epoch (None) in the order of the files.
            config: batch settings.
            n_kept: number of rows in the stream, to keep them in memory; None streams.
        """
        self.stream, self.config, self.n_kept = stream, config, n_kept
        self.rows: RecordBatch | None = None

    def __call__(self, epoch: int) -> Iterator[Any]:
        """Batches of one epoch; see `Reader`."""
        c = self.config
        generator = torch.Generator(c.device).manual_seed(epoch_seed(c.seed, epoch, c.rank))
        if self.n_kept is None:
            return _ahead(self._cut_stream(epoch, generator))
        if self.rows is None:
            self.rows = gather(self.stream(None), self.n_kept, c.device)
        return _ahead(self._cut(self.rows, generator))

    def _cut_stream(self, epoch: int, generator: torch.Generator) -> Iterator[RecordBatch]:
        rest: RecordBatch | None = None
        for block in self.stream(epoch):
            rows = block.to(self.config.device)
            whole = rows if rest is None else type(rows).concatenate([rest, rows])
            full = len(whole) - len(whole) % self.config.size
            if full:
                yield from self._cut(whole[:full], generator)
            rest = whole[full:] if full < len(whole) else None
        if rest is not None:
            yield from self._cut(rest, generator)

    def _cut(self, rows: RecordBatch, generator: torch.Generator) -> Iterator[RecordBatch]:
        size, device = self.config.size, self.config.device
        order = torch.randperm(len(rows), generator=generator, device=device)
        for start in range(0, len(rows), size):
            piece = slice(start, start + size)
            batch = rows[order[piece]] if self.config.shuffle else rows[piece]
            if self.config.fresh_noise and batch.has_expected:
                batch = batch.redraw(generator)
            yield batch


def _ahead(batches: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
    """Prefetch one batch in a thread, since drawing noise takes as long as a training step."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def epoch_seed(seed: int, epoch: int, rank: int = 0, purpose: int = 0) -> int:
    """Seed of one worker's random numbers in one epoch, independent between all of them."""
    return int(np.random.SeedSequence((seed, epoch, rank, purpose)).generate_state(1)[0])


def gather(blocks: Iterable[RecordBatch], n: int, device: str = "cpu") -> RecordBatch:
    """Join blocks of `n` rows in all, without ever holding them twice.

    Numbers that only some of them hold are NaN in the others.
    """
    whole: RecordBatch | None = None
    end = 0
    for block in blocks:
        columns = {name: value for name, value in vars(block).items() if value is not None}
        if whole is None:
            empty = {k: v.new_empty((n, *v.shape[1:]), device=device) for k, v in columns.items()}
            whole = type(block)(**empty)
        start, end = end, end + len(block)
        for name, value in columns.items():
            if getattr(whole, name) is None:
                setattr(
                    whole, name, value.new_full((n, *value.shape[1:]), torch.nan, device=device)
                )
            getattr(whole, name)[start:end] = value
        for name, whole_N in vars(whole).items():
            if whole_N is not None and name not in columns:
                whole_N[start:end] = torch.nan
    assert whole is not None
    assert end == n, f"{end} rows came, {n} were expected"
    return whole


def fits(dataset: ShardDataset, memory_bytes: int) -> bool:
    """True if all rows of a dataset fit into the given memory."""
    if not dataset.files:
        return True
    schema = read_schema(dataset.files[0])
    columns = [schema.field(name).type for name in _columns(dataset)[1] if name in schema.names]
    numbers = sum(math.prod(getattr(each, "shape", ())) for each in columns)
    return dataset.manifest.rows * 4 * numbers <= memory_bytes


def count_rows(dataset: ShardDataset, split: str = "all") -> int:
    """Rows of a split; verifies every shard and reads one narrow column."""
    verify_all(dataset.files)
    tables = (read_shard(file, ["split_key"]) for file in dataset.files)
    return sum(select(table, split, ["split_key"]).num_rows for table in tables)


def local_reader(dataset: ShardDataset, split: str, config: BatchConfig) -> EpochReader:
    """Reader of shard files in this process, without Ray."""

    def stream(epoch: int | None) -> Iterator[RecordBatch]:
        order = np.arange(len(dataset.files))
        if config.shuffle and epoch is not None:
            order = np.random.default_rng((config.seed, epoch)).permutation(order)
        for index in order:
            table = read_selected(dataset.files[index], split, columns)
            if table.num_rows:
                yield to_batch(table_to_numpy(table), kind)

    kind, columns = _columns(dataset)
    return EpochReader(stream, config, _n_kept(dataset, split, config))


def _columns(dataset: ShardDataset) -> tuple[str, tuple[str, ...]]:
    """The kind of a dataset's records and the columns that make up a batch."""
    kind = dataset.manifest.kind
    return kind, tuple(record_kind(kind).columns)


def _n_kept(dataset: ShardDataset, split: str, config: BatchConfig) -> int | None:
    """Rows of a split if they are to be kept in memory, else None."""
    return count_rows(dataset, split) or None if fits(dataset, config.cache_bytes) else None


def read_split(dataset: ShardDataset, split: str, limit: int | None = None) -> Any:
    """All rows of a split (or the first `limit`) as one batch, in file order.

    Raises:
        InputError: the split has no rows.
    """
    blocks, n = [], 0
    size = record_kind(dataset.manifest.kind).batch_rows(dataset.spec)
    config = BatchConfig(size=size, shuffle=False, fresh_noise=False, cache_bytes=0)
    for batch in local_reader(dataset, split, config)(0):
        blocks.append(batch)
        n += len(batch)
        if limit is not None and n >= limit:
            break
    if not blocks:
        raise InputError(
            f"{dataset.path}: no rows in split {split!r}; use more {dataset.manifest.kind}"
        )
    return type(blocks[0]).concatenate(blocks)[:limit]


def sample_split(dataset: ShardDataset, split: str, n: int) -> Any:
    """About `n` rows of a split from shards spread over the dataset; the same ones always.

    Raises:
        InputError: the split has no rows.
    """
    spread = np.linspace(0, len(dataset.files) - 1, min(SAMPLED_FILES, len(dataset.files)))
    kind, columns = _columns(dataset)
    blocks, wanted = [], n
    for left, index in zip(range(len(spread), 0, -1), spread.astype(int), strict=True):
        rows = read_selected(dataset.files[index], split, columns)[: -(-wanted // left)]
        wanted -= rows.num_rows
        if rows.num_rows:
            blocks.append(to_batch(table_to_numpy(rows), kind))
    return type(blocks[0]).concatenate(blocks) if blocks else read_split(dataset, split, n)


def spread_split(dataset: ShardDataset, split: str, n: int) -> Any:
    """About `n` rows of a split, spread evenly over most shards and within each.

    Blocks of records that are made alike, as with one response, are all among them.

    Raises:
        InputError: the split has no rows.
    """
    spread = np.linspace(0, len(dataset.files) - 1, min(SPREAD_FILES, len(dataset.files)))
    kind, columns = _columns(dataset)
    blocks, wanted = [], max(1, n // len(spread))
    for index in spread.astype(int):
        rows = read_selected(dataset.files[index], split, columns)
        rows = rows.take(np.arange(0, rows.num_rows, max(1, rows.num_rows // wanted)))
        if rows.num_rows:
            blocks.append(to_batch(table_to_numpy(rows), kind))
    return type(blocks[0]).concatenate(blocks) if blocks else read_split(dataset, split, n)


def ray_dataset(dataset: ShardDataset, split: str) -> Any:
    """Ray Data stream of a split's rows, for `ray_reader` in the training workers.

    One task reads one shard, which gives `local_reader`'s rows in its order where Ray Data is told
    to preserve order. (`ray.data.read_parquet` lists and samples the files at every epoch, which
    takes longer than to read them.)
    """
    import ray.data

    files = [str(file.absolute()) for file in dataset.files]
    data = ray.data.range(len(files), override_num_blocks=len(files)).map_batches(
        read_numbered,
        fn_kwargs={"files": files, "split": split, "columns": _columns(dataset)[1]},
        batch_size=None,
    )
    data.context.target_max_block_size = RAY_BLOCK_BYTES
    return data


def ray_reader(iterator: Any, config: BatchConfig, n_kept: int | None, kind: str) -> EpochReader:
    """Reader of the Ray Data iterator that a training worker was given.

    Args:
        iterator: from `ray.train.get_dataset_shard`.
        config: batch settings.
        n_kept: number of rows, to keep them in memory; None streams. The same for all
            workers, since Ray Data waits for every worker to start an epoch.
        kind: kind of its records.
    """

    def stream(_epoch: int | None) -> Iterator[RecordBatch]:
        with told_by_tasks():
            for block in iterator.iter_batches(
                batch_size=None, batch_format="numpy", prefetch_batches=2
            ):
                yield to_batch(block, kind)

    return EpochReader(stream, config, n_kept)
