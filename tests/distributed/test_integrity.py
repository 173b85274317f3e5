import pytest

from wolter.data.shards import open_dataset
from wolter.errors import InputError, told_by_tasks
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig

pytestmark = pytest.mark.distributed
CONFIG = SimulateConfig(n_backgrounds=2)


def test_a_flipped_byte_is_told_and_simulating_again_mends_it(ray_session, tmp_path):

    from wolter.data.batches import count_rows, ray_dataset

    made = simulate_dataset(CONFIG, 2048, tmp_path, seed=3, workers=1, blocks_per_shard=1)
    file = made.files[1]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    told = "^\\S+part-00001.parquet: its SHA-256 differs from the one in dataset.json; run the"
    with pytest.raises(InputError, match=told):
        count_rows(made)
    with pytest.raises(InputError, match=told), told_by_tasks():  # in the tasks that read, too
        ray_dataset(made, "train").materialize()
    again = simulate_dataset(CONFIG, 2048, tmp_path, seed=3, workers=1, blocks_per_shard=1)
    assert again.manifest.shards == made.manifest.shards
    assert count_rows(open_dataset(tmp_path)) == 2048


def test_a_full_disk_ends_a_simulation_with_one_line(ray_session, full_disk):
    with pytest.raises(InputError, match=r"^\S+part-00000.parquet: cannot be written: no sp"):
        simulate_dataset(CONFIG, 2048, full_disk, seed=3, workers=1, blocks_per_shard=1)
    assert sorted(each.name for each in full_disk.iterdir()) == [".claim.json"]
