from dataclasses import replace

import pytest
import torch
from tests.synthetic import make_batch, make_dataset

from wolter.data.batches import (
    BatchConfig,
    EpochReader,
    count_rows,
    fits,
    gather,
    local_reader,
    ray_reader,
    read_split,
    sample_split,
)
from wolter.errors import InputError
from wolter.spectra.schema import SpectraBatch

STORED = BatchConfig(size=32, fresh_noise=False)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("records"), 500)


def keys(batches):
    """The records by their first parameter, which no two share."""
    return torch.cat([batch.parameters_BP[:, 0] for batch in batches])


def test_splits_are_disjoint_and_complete(dataset):
    splits = [keys([read_split(dataset, name)]) for name in ("train", "validation", "test")]
    everything = keys([read_split(dataset, "all")])
    assert torch.equal(torch.cat(splits).sort().values, everything.sort().values)
    assert [len(s) for s in splits] == [
        count_rows(dataset, n) for n in ("train", "validation", "test")
    ]


@pytest.mark.parametrize("cache_bytes", [0, 2**30], ids=["streamed", "kept"])
class TestReader:
    def reader(self, dataset, cache_bytes, **changes):
        config = BatchConfig(**{**vars(STORED), "cache_bytes": cache_bytes, **changes})
        return local_reader(dataset, "train", config)

    def test_every_epoch_gives_every_row_once(self, dataset, cache_bytes):
        reader = self.reader(dataset, cache_bytes)
        rows = keys([read_split(dataset, "train")]).sort().values
        epochs = [list(reader(epoch)) for epoch in range(3)]
        for batches in epochs:
            assert torch.equal(keys(batches).sort().values, rows)
            assert {len(batch) for batch in batches[:-1]} == {32}
        assert not torch.equal(keys(epochs[0]), keys(epochs[1]))

    def test_an_epoch_depends_on_seed_number_and_rank_alone(self, dataset, cache_bytes):
        reader = self.reader(dataset, cache_bytes, fresh_noise=True)
        list(reader(0))
        later = list(reader(1))  # after another epoch, and at once
        fresh = list(self.reader(dataset, cache_bytes, fresh_noise=True)(1))
        for a, b in zip(later, fresh, strict=True):
            assert torch.equal(a.counts_BC, b.counts_BC)
        for change in ({"seed": 1}, {"rank": 1}):
            other = list(self.reader(dataset, cache_bytes, fresh_noise=True, **change)(1))
            assert not torch.equal(later[0].counts_BC, other[0].counts_BC)

    def test_noise_is_fresh_only_when_asked_for(self, dataset, cache_bytes):
        stored = read_split(dataset, "train")
        same = list(self.reader(dataset, cache_bytes, shuffle=False)(4))
        assert torch.equal(SpectraBatch.concatenate(same).counts_BC, stored.counts_BC)
        new = list(self.reader(dataset, cache_bytes, shuffle=False, fresh_noise=True)(4))
        fresh = SpectraBatch.concatenate(new)
        assert torch.equal(fresh.expected_BKC, stored.expected_BKC)
        assert not torch.equal(fresh.counts_BC, stored.counts_BC)


def test_rows_that_are_kept_are_read_once(dataset):
    reads = []

    def stream(epoch):
        reads.append(epoch)
        return iter(read_split(dataset, "train").split(100))

    reader = EpochReader(stream, STORED, n_kept=count_rows(dataset, "train"))
    for epoch in range(3):
        list(reader(epoch))
    assert reads == [None]


def test_an_error_in_the_stream_reaches_the_consumer():
    def stream(epoch):
        raise InputError("bad shard")
        yield

    with pytest.raises(InputError, match="bad shard"):
        list(EpochReader(stream, STORED)(0))


def test_an_error_of_a_ray_task_reaches_the_consumer_as_itself():
    class Iterator:
        def iter_batches(self, **_):
            raise RuntimeError(
                "ray::ReadRange()\n  File x\nwolter.errors.InputError: part-0: damaged; again\n\nx"
            )
            yield

    with pytest.raises(InputError, match=r"^part-0: damaged; again$"):
        list(ray_reader(Iterator(), STORED, None, "spectra")(0))


def test_a_sample_is_spread_over_the_shards_and_always_the_same(dataset):
    sample = sample_split(dataset, "train", 90)
    assert len(sample) == 90
    assert torch.equal(sample.counts_BC, sample_split(dataset, "train", 90).counts_BC)
    train = keys([read_split(dataset, "train")])
    positions = [int((train == key).nonzero()) for key in keys([sample])]
    assert max(positions) > 0.7 * len(train)
    assert len(sample_split(dataset, "train", 10**6)) == len(train)


def test_memory_is_known_before_reading(dataset):
    rows = read_split(dataset, "all")
    held = [t for t in vars(rows).values() if t is not None]
    size = sum(t.numel() * t.element_size() for t in held)
    assert fits(dataset, size)
    assert not fits(dataset, size - 1)


def test_an_empty_split_is_an_error(tmp_path):
    tiny = make_dataset(tmp_path, 1, n_shards=1)
    with pytest.raises(InputError, match="no rows in split 'validation'"):
        read_split(tiny, "validation")


def test_columns_that_only_some_blocks_have_are_nan_in_the_others():
    plain = make_batch(3)
    more = replace(plain, filled_BC=torch.ones_like(plain.counts_BC))
    for blocks in ([plain, more, plain], [more, plain, plain]):
        whole = gather(blocks, 9)
        torch.testing.assert_close(
            whole.filled_BC, SpectraBatch.concatenate(blocks).filled_BC, equal_nan=True
        )
        assert torch.equal(whole.counts_BC, plain.counts_BC.repeat(3, 1))
