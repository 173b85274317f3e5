"""Simulated image pairs as a shard dataset: the simulator as a Ray Data pipeline."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from wolter import config as configs
from wolter.data.pipeline import make_shards
from wolter.data.seeds import seed_of
from wolter.data.shards import Manifest, ShardDataset, claim_folder, write_manifest
from wolter.data.split import index_keys
from wolter.errors import InputError
from wolter.files import make_folder
from wolter.images.shards import image_table
from wolter.images.simulator import ImageSimulateConfig, ImageSimulator, tile_corners

FIELDS_PER_SHARD = 24  # about 70 MB compressed, 260 MB of tensors


def field_table(simulator: ImageSimulator, seed: int, index: int) -> pa.Table:
    """The tiles of one field; all have its source id, so that no split parts them."""
    field = simulator.draw(seed, index)
    batch = simulator.tiles(field.pair)
    corner_B2 = np.array(tile_corners(simulator.config))
    n = len(batch)
    extra = {
        "source_id": [f"sim-{seed}-{index}"] * n,
        "split_key": index_keys(seed_of(seed, 0, "split"), np.full(n, index)),
        "scene": [field.kind] * n,
        "row": corner_B2[:, 0],
        "column": corner_B2[:, 1],
        "exposure_s": np.full(n, field.how.exposure_s),
    }
    return image_table(batch, extra)


@dataclass(frozen=True)
class _Maker:
    """Shard maker of simulated image pairs."""

    simulator: ImageSimulator
    seed: int
    fields: tuple[int, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        tiles = len(tile_corners(self.simulator.config))
        return tuple(n * tiles for n in self.fields)

    def table(self, index: int) -> pa.Table:
        first = index * self.fields[0]
        tables = [
            field_table(self.simulator, self.seed, first + i) for i in range(self.fields[index])
        ]
        return pa.concat_tables(tables)


def simulate_image_dataset(
    config: ImageSimulateConfig,
    n: int,
    out: Path,
    seed: int = 0,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
    fields_per_shard: int = FIELDS_PER_SHARD,
) -> ShardDataset:
    """Simulate `n` fields into a shard dataset of their tiles, with Ray Data.

    Args:
        config: what to simulate.
        n: number of fields; each gives one record a tile.
        out: folder of the dataset; shards that an interrupted run left there are kept.
        seed: seed of all draws.
        workers: tasks at a time, one core each; by default as many as the machine has cores.
        on_shard: called with the number of records as each shard finishes.
        fields_per_shard: fields in each shard but the last.

    Raises:
        InputError: a map is bad, the folder is not writable, or holds another dataset.
    """
    if n < 1:
        raise InputError(f"n = {n}: simulate at least one field")
    simulator = ImageSimulator(config)  # here first, so that bad input fails before Ray starts
    make_folder(out)
    claim = {"config": configs.to_dict(config), "seed": seed, "fields": fields_per_shard}
    claim_folder(out, claim)
    fields = tuple(min(fields_per_shard, n - first) for first in range(0, n, fields_per_shard))
    shards = make_shards(_Maker(simulator, seed, fields), out, workers, on_shard)
    manifest = Manifest(
        kind="images",
        spec=simulator.spec,
        config=configs.to_dict(config),
        seed=seed,
        response_sha256="",
        shards=shards,
    )
    return write_manifest(out, manifest)
