from dataclasses import replace

import numpy as np
import pytest

from wolter.data.batches import read_split
from wolter.errors import InputError
from wolter.spectra.evaluate import inference
from wolter.spectra.evaluate.inference import predict_split
from wolter.spectra.schema import Parameter


def test_answers_are_those_of_the_dataset_in_its_order(make_dataset, known_model):
    dataset = make_dataset(50)
    rows = read_split(dataset, "all")
    found = predict_split([known_model()], dataset, batch_size=7)
    assert np.allclose(found.truth_NP, rows.parameters_BP)
    assert np.allclose(found.answers[0].mean_NP, 1.1 * found.truth_NP)
    assert np.allclose(found.answers[0].median_NP, 0.8 * found.truth_NP)
    assert np.allclose(found.counts_N, rows.counts_BC.sum(1))
    assert np.allclose(found.answers[0].relative_NK, 0.21, atol=1e-4)


@pytest.mark.parametrize("name", ["mlp", "deepspectra"])
def test_real_families_give_the_same_in_any_batch_size(make_dataset, untrained_model, name):
    dataset, model = make_dataset(20), untrained_model(name)
    whole = predict_split([model], dataset, batch_size=64).answers[0]
    pieces = predict_split([model], dataset, batch_size=3).answers[0]
    scale_P = np.abs(whole.mean_NP).max(0)
    assert np.allclose(whole.mean_NP / scale_P, pieces.mean_NP / scale_P, atol=1e-5)
    assert (whole.relative_NK is not None) == (name == "deepspectra")


def test_limit_and_progress_count_spectra(make_dataset, known_model):
    seen: list[int] = []
    found = predict_split(
        [known_model()], make_dataset(50), limit=23, batch_size=10, progress=seen.append
    )
    assert len(found.truth_NP) == 23
    assert seen == [10, 10, 3]


def test_columns_follow_the_first_model(make_dataset, known_model, spec):
    dataset = make_dataset(10)
    turned = replace(spec, parameters=spec.parameters[::-1], components=spec.components[::-1])
    found = predict_split([known_model(spec=turned)], dataset)
    assert np.allclose(found.truth_NP, read_split(dataset, "all").parameters_BP.flip(1))


def test_examples_run_from_bright_to_faint_and_add_up(make_dataset, known_model):
    found = predict_split([known_model(component_factor=1.0)], make_dataset(60))
    counts = [example.counts_C.sum() for example in found.examples]
    assert counts == sorted(counts, reverse=True)
    assert len(counts) == len(inference.EXAMPLE_QUANTILES)
    for example in found.examples:
        assert np.allclose(example.predicted_KC, example.true_KC)


def test_a_single_spectrum_is_enough(make_dataset, known_model):
    found = predict_split([known_model()], make_dataset(2), limit=1)
    assert len(found.truth_NP) == len(found.examples) == 1


def test_a_dataset_without_components_gives_none(make_dataset, known_model, spec):
    dataset = make_dataset(10, replace(spec, components=()))
    found = predict_split([known_model()], dataset)
    assert found.answers[0].relative_NK is None
    assert found.examples == ()


def test_what_does_not_fit_is_one_clear_line(make_dataset, known_model, spec):
    model = known_model()
    with pytest.raises(InputError, match="no rows in split 'train'"):
        predict_split([model], make_dataset(4, name="a"), "train")
    with pytest.raises(InputError, match="unknown split 'tests'"):
        predict_split([model], make_dataset(4, name="b"), "tests")
    unlabelled = make_dataset(4, replace(spec, parameters=()), name="c")
    with pytest.raises(InputError, match=r"has no labels for nh, slope.*simulated"):
        predict_split([model], unlabelled)
    coarse = replace(spec, energy_edges=spec.energy_edges[::2])
    with pytest.raises(InputError, match=r"12 channels from 0\.3 to 10 keV are not deepspectra's"):
        predict_split([model], make_dataset(4, coarse, name="d"))
    fewer = known_model(spec=replace(spec, parameters=spec.parameters[:2]), name="mlp")
    with pytest.raises(InputError, match="evaluate them one at a time"):
        predict_split([model, fewer], make_dataset(4, name="e"))


def test_another_prior_is_no_obstacle(make_dataset, known_model, spec):
    wide = replace(spec, parameters=(Parameter("nh", 0.01, 3.0), *spec.parameters[1:]))
    assert len(predict_split([known_model()], make_dataset(6, wide)).truth_NP) == 6
