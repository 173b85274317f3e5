"""Answers in JSON: what is told of each spectrum, null for what is no number, what is too much."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wolter.errors import InputError, TooLargeError
from wolter.spectra import answers as told
from wolter.spectra.answers import answers, check_components, refined_answer, whole
from wolter.spectra.reading import Record
from wolter.spectra.records import Records
from wolter.spectra.schema import Parameter, SpectraBatch, SpectraSpec

SPEC = SpectraSpec(
    (1.0, 2.0, 4.0), (Parameter("nh", 0.0, 1.0, "1e22 cm^-2"), Parameter("kt", 0.0, 2.0, "keV")),
    ("powerlaw", "bbody"),
)  # fmt: skip
SERVED = SimpleNamespace(
    version="7",
    model=SimpleNamespace(card=SimpleNamespace(spec=SPEC), family=SimpleNamespace(name="mine")),
)
FIGURES = {
    "cstat": 3.0, "cstat_expected": 2.0, "cstat_sigma": 1.0, "p_value": 0.5, "effective": 0.25
}  # fmt: skip


def record(name, counts, flags=()):
    one_B = torch.ones(1)
    counts_BC = torch.tensor([counts])
    return Record(name, SpectraBatch(counts_BC, counts_BC, one_B, 100 * one_B), flags)


SINGLY = [record("a", [1.0, 2.0], ("band_not_covered",)), record("b", [3.0, 4.0])]
RECORDS = Records.of(SINGLY)


@pytest.fixture
def values():
    return {
        "nh": np.float32([0.25, 0.5]),
        "nh_mfe": np.float32([0.125, 0.375]),
        "nh_lolim": np.float32([0.0, 0.25]),
        "nh_hilim": np.float32([0.5, 0.75]),
        "nh_lolim95": np.float32([np.nan, 0.125]),
        "nh_hilim95": np.float32([1.0, np.nan]),
        "nh_upper": np.float32([0.625, 0.875]),
        "kt": np.float32([1.0, 1.5]),
        "anomaly": np.float32([0.5, np.nan]),
        "components": np.arange(8, dtype=np.float32).reshape(2, 2, 2),
    }


@pytest.fixture(autouse=True)
def flags(monkeypatch):
    known = [["anomalous"], ["no_counts"]]
    monkeypatch.setattr(told, "estimate_flags", lambda _, batch, __: known[: len(batch)])


def judgement(values, **figures):
    """Of the second spectrum, whose values come first."""
    turned = {name: value[::-1] for name, value in values.items()}
    return SimpleNamespace(values=turned, figures=FIGURES | figures, flags=["refined"])


def read(*arguments, **options):
    return json.loads(whole(SERVED, [answers(SERVED, *arguments, **options)]))


def test_each_spectrum_is_told_its_own(values):
    answer = read(RECORDS, values)
    assert (answer["model_name"], answer["model_version"]) == ("mine", "7")
    first, second = answer["spectra"]
    assert first["parameters"]["nh"] == {
        "value": 0.25, "value_mfe": 0.125, "interval_68": [0.0, 0.5], "interval_95": None,
        "upper_limit": 0.625, "unit": "1e22 cm^-2",
    }  # fmt: skip
    assert second["parameters"]["nh"]["interval_68"] == [0.25, 0.75]
    assert second["parameters"]["nh"]["interval_95"] is None
    assert second["parameters"]["kt"] == {
        "value": 1.5, "value_mfe": None, "interval_68": None, "interval_95": None,
        "upper_limit": None, "unit": "keV",
    }  # fmt: skip
    assert (first["file"], second["file"]) == ("a", "b")
    assert first["flags"] == ["band_not_covered", "anomalous"]
    assert second["flags"] == ["no_counts"]
    assert (first["anomaly"], second["anomaly"]) == (0.5, None)
    assert (first["counts"], second["counts"]) == (3.0, 7.0)
    assert (first["exposure_s"], second["exposure_s"]) == (100.0, 100.0)
    for each in (first, second):
        assert each["fit"] is None
        assert each["components"] is None


def test_components_are_told_where_they_are_asked_for(values):
    first, second = read(RECORDS, values, components=True)["spectra"]
    assert first["components"] == {"powerlaw": [0.0, 1.0], "bbody": [2.0, 3.0]}
    assert second["components"] == {"powerlaw": [4.0, 5.0], "bbody": [6.0, 7.0]}
    del values["components"]
    assert read(RECORDS, values, components=True)["spectra"][0]["components"] is None


def test_refined_spectra_are_told_in_place_of_the_network_s(values):
    first, second = read(RECORDS, values, checked={0: judgement(values)})["spectra"]
    assert first["file"] == "a"
    assert first["parameters"]["nh"]["value"] == 0.5
    assert first["flags"] == ["band_not_covered", "refined"]
    assert first["fit"] == FIGURES
    assert second["fit"] is None
    assert second["flags"] == ["no_counts"]


def test_refined_answers_are_of_all_spectra(values):
    gridded = [SimpleNamespace(record=each) for each in SINGLY]
    answer = json.loads(refined_answer(SERVED, gridded, [judgement(values)] * 2))
    assert [each["file"] for each in answer["spectra"]] == ["a", "b"]
    assert [each["fit"] for each in answer["spectra"]] == [FIGURES] * 2
    with pytest.raises(ValueError, match="shorter"):
        refined_answer(SERVED, gridded, [judgement(values)])


@pytest.mark.parametrize("figure", [np.nan, np.inf])
def test_a_likelihood_without_numbers_is_refused(values, figure):
    gridded = [SimpleNamespace(record=SINGLY[1])]
    with pytest.raises(InputError, match=r"^b: no finite likelihood of it; check its values$"):
        refined_answer(SERVED, gridded, [judgement(values, cstat=figure)])


def test_estimates_that_are_no_numbers_are_refused(values):
    values["kt"][1] = np.inf
    with pytest.raises(
        InputError, match=r"^b: the model gives no finite kt of it; check its value"
    ):
        answers(SERVED, RECORDS, values)
    gridded = [SimpleNamespace(record=SINGLY[1])]
    with pytest.raises(
        InputError, match=r"^b: the model gives no finite kt of it; check its value"
    ):
        refined_answer(SERVED, gridded, [judgement(values)])


def test_parts_make_one_answer(values):
    parts = [answers(SERVED, RECORDS[:1], values), answers(SERVED, RECORDS[1:], values)]
    assert [each["file"] for each in json.loads(whole(SERVED, parts))["spectra"]] == ["a", "b"]
    assert json.loads(whole(SERVED, []))["spectra"] == []


@pytest.mark.parametrize(("n", "most", "fine"), [(2, 8, True), (2, 7, False), (5, 13, False)])
def test_numbers_of_components_are_bounded(values, n, most, fine):
    if fine:
        check_components(values, n, most)
        return
    with pytest.raises(TooLargeError) as caught:
        check_components(values, n, most)
    assert str(caught.value) == (
        f"components: {n} spectra of 2 components of 2 channels; send at most {most // 4} spectra, "
        "or ask without components"
    )
    del values["components"]
    check_components(values, n, 0)
