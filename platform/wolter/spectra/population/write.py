"""A simulated population as a shard dataset, with Ray Data."""

from collections.abc import Callable
from pathlib import Path

from wolter import config as configs
from wolter.data.shards import ShardDataset
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.simulator import PopulationSimulator
from wolter.spectra.simulate import write_blocks

BLOCKS_PER_SHARD = 16


def population_dataset(
    config: PopulationConfig,
    n: int,
    out: Path,
    seed: int = 0,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
    blocks_per_shard: int = BLOCKS_PER_SHARD,
) -> ShardDataset:
    """Simulate `n` sources into a shard dataset with Ray Data.

    Args:
        config: what to simulate.
        n: number of sources.
        out: folder of the dataset; shards that an interrupted run left there are kept.
        seed: seed of all draws.
        workers: tasks at a time, one core each; by default as many as the machine has cores.
        on_shard: called with the number of rows as each shard finishes.
        blocks_per_shard: blocks of 1,024 rows in each shard but the last.

    Raises:
        InputError: plasma is wanted and its package is missing, n is below 1, or the folder is not
            writable or holds another dataset.
    """
    simulator = PopulationSimulator(config)
    values = configs.to_dict(config)
    return write_blocks(simulator, values, n, out, seed, workers, on_shard, blocks_per_shard)
