"""Shards made in parallel: a maker of tables as a Ray Data pipeline, one shard a task."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch

from wolter.cluster import connected, cores
from wolter.data.shards import Shard, finished_shard, write_shard
from wolter.errors import told_by_tasks
from wolter.memory import keep_freed


class ShardMaker(Protocol):
    """Makes the table of any shard, from its index alone."""

    @property
    def rows(self) -> Sequence[int]:
        """Rows of each shard."""

    def table(self, index: int) -> pa.Table:
        """The content of shard `index`."""


class _ShardWriter:
    """Ray Data actor: writes the shards whose indices it is given, or finds them finished."""

    def __init__(self, maker: ShardMaker, out: str) -> None:
        keep_freed()
        torch.set_num_threads(1)  # one actor a core; also makes the bytes independent of cores
        self.maker, self.out = maker, Path(out)

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
        if done is not None and done.rows == self.maker.rows[index]:
            return done
        return write_shard(self.out, index, self.maker.table(index))


def make_shards(
    maker: ShardMaker,
    out: Path,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
) -> tuple[Shard, ...]:
    """Write all shards of a maker into a folder; finished ones are kept.

    Args:
        maker: sent to every worker.
        out: the folder.
        workers: Ray actors, one core each; by default as many as the machine has cores.
        on_shard: called with the number of rows as each shard finishes.

    Raises:
        InputError: the disk is full.
    """
    import ray

    n = len(maker.rows)
    with connected(), told_by_tasks():
        results = ray.data.range(n, override_num_blocks=n).map_batches(
            _ShardWriter,
            fn_constructor_args=(maker, str(out.absolute())),
            batch_size=1,
            num_cpus=1,
            # A shard takes seconds: none waits for a busy worker while another is idle.
            compute=ray.data.ActorPoolStrategy(
                size=min(workers or cores(), n), max_tasks_in_flight_per_actor=1
            ),
        )
        shards: dict[int, Shard] = {}
        for row in results.iter_rows():
            shards[int(row["index"])] = Shard(row["name"], int(row["rows"]), row["sha256"])
            if on_shard is not None:
                on_shard(int(row["rows"]))
    return tuple(shards[i] for i in range(n))
