"""Remarks on whether figures can be compared, at both sides of what decides."""

from dataclasses import replace

import numpy as np
import pytest

from wolter.spectra.evaluate.conditions import FEW, is_standard, remarks
from wolter.spectra.schema import Parameter
from wolter.spectra.simulator import REFERENCE_PRIOR

STANDARD = np.full(FEW, 25e3)


def about(text, found):
    return any(text in each for each in found)


def test_the_standard_test_calls_for_no_remark(make_dataset):
    dataset = make_dataset()
    assert is_standard(dataset, STANDARD)
    assert remarks([], dataset, "test", STANDARD) == ()


def test_few_spectra_are_fewer_than_two_thousand(make_dataset):
    dataset = make_dataset()
    assert FEW == 2000
    assert about("1,999 spectra", remarks([], dataset, "test", STANDARD[1:]))


@pytest.mark.parametrize(
    ("exposure_s", "told"), [(25_249, ""), (25_251, "25.25 ks"), (24_751, ""), (24_700, "24.7 ks")]
)
def test_an_exposure_is_that_of_the_limits_to_one_percent(make_dataset, exposure_s, told):
    dataset, exposure_N = make_dataset(), np.full(FEW, float(exposure_s))
    found = remarks([], dataset, "test", exposure_N)
    assert about(f"Exposure {told}", found) is bool(told)
    assert is_standard(dataset, exposure_N) is not bool(told)
    mixed = np.append(STANDARD, 50e3)
    assert about("Exposure 25 to 50 ks", remarks([], dataset, "test", mixed))


@pytest.mark.parametrize(("sigma", "told"), [(0.2, "Line width 0.2 keV"), (None, "unknown")])
def test_another_line_width_is_told(make_dataset, sigma, told):
    fixed = {} if sigma is None else {"sigma": sigma}
    dataset = make_dataset(config={"fixed": fixed, "rmf": "a.rmf"})
    assert about(told, remarks([], dataset, "test", STANDARD))
    assert not is_standard(dataset, STANDARD)


@pytest.mark.parametrize(
    ("instrument", "told"),
    [
        ("XMM/EPN/Thin", ""),
        ("", ""),
        ("CHANDRA/ACIS-S/", "CHANDRA/ACIS-S"),
        ("XMM/EMOS1/Thin", "XMM/EMOS1"),
    ],
)
def test_the_limits_are_those_of_epic_pn(make_dataset, instrument, told):
    dataset = make_dataset()
    spec = replace(dataset.spec, instrument=instrument)
    dataset = replace(dataset, manifest=replace(dataset.manifest, spec=spec))
    found = remarks([], dataset, "test", STANDARD)
    assert about(f"exact limits: instrument {told}", found) is bool(told)
    assert is_standard(dataset, STANDARD) is not bool(told)


def test_an_embedded_response_is_told(make_dataset):
    dataset = make_dataset(config={"fixed": {"sigma": 0.1}})
    assert about("Embedded response", remarks([], dataset, "test", STANDARD))


@pytest.mark.parametrize(
    ("split", "told"), [("train", True), ("all", True), ("test", False), ("validation", False)]
)
def test_spectra_that_a_model_was_trained_on_are_told(make_dataset, known_model, split, told):
    dataset, model = make_dataset(), known_model()
    trained = replace(model, card=replace(model.card, dataset_sha256=dataset.sha256()))
    found = "was trained on spectra of this split"
    assert about(found, remarks([trained], dataset, split, STANDARD)) is told
    assert not about(found, remarks([model], dataset, split, STANDARD))


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(1.0, 1.0, False), (1 + 2e-6, 1.0, True), (1.0, 1 - 2e-6, True), (0.9, 1.1, False)],
)
def test_a_narrower_training_prior_is_told(make_dataset, known_model, spec, low, high, told):
    nh, *others = REFERENCE_PRIOR
    own = (Parameter("nh", low * nh.low, high * nh.high, nh.unit), *others)
    model = known_model(spec=replace(spec, parameters=own))
    found = remarks([model], make_dataset(), "test", STANDARD)
    assert about("trained on a narrower prior of nh.", found) is told


def test_another_instrument_is_told_where_both_are_known(make_dataset, known_model, spec):
    dataset = make_dataset(spec=replace(spec, instrument="XMM/EPN/Thin1"))
    for own, told in (("XMM/EPN/Thin1", False), ("XMM/EMOS1/Medium", True), ("", False)):
        model = known_model(spec=replace(spec, instrument=own))
        assert (
            about("was trained on XMM/EMOS1", remarks([model], dataset, "test", STANDARD)) is told
        )
