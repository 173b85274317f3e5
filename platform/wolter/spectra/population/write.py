"""Simulated populations, and spectra that follow real rows, as shard datasets, with Ray Data."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from wolter import config as configs
from wolter.data.integrity import encode
from wolter.data.row_writer import REJECT_SCHEMA
from wolter.data.shards import REJECTS, ShardDataset
from wolter.errors import InputError
from wolter.files import make_folder, write_atomically
from wolter.spectra.catalogue_rows.columns import read_rows
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.semi_real import TEMPLATES, SemiRealSimulator
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


class SemiReal:
    """Spectra that follow the rows of a table, some for each row.

    Attributes:
        n: number of spectra.
        rejects: name and reason of the rows that cannot be followed.
    """

    def __init__(
        self, config: PopulationConfig, rows: Path, repeats: int, templates: int = TEMPLATES
    ) -> None:
        """Read the rows, and find out which can be followed.

        Args:
            config: how they are observed and selected; its mix and counts do not matter.
            rows: table of labelled catalogue rows; see
                `wolter.spectra.catalogue_rows.columns.read_rows`.
            repeats: spectra for each row.
            templates: number of templates of each class.

        Raises:
            InputError: the table cannot be read, none of its rows can be followed, or repeats is
                below 1.
        """
        if repeats < 1:
            raise InputError(f"repeats = {repeats}: simulate each row at least once")
        read = read_rows(rows, labelled=True)
        self.simulator = SemiRealSimulator(config, read.rows, templates)
        self.rejects = (*read.rejects, *self.simulator.rejects)
        self.n = len(self.simulator.rows) * repeats
        # The rows themselves, for a file may be moved, or changed under its name.
        digest = hashlib.sha256(rows.read_bytes()).hexdigest()
        self.config: dict[str, Any] = configs.to_dict(config) | {
            "rows": rows.name,
            "rows_sha256": digest,
            "repeats": repeats,
        }

    def write(
        self,
        out: Path,
        seed: int = 0,
        workers: int | None = None,
        on_shard: Callable[[int], None] | None = None,
        blocks_per_shard: int = BLOCKS_PER_SHARD,
    ) -> ShardDataset:
        """Simulate into a shard dataset, with `rejects.parquet` beside it.

        Args:
            out: folder of the dataset; shards that an interrupted run left there are kept.
            seed: seed of all draws.
            workers: tasks at a time, one core each; by default as many as the machine has cores.
            on_shard: called with the number of rows as each shard finishes.
            blocks_per_shard: blocks of 1,024 rows in each shard but the last.

        Raises:
            InputError: the folder is not writable, or holds another dataset.
        """
        make_folder(out)
        columns = {"file": [n for n, _ in self.rejects], "reason": [why for _, why in self.rejects]}
        table = encode(pa.table(columns, REJECT_SCHEMA))
        dataset = write_blocks(
            self.simulator,
            self.config,
            self.n,
            out,
            seed,
            workers,
            on_shard,
            blocks_per_shard,
            len(self.rejects),
        )
        write_atomically(out / REJECTS, table)
        return dataset
