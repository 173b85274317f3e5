import dataclasses
import io
import tempfile

import pytest
import torch
from astropy.io import fits
from fastapi.testclient import TestClient
from tests.refusals import refused

from wolter.registry.checkpoint import load_model
from wolter.serve.api import build_app
from wolter.serve.timing import REQUEST_TIMEOUT_S
from wolter.spectra import parameters_serving, upload_requests
from wolter.spectra.check_files import check_files
from wolter.spectra.gridded import GriddedObservation
from wolter.xray.spectral.observation import read_spectrum, write_spectrum

URL = "/v1/spectra/parameters"


@pytest.fixture
def holed(pha):
    """A spectrum outside the training: the network knows no holes."""
    quality_C = torch.zeros(300, dtype=torch.int16)
    quality_C[100] = 5
    path = pha.with_name("holed.pha")
    write_spectrum(path, dataclasses.replace(read_spectrum(pha), quality_C=quality_C))
    return path.name, path.read_bytes()


def test_what_the_model_was_not_trained_on_is_refined_unasked(client, parts, holed):
    parts["pha"] = holed
    (spectrum,) = client.post(URL, files=parts).json()["spectra"]
    assert {"band_not_covered", "refined"} <= set(spectrum["flags"])
    assert spectrum["fit"]["cstat"] > 0
    asked = client.post(URL, params={"refine": True}, files=parts).json()["spectra"][0]
    assert spectrum == asked
    point = client.post(URL, params={"family": "mlp"}, files=parts).json()["spectra"][0]
    assert point["fit"] is None
    assert "refined" not in point["flags"]


def test_no_more_evidence_is_stored_than_is_refined(client, parts, holed, tmp_path, monkeypatch):
    """The first two of six, although the others are outside the training as well."""
    stored, seen = tmp_path / "stored", []
    stored.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(stored))
    load = GriddedObservation.load

    def noted(path, record):  # when all files of the request are read
        seen.append(len([*stored.glob("wolter-*/*.safetensors")]))
        return load(path, record)

    monkeypatch.setattr(upload_requests.GriddedObservation, "load", noted)
    good = parts.pop("pha")
    files = [*parts.items(), ("pha", good), *[("pha", holed)] * 6]
    spectra = client.post(URL, files=files).json()["spectra"]
    assert seen == [2, 2]
    refined = ["refined" in spectrum["flags"] for spectrum in spectra]
    assert refined == [False, True, True, False, False, False, False]
    flagged = ["band_not_covered" in spectrum["flags"] for spectrum in spectra]
    assert flagged == [False] + [True] * 6
    assert not [*stored.iterdir()]


@pytest.mark.parametrize("spent", ["the time to refine", "the time of the request"])
def test_where_no_time_is_left_the_network_s_answer_stays(
    service, client, parts, holed, monkeypatch, spent
):
    config = service.config
    if spent == "the time to refine":
        config = dataclasses.replace(config, refine_s=0.0)
    else:
        monkeypatch.setattr(parameters_serving, "ANSWER_S", REQUEST_TIMEOUT_S)
    hurried = TestClient(build_app(dataclasses.replace(service, config=config)))
    response = hurried.post(URL, files=parts | {"pha": holed})
    assert response.status_code == 200, response.text
    (spectrum,) = response.json()["spectra"]
    assert "band_not_covered" in spectrum["flags"]
    assert "refined" not in spectrum["flags"]
    assert spectrum["fit"] is None


def test_remedies_are_told_in_fields_of_the_request(client, parts):
    def post(query="", **changes):
        files = {field: file for field, file in (parts | changes).items() if file is not None}
        return refused(client.post(URL + query, files=files), 422)

    source = parts["pha"][1]
    assert post(background=("b.pha", source)).endswith("; send it in the field background")
    with fits.open(io.BytesIO(source)) as hdus:
        hdus[1].header["TELESCOP"] = "CHANDRA"
        stream = io.BytesIO()
        hdus.writeto(stream)
    line = post("?response=embedded&no_background=1", pha=("c.pha", stream.getvalue()), rmf=None)
    assert line.endswith(
        "; send its RMF and ARF in the fields rmf and arf, and ask for response=files"
    )


def test_refined_posteriors_are_answered_as_offline(client, untrained, pha, parts):
    response = client.post(URL, params={"refine": True}, files=parts)
    assert response.status_code == 200, response.text
    (spectrum,) = response.json()["spectra"]
    (row,) = check_files(load_model(untrained("posterior")), [pha], refined=True)
    assert spectrum["fit"].keys() == {
        "cstat", "cstat_expected", "cstat_sigma", "p_value", "effective"
    }  # fmt: skip
    for name, value in spectrum["fit"].items():
        assert value == pytest.approx(float(row[name]), rel=1e-5), name
    assert spectrum["flags"] == row["flag"].split(";")
    assert "not_explained" in spectrum["flags"]  # no emission model gives such counts
    for name, estimate in spectrum["parameters"].items():
        assert estimate["value"] == row[name]
        assert estimate["interval_68"] == [row[f"{name}_lolim"], row[f"{name}_hilim"]]
        assert estimate["interval_95"] == [row[f"{name}_lolim95"], row[f"{name}_hilim95"]]
        assert estimate["upper_limit"] == row[f"{name}_upper"]
    plain = client.post(URL, params={"family": "posterior"}, files=parts).json()["spectra"][0]
    assert plain["fit"] is None
    assert plain["parameters"] != spectrum["parameters"]


def test_the_background_is_left_out_of_refined_answers_too(client, parts):
    query = {"refine": True, "no_background": True}
    response = client.post(URL, params=query, files=parts)
    assert response.status_code == 200, response.text
    assert "no_background" in response.json()["spectra"][0]["flags"]
    response = client.post(URL, params={"refine": True}, files=parts)
    assert "no_background" not in response.json()["spectra"][0]["flags"]


def test_what_cannot_be_refined_is_said(client, parts):
    def post(family="posterior", **sent):
        query = {"family": family, "refine": True}
        return refused(client.post(URL, params=query, **sent), 422)

    assert "mlp gives no posterior to refine" in post("mlp", files=parts)
    counts = {"counts": [1] * 256, "exposure_s": 25_000}
    assert "refine: counts come without a response" in post(json=counts)
    pha = parts.pop("pha")
    many = [*parts.items(), *[("pha", pha)] * 3]
    assert "refine: 3 spectra; send at most 2" in post(files=many)
