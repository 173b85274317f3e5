"""Parallel shard production with Ray Data, one shard a task."""

import functools
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
    """Protocol of a shard maker: the table of a shard by its index."""

    @property
    def rows(self) -> Sequence[int]:
        """Rows of each shard."""

    def table(self, index: int) -> pa.Table:
        """The content of shard `index`."""


class _ShardWriter:
    """Ray Data task that writes shards by index, and skips finished ones."""

    def __init__(self, maker: ShardMaker, out: str) -> None:
        keep_freed()
        torch.set_num_threads(1)  # one task a core; also makes the bytes independent of cores
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
        workers: tasks at a time, one core each; by default as many as the machine has cores.
        on_shard: called with the number of rows as each shard finishes.

    Raises:
        InputError: the disk is full.
    """
    n = len(maker.rows)
    with connected(), told_by_tasks():
        results = in_tasks(_ShardWriter, (maker, str(out.absolute())), n, workers)
        shards: dict[int, Shard] = {}
        for row in results.iter_rows():
            shards[int(row["index"])] = Shard(row["name"], int(row["rows"]), row["sha256"])
            if on_shard is not None:
                on_shard(int(row["rows"]))
    return tuple(shards[i] for i in range(n))


def in_tasks(
    build: Callable[..., Callable[[dict[str, np.ndarray]], Any]],
    arguments: tuple[Any, ...],
    n: int,
    workers: int | None = None,
) -> Any:
    """Map `build(*arguments)` over the indices 0 to n - 1 with Ray Data, as `{"id": [i]}`.

    A process builds it once, for all tasks that it runs. Ray keeps tasks whose process is lost, and
    what they need, by itself; actors would lose constructor arguments that sit in its store.

    Args:
        build: a class, or a function.
        arguments: sent to every process once.
        n: tasks, of a few seconds each.
        workers: of them at a time, one core each; by default as many as the machine has cores.
    """
    import ray

    kept = ray.put((build, arguments))
    return ray.data.range(n, override_num_blocks=n).map_batches(
        _call,
        fn_args=([kept],),
        batch_size=1,
        num_cpus=1,
        compute=ray.data.TaskPoolStrategy(size=min(workers or cores(), n)),
    )


def _call(block: dict[str, np.ndarray], kept: list[Any]) -> Any:
    """Ray Data task: run what is kept."""
    return _built(kept[0])(block)


@functools.lru_cache(maxsize=1)
def _built(kept: Any) -> Callable[[dict[str, np.ndarray]], Any]:
    import ray

    build, arguments = ray.get(kept)
    made: Callable[[dict[str, np.ndarray]], Any] = build(*arguments)
    return made
