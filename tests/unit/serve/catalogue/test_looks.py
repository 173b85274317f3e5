"""Quick looks over HTTP: numbers, and a picture."""

from xml.etree import ElementTree

import numpy as np
import pytest

from wolter.serve.plot_axes import Scale

FIRST = 10**12 + 1  # detection of the first source; every other one has a quick look


def test_numbers_are_told_with_their_axis(client):
    answer = client.get(f"/detections/{FIRST}/quicklook")
    assert answer.headers["wolter-release"] == "R1"
    told = answer.json()
    assert told["simulated"] is True
    assert told["axis"] == {"name": "energy", "unit": "keV", "scale": "log"}
    assert len(told["edges"]) == len(told["counts"]) + 1 == len(told["model_high"]) + 1
    rate = 1 / (np.diff(told["edges"]) * told["exposure_s"])
    assert told["rate_per_count"] == pytest.approx(rate, rel=1e-4)


def test_a_model_that_is_not_usable_says_so_in_every_form(client):
    paths = [f"/detections/{FIRST + 2 * i}/quicklook" for i in range(40)]
    told = {path: client.get(path).json() for path in paths}
    assert {each["model_usable"] for each in told.values()} == {True, False}
    for path, each in told.items():
        assert each["reason"] == ("" if each["model_usable"] else "not_explained")
        picture = client.get(f"{path}?format=svg").text
        assert ("not usable: not_explained" in picture) is not each["model_usable"]


@pytest.mark.parametrize(
    ("accept", "query", "media"),
    [
        ("image/svg+xml,*/*", "", "image/svg+xml"),
        ("*/*", "?format=svg", "image/svg+xml"),
        ("application/json", "", "application/json"),
        ("text/html", "", "application/json"),
        ("image/svg+xml", "?format=json", "application/json"),
    ],
)
def test_the_client_chooses_the_form(client, accept, query, media):
    answer = client.get(f"/detections/{FIRST}/quicklook{query}", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == media


def test_a_picture_is_whole_and_asks_for_nothing(client):
    text = client.get(f"/detections/{FIRST}/quicklook?format=svg").text
    picture = ElementTree.fromstring(text)
    numbers = client.get(f"/detections/{FIRST}/quicklook").json()
    circles = len(picture.findall(".//{*}circle"))
    assert circles >= np.count_nonzero(numbers["counts"])
    assert picture.findall(".//{*}polygon")
    words = "".join(picture.itertext())
    assert "energy (keV)" in words
    assert "counts s⁻¹ keV⁻¹" in words
    for forbidden in ("<script", "style=", "href"):
        assert forbidden not in text


@pytest.mark.parametrize(
    ("detection", "status", "message"),
    [
        (FIRST + 1, 404, "keeps no quick look at detection"),
        (5, 404, "no detection 5 in release R1"),
        ("x", 422, "detection_id"),
        (f"{FIRST}", 422, "format"),
    ],
)
def test_what_is_not_there_is_said(client, detection, status, message):
    query = "?format=png" if status == 422 else ""
    answer = client.get(f"/detections/{detection}/quicklook{query}")
    assert answer.status_code == status
    assert message in answer.text


def test_axes_have_ticks_that_are_read_easily():
    energy = Scale(0.3, 10, 0, 100, "log")
    assert [energy.label(tick) for tick in energy.ticks] == ["0.5", "1", "2", "5", "10"]
    rate = Scale(3e-6, 0.2, 0, 100, "log")
    assert [rate.label(tick) for tick in rate.ticks] == ["10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1"]
    narrow = Scale(2.1e-5, 4.4e-5, 0, 100, "log")
    assert [narrow.label(tick) for tick in narrow.ticks] == ["3·10⁻⁵", "4·10⁻⁵"]
    even = Scale(-5, 5, 100, 0)
    assert [even.label(tick) for tick in even.ticks] == ["−5", "0", "5"]
    assert even.place(np.array([-7.0, 0, 5])).tolist() == [100, 50, 0]
    assert energy.place(3**0.5) == pytest.approx(50)
