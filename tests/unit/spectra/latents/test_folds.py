"""Classes told by cross-validation over parts of the sources."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from wolter.errors import InputError
from wolter.spectra.latents import classification
from wolter.spectra.latents.options import EmbeddingEvaluation
from wolter.spectra.latents.sources import read, read_folds
from wolter.spectra.latents.study import study


@pytest.fixture(scope="module")
def crossed(sources, model):
    options = EmbeddingEvaluation(clusters=4, learn=400, folds=3)
    return study([model], ["bands"], sources, "all", 900, options)


def spectra(batch):
    return {row.tobytes() for row in batch.counts_BC.numpy()}


def test_each_part_is_judged_once_by_what_others_teach(crossed):
    judged = [spectra(each.test.batch) for each in crossed.folds]
    assert set.union(*judged) == spectra(crossed.test.batch)
    assert sum(len(each.test) for each in crossed.folds) == 900
    for each, own in zip(crossed.folds, judged, strict=True):
        assert len(each.train) == 400
        assert not own & spectra(each.train.batch)
        latent_NL = each.tested["bands"]["latent"]
        again = each.models[0].family.predict(each.models[0].module, each.test.batch)["latent"]
        np.testing.assert_allclose(latent_NL, again.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("split", ["all", "train"])
def test_parts_are_by_source_and_alike_in_size(sources, split):
    key_N = np.concatenate([pq.read_table(each)["split_key"].to_numpy() for each in sources.files])
    fold_N = read_folds(sources, split, 4)
    assert len(fold_N) == len(read(sources, split))
    if split == "all":
        assert all(len(set(fold_N[key_N == key])) == 1 for key in key_N[:50])
        np.testing.assert_array_equal(fold_N, np.floor(4 * key_N))
    # Binomial: 5 standard deviations.
    n = len(fold_N)
    assert np.bincount(fold_N) == pytest.approx(n / 4, abs=5 * (n * 3 / 16) ** 0.5)


def test_the_report_says_that_classes_are_cross_validated(crossed):
    part = classification.part(crossed)
    assert part.remarks == (classification.CROSSED.format(3, 400),)
    line = part.tables[0].lines[0]
    assert line.label == "bands (simulated)"
    # Of all 900 sources: a third of them would have an error of 3 percent or more.
    assert all(0 < error < 2.5 for error in line.deviations.values())
    assert all(value > 40 for value in line.values.values())


def test_without_parts_a_study_is_its_own(sources, model):
    options = EmbeddingEvaluation(clusters=4, learn=400)
    one = study([model], ["bands"], sources, "test", 50, options)
    assert one.folds == (one,)


@pytest.mark.parametrize("folds", [1, -3])
def test_numbers_of_parts_that_judge_nothing_are_refused(sources, model, folds):
    with pytest.raises(InputError, match=f"folds = {folds}: give 2 or more"):
        study([model], ["bands"], sources, "all", 50, EmbeddingEvaluation(folds=folds))
