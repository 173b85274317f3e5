import numpy as np
import pyarrow as pa
import pytest

from wolter.data.split import SPLITS, index_keys, name_keys, split_bounds
from wolter.data.stream import select
from wolter.errors import InputError
from wolter.train.loop import TrainConfig


@pytest.mark.parametrize("name", SPLITS)
def test_a_share_is_the_beginning_of_a_split(name):
    low, high = split_bounds(name)
    assert split_bounds(f"{name}:0.25") == pytest.approx((low, low + (high - low) / 4))
    assert split_bounds(f"{name}:1.0") == pytest.approx((low, high))


def test_training_may_use_a_share_of_its_split():
    assert TrainConfig().split == "train"
    assert split_bounds(TrainConfig(fraction=0.5).split) == pytest.approx((0.1, 0.55))
    for share in (0.0, 1.5):
        with pytest.raises(InputError, match=r"give 0 < fraction <= 1"):
            TrainConfig(fraction=share)


def test_an_unknown_split_is_an_error_that_lists_the_known():
    with pytest.raises(InputError, match="unknown split 'tset'; choose one of: test, validation"):
        split_bounds("tset:0.5")


def test_keys_are_those_of_every_machine_and_version():
    """Other keys would move records between training and test: golden values."""
    assert name_keys(["3C 273", "NGC 7793 P13"]).tolist() == [
        0.3896248548259661,
        0.6434257529932601,
    ]
    assert index_keys(7, np.arange(3)).tolist() == [
        0.0729703985808493,
        0.8336658318557243,
        0.5094668118980413,
    ]


def test_keys_of_another_seed_are_others():
    assert not set(index_keys(1, np.arange(50))) & set(index_keys(10**6, np.arange(50)))


def test_a_key_at_a_bound_belongs_to_the_split_above():
    keys = [0.0, np.nextafter(0.05, 0), 0.05, np.nextafter(0.1, 0), 0.1, np.nextafter(1, 0)]
    table = pa.table({"split_key": keys})
    found = {name: select(table, name, ["split_key"])["split_key"].to_pylist() for name in SPLITS}
    assert found == {
        "test": keys[:2], "validation": keys[2:4], "train": keys[4:], "all": keys,
    }  # fmt: skip
