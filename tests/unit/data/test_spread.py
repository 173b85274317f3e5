"""Samples that are spread over a dataset."""

from tests.synthetic import make_dataset

from wolter.data.batches import read_split, sample_split, spread_split


def test_a_spread_sample_is_of_the_whole_of_a_shard(tmp_path):
    dataset = make_dataset(tmp_path / "d", 400, n_shards=1)
    counts_BC = read_split(dataset, "all").counts_BC

    def of_the_second_half(batch):
        same_BN = (batch.counts_BC[:, None] == counts_BC[len(counts_BC) // 2 :]).all(2)
        return int(same_BN.any(1).sum())

    spread = spread_split(dataset, "all", 40)
    assert (len(spread), of_the_second_half(spread)) == (40, 20)
    assert of_the_second_half(sample_split(dataset, "all", 40)) == 0


def test_a_small_dataset_is_taken_as_it_is(tmp_path):
    dataset = make_dataset(tmp_path / "d", 20)
    assert len(spread_split(dataset, "all", 1000)) == len(read_split(dataset, "all"))
