import dataclasses

import pytest

from wolter.data.batches import read_split
from wolter.data.shards import open_dataset, shard_name
from wolter.errors import InputError
from wolter.images import tasks
from wolter.images.simulate import field_table, simulate_image_dataset
from wolter.images.simulator import ImageSimulateConfig, ImageSimulator

pytestmark = pytest.mark.distributed
CONFIG = ImageSimulateConfig(scenes=("agn", "galaxy"), tile=208, overlap=0)


@pytest.fixture(scope="module")
def dataset(ray_session, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return simulate_image_dataset(CONFIG, 3, folder, seed=3, workers=1, fields_per_shard=2)


def test_rows_are_those_of_the_simulator_itself(dataset):
    assert [shard.rows for shard in dataset.manifest.shards] == [8, 4]
    assert dataset.read(1).equals(field_table(ImageSimulator(CONFIG), seed=3, index=2))


def test_any_number_of_workers_gives_the_same_bytes(dataset, tmp_path):
    seen = []
    other = simulate_image_dataset(
        CONFIG, 3, tmp_path, seed=3, workers=2, on_shard=seen.append, fields_per_shard=2
    )
    assert other.manifest.shards == dataset.manifest.shards
    assert sorted(seen) == [4, 8]


def test_no_field_is_split_between_train_and_test(dataset):
    batch = read_split(dataset, "all")
    assert len(batch) == 12
    keys = {}
    for index in range(2):
        table = dataset.read(index, ["source_id", "split_key"])
        for name, key in zip(*(table[c].to_pylist() for c in table.column_names), strict=True):
            keys.setdefault(name, set()).add(key)
    assert len(keys) == 3
    assert all(len(values) == 1 for values in keys.values())


def test_an_interrupted_run_is_finished(dataset):
    lost = dataset.path / shard_name(1)
    kept = (dataset.path / shard_name(0)).stat().st_mtime_ns
    lost.unlink()
    (dataset.path / "dataset.json").unlink()
    again = simulate_image_dataset(CONFIG, 3, dataset.path, seed=3, fields_per_shard=2)
    assert again.manifest.shards == dataset.manifest.shards
    assert open_dataset(dataset.path, verify=True).manifest.rows == 12
    assert (dataset.path / shard_name(0)).stat().st_mtime_ns == kept


def test_a_folder_of_another_dataset_is_left_alone(dataset):
    other = dataclasses.replace(CONFIG, filter="thick")
    with pytest.raises(InputError, match="another config or seed"):
        simulate_image_dataset(other, 3, dataset.path, seed=3, fields_per_shard=2)


def test_training_without_data_makes_the_images_that_it_needs(ray_session, monkeypatch, tmp_path):
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    monkeypatch.setattr(tasks, "FIELDS", 2)
    task = tasks.EnhanceTask()
    made = open_dataset(task.default_data())
    written = made.files[0].stat().st_mtime_ns
    assert made.manifest.kind == "images"
    assert {*made.read(0, ["source_id"])["source_id"].to_pylist()} == {"sim-0-0", "sim-0-1"}
    assert task.default_data() == made.path
    assert made.files[0].stat().st_mtime_ns == written
