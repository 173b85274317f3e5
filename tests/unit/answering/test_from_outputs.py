"""JSON of whatever a family declares."""

import json

import numpy as np
import pytest

from wolter.answering.from_outputs import check_size, describe, records_json, schema, whole_json
from wolter.errors import TooLargeError
from wolter.outputs import Output

OUTPUTS = (
    Output("kt", "temperature", "keV", ucd="phys.temperature"),
    Output("latents", "place among the training spectra", axes="L"),
    Output("parts", "counts of components", "count", axes="KC"),
)
VALUES = {
    "kt": np.float32([0.1, np.nan]),
    "latents": np.float32([[1, 2, 3], [4, np.inf, 6]]),
    "parts": np.arange(8, dtype=np.float32).reshape(2, 2, 2),
    "other": np.float32([7, 8]),
}


def test_outputs_are_described_as_declared():
    first, second, _ = describe(OUTPUTS)
    assert first.model_dump() == {
        "name": "kt", "unit": "keV", "description": "temperature", "axes": "",
        "ucd": "phys.temperature",
    }  # fmt: skip
    assert second.axes == "L"


def test_answers_hold_what_is_declared_and_null_for_what_is_no_number():
    part = records_json(OUTPUTS, VALUES, ["a", "b"], [["x"], []])
    answer = json.loads(whole_json("mine", "7", "spectra", [part]))
    assert (answer["model_name"], answer["model_version"]) == ("mine", "7")
    first, second = answer["spectra"]
    assert first == {
        "file": "a", "flags": ["x"],
        "values": {
            "kt": 0.1, "latents": [1, 2, 3], "parts": [[0, 1], [2, 3]]
        },
    }  # fmt: skip
    assert (second["file"], second["flags"]) == ("b", [])
    assert second["values"]["kt"] is None
    assert second["values"]["latents"] == [4, None, 6]


def test_a_name_that_is_no_text_is_told_without_its_halves():
    part = records_json(OUTPUTS[:1], {"kt": VALUES["kt"][:1]}, ["a\ud800.pha"], [[]])
    assert json.loads(part)["file"] == "a?.pha"


def test_parts_make_one_answer():
    parts = [
        records_json(OUTPUTS[:1], {"kt": VALUES["kt"][i : i + 1]}, [name], [[]])
        for i, name in enumerate("ab")
    ]
    answer = json.loads(whole_json("mine", "", "images", parts))
    assert [each["file"] for each in answer["images"]] == ["a", "b"]
    assert json.loads(whole_json("mine", "", "images", []))["images"] == []


def test_schemas_tell_units_and_axes():
    told = schema("mine", OUTPUTS, "spectra")
    record = told["properties"]["spectra"]["items"]
    values = record["properties"]["values"]
    assert values["required"] == ["kt", "latents", "parts"]
    assert values["properties"]["kt"] == {
        "type": ["number", "null"], "description": "temperature (keV)", "x-unit": "keV"
    }  # fmt: skip
    assert values["properties"]["latents"]["type"] == "array"
    assert values["properties"]["latents"]["items"] == {"type": ["number", "null"]}
    assert values["properties"]["parts"]["items"]["items"] == {"type": ["number", "null"]}
    assert told["title"] == "Answer of mine"
    assert set(record["required"]) == {"file", "flags", "values"}


@pytest.mark.parametrize(("n", "most", "fine"), [(2, 14, True), (2, 13, False), (5, 30, False)])
def test_numbers_of_an_answer_are_bounded(n, most, fine):
    """Each record has 3 latents and 2 x 2 counts; single numbers are not counted."""
    if fine:
        check_size(OUTPUTS, VALUES, n, most)
        return
    with pytest.raises(TooLargeError) as caught:
        check_size(OUTPUTS, VALUES, n, most)
    assert str(caught.value) == (
        f"latents, parts: 7 numbers of each of {n} records; send at most {most // 7} records"
    )
    check_size(OUTPUTS[:1], VALUES, n, 0)
