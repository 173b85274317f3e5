"""Simulated spectra as a shard dataset: the simulator as a Ray Data pipeline, one shard a task."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from wolter import config as configs
from wolter.data.pipeline import make_shards
from wolter.data.seeds import seed_of
from wolter.data.shards import (
    Manifest,
    ShardDataset,
    claim_folder,
    to_table,
    write_manifest,
)
from wolter.data.split import index_keys
from wolter.errors import InputError
from wolter.files import make_folder
from wolter.spectra.simulator import BLOCK, SimulateConfig, Simulator

BLOCKS_PER_SHARD = 24  # 75 MB compressed, 150 MB of tensors, on the default grid


def shard_table(simulator: Simulator, seed: int, first: int, n: int) -> pa.Table:
    """The table of `n` rows from block `first` on: whole blocks, the last one cut."""
    pieces = []
    for block in range(first, first + math.ceil(n / BLOCK)):
        index_B = block * BLOCK + np.arange(BLOCK)
        extra = {
            "source_id": pa.array(np.char.add(f"sim-{seed}-", index_B.astype(str))),
            "split_key": index_keys(seed_of(seed, 0, "split"), index_B),
        }
        pieces.append(to_table(simulator.draw(seed, block), extra))
    return pa.concat_tables(pieces)[:n]


def shard_rows(n: int, blocks_per_shard: int = BLOCKS_PER_SHARD) -> list[int]:
    """Rows of each shard of a dataset of `n` records."""
    size = blocks_per_shard * BLOCK
    return [min(size, n - start) for start in range(0, n, size)]


@dataclass(frozen=True)
class _Maker:
    """Shard maker of simulated spectra."""

    # The simulator itself: the workers need not read the files again.
    simulator: Simulator
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
    if n < 1:
        raise InputError(f"n = {n}: simulate at least one spectrum")
    simulator = Simulator(config)  # here first, so that bad input fails before Ray starts
    make_folder(out)
    claim = {"config": configs.to_dict(config), "seed": seed, "blocks": blocks_per_shard}
    claim_folder(out, claim)
    maker = _Maker(simulator, seed, tuple(shard_rows(n, blocks_per_shard)))
    shards = make_shards(maker, out, workers, on_shard)
    manifest = Manifest(
        kind="spectra",
        spec=simulator.spec,
        config=configs.to_dict(config),
        seed=seed,
        response_sha256=simulator.response_sha256,
        shards=shards,
    )
    return write_manifest(out, manifest)
