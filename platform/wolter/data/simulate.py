"""Simulated spectra as a shard dataset: the simulator as a Ray Data pipeline, one shard a task."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from wolter import config as configs
from wolter.cluster import connected, cores
from wolter.data.shards import (
    Manifest,
    Shard,
    ShardDataset,
    claim_folder,
    finished_shard,
    make_folder,
    to_table,
    write_manifest,
    write_shard,
)
from wolter.data.simulator import BLOCK, SimulateConfig, Simulator, seed_of
from wolter.data.split import index_keys
from wolter.errors import InputError

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


class _ShardWriter:
    """Ray Data actor: writes the shards whose indices it is given, or finds them finished."""

    def __init__(self, simulator: Simulator, out: str, seed: int, rows: list[int]) -> None:
        torch.set_num_threads(1)  # one actor a core; also makes the bytes independent of cores
        self.simulator = simulator
        self.out, self.seed, self.rows = Path(out), seed, rows

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        shards = [self._write(int(index)) for index in batch["id"]]
        return {
            "index": list(batch["id"]),
            "name": [shard.name for shard in shards],
            "rows": [shard.rows for shard in shards],
            "sha256": [shard.sha256 for shard in shards],
        }

    def _write(self, index: int) -> Shard:
        done = finished_shard(self.out, index)
        if done is not None and done.rows == self.rows[index]:
            return done
        first = index * self.rows[0] // BLOCK
        table = shard_table(self.simulator, self.seed, first, self.rows[index])
        return write_shard(self.out, index, table)


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
        workers: Ray actors, one core each; by default as many as the machine has cores.
        on_shard: called with the number of rows as each shard finishes.
        blocks_per_shard: blocks of 1,024 rows in each shard but the last.

    Raises:
        InputError: a file is bad, the folder is not writable, or holds another dataset.
    """
    import ray

    if n < 1:
        raise InputError(f"n = {n}: simulate at least one spectrum")
    simulator = Simulator(config)  # here first, so that bad input fails before Ray starts
    make_folder(out)
    claim = {"config": configs.to_dict(config), "seed": seed, "blocks": blocks_per_shard}
    claim_folder(out, claim)
    rows = shard_rows(n, blocks_per_shard)
    with connected():
        workers = min(workers or cores(), len(rows))
        results = ray.data.range(len(rows), override_num_blocks=len(rows)).map_batches(
            _ShardWriter,
            # The simulator itself: the workers need not read the files again.
            fn_constructor_args=(simulator, str(out.absolute()), seed, rows),
            batch_size=1,
            num_cpus=1,
            # A shard takes seconds: none waits for a busy worker while another is idle.
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
        )
        shards: dict[int, Shard] = {}
        for row in results.iter_rows():
            shards[int(row["index"])] = Shard(row["name"], int(row["rows"]), row["sha256"])
            if on_shard is not None:
                on_shard(int(row["rows"]))
    manifest = Manifest(
        kind="spectra",
        spec=simulator.spec,
        config=configs.to_dict(config),
        seed=seed,
        response_sha256=simulator.response_sha256,
        shards=tuple(shards[i] for i in range(len(rows))),
    )
    return write_manifest(out, manifest)
