"""Simulated spectra as a shard dataset: the simulator as a Ray Data pipeline, one shard a task."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter import config as configs
from wolter.data.pipeline import make_shards
from wolter.data.shards import (
    Manifest,
    ShardDataset,
    claim_folder,
    to_table,
    write_manifest,
)
from wolter.errors import InputError
from wolter.files import make_folder
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.simulator import BLOCK, SimulateConfig, Simulator

BLOCKS_PER_SHARD = 24  # 75 MB compressed, 150 MB of tensors, on the default grid


class BlockSimulator(Protocol):
    """Protocol of a simulator of blocks of `BLOCK` records; it is sent to every worker."""

    @property
    def spec(self) -> SpectraSpec:
        """Description of the records."""

    @property
    def response_sha256(self) -> str:
        """Hash of the responses."""

    def draw(self, seed: int, block: int) -> SpectraBatch:
        """The records of a block; they depend on (config, seed, block) alone."""

    def sources(self, seed: int, index_B: NDArray[np.int64]) -> Mapping[str, Any]:
        """Columns `source_id` and `split_key` of records."""


def shard_table(simulator: BlockSimulator, seed: int, first: int, n: int) -> pa.Table:
    """The table of `n` rows from block `first` on: whole blocks, the last one cut."""
    pieces = []
    for block in range(first, first + math.ceil(n / BLOCK)):
        index_B = block * BLOCK + np.arange(BLOCK)
        pieces.append(to_table(simulator.draw(seed, block), simulator.sources(seed, index_B)))
    return pa.concat_tables(pieces)[:n]


def shard_rows(n: int, blocks_per_shard: int = BLOCKS_PER_SHARD) -> list[int]:
    """Rows of each shard of a dataset of `n` records."""
    size = blocks_per_shard * BLOCK
    return [min(size, n - start) for start in range(0, n, size)]


@dataclass(frozen=True)
class _Maker:
    """Shard maker of simulated spectra."""

    # The simulator itself: the workers need not read the files again.
    simulator: BlockSimulator
    seed: int
    rows: tuple[int, ...]

    def table(self, index: int) -> pa.Table:
        first = index * self.rows[0] // BLOCK
        return shard_table(self.simulator, self.seed, first, self.rows[index])


def simulate_dataset(
    config: SimulateConfig,
    n: int,
    out: Path,
    seed: int = 0,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
    blocks_per_shard: int = BLOCKS_PER_SHARD,
) -> ShardDataset:
    """Simulate `n` spectra into a shard dataset with Ray Data.

    Args:
        config: what to simulate.
        n: number of spectra.
        out: folder of the dataset; shards that an interrupted run left there are kept.
        seed: seed of all draws.
        workers: tasks at a time, one core each; by default as many as the machine has cores.
        on_shard: called with the number of rows as each shard finishes.
        blocks_per_shard: blocks of 1,024 rows in each shard but the last.

    Raises:
        InputError: a file is bad, the folder is not writable, or holds another dataset.
    """
    # The simulator first, so that bad input fails before Ray starts.
    return write_blocks(
        Simulator(config),
        configs.to_dict(config),
        n,
        out,
        seed,
        workers,
        on_shard,
        blocks_per_shard,
    )


def write_blocks(
    simulator: BlockSimulator,
    config: dict[str, Any],
    n: int,
    out: Path,
    seed: int = 0,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
    blocks_per_shard: int = BLOCKS_PER_SHARD,
    rejects: int = 0,
) -> ShardDataset:
    """Write `n` records of a simulator into a shard dataset with Ray Data.

    Args:
        simulator: draws the records.
        config: what it was made from; with seed and size of the shards, it claims the folder.
        n: number of records.
        out: folder of the dataset; shards that an interrupted run left there are kept.
        seed: seed of all draws.
        workers: tasks at a time, one core each; by default as many as the machine has cores.
        on_shard: called with the number of rows as each shard finishes.
        blocks_per_shard: blocks of 1,024 rows in each shard but the last.
        rejects: sources that could not be simulated.

    Raises:
        InputError: n is below 1, the folder is not writable, or holds another dataset.
    """
    if n < 1:
        raise InputError(f"n = {n}: simulate at least one spectrum")
    make_folder(out)
    claim_folder(out, {"config": config, "seed": seed, "blocks": blocks_per_shard})
    maker = _Maker(simulator, seed, tuple(shard_rows(n, blocks_per_shard)))
    shards = make_shards(maker, out, workers, on_shard)
    manifest = Manifest(
        kind="spectra",
        spec=simulator.spec,
        config=config,
        seed=seed,
        response_sha256=simulator.response_sha256,
        shards=shards,
        rejects=rejects,
    )
    return write_manifest(out, manifest)
