import dataclasses

import pytest
import torch
from tests.synthetic import SPEC, make_batch, make_dataset

from wolter import family as families
from wolter.data.batches import BatchConfig, count_rows, local_reader, read_split
from wolter.data.mixing import MixedReader, observed_rows
from wolter.data.shards import write_manifest
from wolter.errors import InputError
from wolter.spectra.mixing import check_observed, read_observed
from wolter.spectra.schema import SpectraBatch
from wolter.train.loop import build

CONFIG = BatchConfig(size=48)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("simulated"), 300)


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("observed"), 40, n_shards=2, seed=1)


def labelled(dataset):
    """The same dataset, whose labels count as estimated."""
    manifest = dataclasses.replace(dataset.manifest, labels="made up")
    return dataclasses.replace(dataset, manifest=manifest)


def epoch(simulated, observed, number=0, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    reader = local_reader(simulated, "train", config)
    return list(MixedReader(reader, read_observed(observed), 16, config)(number))


def test_every_batch_holds_the_share_and_every_simulated_row_comes_once(simulated, observed):
    batches = epoch(simulated, observed)
    assert {len(batch) for batch in batches[:-1]} == {64}
    assert {int(batch.observed_B.sum()) for batch in batches[:-1]} == {16}
    last = batches[-1]
    rest = count_rows(simulated, "train") % 48
    assert (len(last), int(last.observed_B.sum())) == (rest + round(rest / 3), round(rest / 3))
    labels = torch.cat([batch.parameters_BP[~batch.observed_B, 0] for batch in batches])
    everything = read_split(simulated, "train").parameters_BP[:, 0]
    assert torch.equal(labels.sort().values, everything.sort().values)


def test_observed_rows_are_those_of_the_training_split_as_they_are(simulated, observed):
    rows = torch.cat([b.counts_BC[b.observed_B] for b in epoch(simulated, observed)])
    known = read_split(observed, "train").counts_BC
    assert (rows[:, None] == known).all(2).any(1).all()
    assert len(rows.unique(dim=0)) > len(known) / 2


def test_an_epoch_follows_from_its_number_the_seed_and_the_worker(simulated, observed):
    first = epoch(simulated, observed, 3)
    again = epoch(simulated, observed, 3)
    assert all(torch.equal(a.counts_BC, b.counts_BC) for a, b in zip(first, again, strict=True))
    for changes in ({"number": 4}, {"seed": 1}, {"rank": 1}):
        other = epoch(simulated, observed, **{"number": 3, **changes})
        rows = [batch[0].counts_BC[batch[0].observed_B] for batch in (first, other)]
        assert not torch.equal(*rows)


def test_true_labels_of_what_plays_the_observed_are_not_looked_at(simulated, observed):
    batch = epoch(simulated, observed)[0]
    assert batch.parameters_BP[batch.observed_B].isnan().all()
    assert batch.expected_BKC[batch.observed_B].isnan().all()
    assert batch.expected_background_BC[batch.observed_B].isnan().all()
    assert not batch.parameters_BP[~batch.observed_B].isnan().any()
    estimated = epoch(simulated, labelled(observed))[0]
    assert not estimated.parameters_BP.isnan().any()


@pytest.mark.parametrize(("size", "share", "rows"), [(512, 0.25, 128), (2, 0.01, 1), (4, 0.99, 3)])
def test_some_rows_are_observed_and_some_are_not(size, share, rows):
    assert observed_rows(size, share) == rows


def test_what_cannot_be_mixed_is_said(simulated, observed, tmp_path):
    with pytest.raises(InputError, match=r"larger --train\.batch-size"):
        observed_rows(1, 0.5)
    other = dataclasses.replace(SPEC, energy_edges=SPEC.energy_edges[:-1])
    with pytest.raises(InputError, match="no spectra on the energy grid"):
        check_observed(observed, other)
    other = dataclasses.replace(SPEC, parameters=SPEC.parameters[:2])
    check_observed(observed, other)  # it has no labels that matter
    with pytest.raises(InputError, match="its labels are slope, pow_norm, kt"):
        check_observed(labelled(observed), other)
    empty = write_manifest(tmp_path, dataclasses.replace(observed.manifest, shards=()))
    with pytest.raises(InputError, match="no rows in split 'train'"):
        check_observed(empty, SPEC)


@pytest.mark.parametrize("name", ["mlp", "cnn", "deepspectra", "posterior"])
class TestLabels:
    def loss_and_gradient(self, name, batch):
        family = families.load(name)
        module = build(family, family.config(), SPEC, seed=0)
        family.normalise(module, make_batch(64))
        loss, _ = family.loss(module, batch)
        loss.backward()
        return loss.detach(), torch.cat([p.grad.flatten() for p in module.parameters()])

    def test_spectra_without_labels_do_not_count(self, name):
        batch = make_batch(32)
        bare = SpectraBatch(*(getattr(make_batch(9, seed=1), c) for c in (
            "counts_BC", "background_BC", "background_scale_B", "exposure_B"
        )))  # fmt: skip
        alone = self.loss_and_gradient(name, batch)
        mixed = self.loss_and_gradient(name, SpectraBatch.concatenate([batch, bare]))
        for a, b in zip(alone, mixed, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)

    def test_estimated_labels_count(self, name):
        batch, other = make_batch(32), make_batch(9, seed=1)
        known = dataclasses.replace(other, expected_BKC=None, expected_background_BC=None)
        alone, _ = self.loss_and_gradient(name, batch)
        mixed, gradient = self.loss_and_gradient(name, SpectraBatch.concatenate([batch, known]))
        assert gradient.isfinite().all()
        assert abs(alone - mixed) > 1e-3

    def test_a_norm_of_a_longer_exposure_is_learnt_as_it_is_predicted(self, name):
        """Four times the exposure at a quarter of the norm: the same counts, the same errors."""
        batch = make_batch(64)
        once = dataclasses.replace(batch, exposure_B=torch.full((64,), batch.exposure_B.max()))
        parameters_BP = once.parameters_BP * torch.tensor([1.0, 0.25, 1.0])
        longer = dataclasses.replace(
            once, exposure_B=4 * once.exposure_B, parameters_BP=parameters_BP
        )
        family = families.load(name)
        module = build(family, family.config(), SPEC, seed=0)
        family.normalise(module, once)
        a, b = (family.loss(module, each)[0] for each in (once, longer))
        if name != "posterior":
            # The squared error of one parameter of three is 16 times smaller.
            b = b + torch.tensor(4.0).log()
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
