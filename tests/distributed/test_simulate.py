import dataclasses

import pytest

from wolter.data.shards import open_dataset, shard_name
from wolter.errors import InputError
from wolter.spectra.simulate import shard_table, simulate_dataset
from wolter.spectra.simulator import SimulateConfig, Simulator

pytestmark = pytest.mark.distributed
N = 2500  # two whole shards of one block and a part of a third
CONFIG = SimulateConfig(n_backgrounds=2)


@pytest.fixture(scope="module")
def dataset(ray_session, tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    return simulate_dataset(CONFIG, N, folder, seed=3, workers=1, blocks_per_shard=1)


def test_rows_are_those_of_the_simulator_itself(dataset):
    assert [shard.rows for shard in dataset.manifest.shards] == [1024, 1024, 452]
    expected = shard_table(Simulator(CONFIG), seed=3, first=2, n=452)
    assert (
        dataset.read(2)
        .select(["source_id", "split_key"])
        .equals(expected.select(["source_id", "split_key"]))
    )


def test_any_number_of_workers_gives_the_same_bytes(dataset, tmp_path):
    seen = []
    other = simulate_dataset(
        CONFIG, N, tmp_path, seed=3, workers=2, on_shard=seen.append, blocks_per_shard=1
    )
    assert other.manifest.shards == dataset.manifest.shards
    assert sorted(seen) == [452, 1024, 1024]


def test_an_interrupted_run_is_finished(dataset):
    kept, damaged, lost = (dataset.path / shard_name(i) for i in range(3))
    written = kept.stat().st_mtime_ns
    damaged.write_bytes(b"half")
    lost.unlink()
    (dataset.path / "dataset.json").unlink()
    again = simulate_dataset(CONFIG, N, dataset.path, seed=3, blocks_per_shard=1)
    assert again.manifest.shards == dataset.manifest.shards
    assert open_dataset(dataset.path, verify=True).manifest.rows == N
    assert kept.stat().st_mtime_ns == written


def test_a_folder_of_another_dataset_is_left_alone(dataset):
    other = dataclasses.replace(CONFIG, filter="thick")
    with pytest.raises(InputError, match="another config or seed"):
        simulate_dataset(other, N, dataset.path, seed=3, blocks_per_shard=1)
