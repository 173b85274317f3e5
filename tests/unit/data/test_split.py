import pytest

from wolter.data.split import SPLITS, split_bounds
from wolter.errors import InputError
from wolter.train.loop import TrainConfig


@pytest.mark.parametrize("name", SPLITS)
def test_a_share_is_the_beginning_of_a_split(name):
    low, high = split_bounds(name)
    assert split_bounds(f"{name}:0.25") == pytest.approx((low, low + (high - low) / 4))
    assert split_bounds(f"{name}:1.0") == pytest.approx((low, high))


def test_training_may_use_a_share_of_its_split():
    assert TrainConfig().split == "train"
    assert split_bounds(TrainConfig(share=0.5).split) == pytest.approx((0.1, 0.55))
    for share in (0.0, 1.5):
        with pytest.raises(InputError, match=r"give 0 < share <= 1"):
            TrainConfig(share=share)


def test_an_unknown_split_is_an_error_that_lists_the_known():
    with pytest.raises(InputError, match="unknown split 'tset'; choose one of: test, validation"):
        split_bounds("tset:0.5")
