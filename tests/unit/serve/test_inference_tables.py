"""Answers of models as VOTable, CSV, FITS and parquet, with the outputs' names, units and UCDs."""

import io

import numpy as np
import pandas as pd
import pytest
import requests
from astropy.io import fits, votable
from astropy.table import Table
from astropy.units import Unit
from fastapi.testclient import TestClient
from tests.refusals import refused
from tests.served import parts, service  # noqa: F401  # fixtures

from wolter.client import Client, arrays
from wolter.errors import InputError
from wolter.serve.api import build_app

URL = "/v1/spectra/parameters"
READ = {
    "votable": lambda b: votable.parse_single_table(io.BytesIO(b)).to_table().to_pandas(),
    "csv": lambda b: pd.read_csv(io.BytesIO(b)),
    "fits": lambda b: Table.read(io.BytesIO(b), format="fits").to_pandas(),
    "parquet": lambda b: pd.read_parquet(io.BytesIO(b)),
}


@pytest.fixture(scope="module")
def client(service):  # noqa: F811
    return TestClient(build_app(service))


@pytest.mark.parametrize(("kind", "query"), [(kind, {}) for kind in READ])
def test_tables_tell_what_json_tells(client, parts, kind, query):  # noqa: F811
    (told,) = client.post(URL, params=query, files=parts).json()["spectra"]
    answer = client.post(URL, params={**query, "format": kind}, files=parts)
    assert answer.status_code == 200, answer.text
    assert kind in answer.headers["content-type"] or kind == "parquet"
    frame = READ[kind](answer.content)
    assert len(frame) == 1
    assert str(frame["file"][0]).strip() in {"source.pha", "b'source.pha'"}
    for name, estimate in told["parameters"].items():
        assert float(frame[name][0]) == pytest.approx(estimate["value"], rel=0.05)


def test_columns_have_units_and_wide_outputs_are_left_out(client):
    counts = {"counts": [[1] * 256] * 3, "exposure_s": 25_000}
    answer = client.post(URL, json=counts, headers={"accept": "application/x-votable+xml"})
    table = votable.parse_single_table(io.BytesIO(answer.content))
    assert len(table.array) == 3
    assert str(table.get_field_by_id_or_name("kt").unit) == "keV"
    names = {field.name for field in table.fields}
    assert {"file", "model_name", "model_version", "flag", "nh_lolim", "nh_hilim"} <= names
    assert not any(name.startswith("samples") for name in names)
    assert answer.headers["content-disposition"].endswith('.vot"')


@pytest.mark.parametrize("form", ["votable", "fits"])
def test_units_are_those_of_the_format(client, form):
    counts = {"counts": [[1] * 256], "exposure_s": 25_000}
    answer = client.post(URL, params={"format": form}, json=counts)
    if form == "votable":
        fields = votable.parse_single_table(io.BytesIO(answer.content)).fields
        told = {field.name: (str(field.unit or ""), field.description) for field in fields}
    else:
        with fits.open(io.BytesIO(answer.content)) as file:
            header = file[1].header
            n = range(1, header["TFIELDS"] + 1)
            told = {
                header[f"TTYPE{i}"]: (header.get(f"TUNIT{i}", ""), header.comments[f"TTYPE{i}"])
                for i in n
            }
    units = {name: Unit(text) for name, (text, _) in told.items() if text}
    assert units["nh"] == units["nh_hilim"] == Unit("1e22 cm-2")
    assert units["pow_norm"] == Unit("ph / (keV cm2 s)")
    assert units["bb_norm"] == Unit("1e37 erg / (s kpc2)")
    if form == "votable":
        assert b'unit="photon.keV**-1.s**-1.cm**-2"' in answer.content
        assert "at 1 keV" in told["pow_norm"][1]
    else:
        assert told["pow_norm"][0] == "ph keV-1 s-1 cm-2"


def test_unknown_formats_are_refused(client):
    counts = {"counts": [1] * 256, "exposure_s": 25_000}
    line = refused(client.post(URL, params={"format": "xlsx"}, json=counts), 422)
    assert "xlsx" in line
    for accept in ("*/*", "text/html", ""):
        answer = client.post(URL, json=counts, headers={"accept": accept})
        assert answer.headers["content-type"] == "application/json"


class Session:
    """A session of `requests` that an application answers without a port."""

    def __init__(self, client):
        self.client, self.bodies = client, []

    def request(self, method, url, headers, data, params, **_):
        self.bodies.append(data)
        path = url.removeprefix("http://server")
        told = self.client.request(method, path, headers=headers, content=data, params=params)
        answer = requests.Response()
        answer.status_code, answer._content = told.status_code, told.content
        return answer


def test_arrays_of_any_number_are_answered_as_json(client, monkeypatch):
    counts_BC = np.random.default_rng(0).poisson(3.0, (5, 256)).astype(np.uint16)
    exposure_B = np.linspace(20e3, 30e3, 5)
    sent = {"counts": counts_BC.tolist(), "exposure_s": exposure_B.tolist()}
    told = client.post(URL, params={"family": "mlp"}, json=sent).json()["spectra"]
    monkeypatch.setattr("wolter.client.RECORDS", 2)
    session = Session(client)
    asked = Client("http://server", session=session)
    given = {"counts": counts_BC, "exposure_s": exposure_B}
    table = asked.predict_arrays("spectra/parameters", given, family="mlp", progress=False)
    assert len(session.bodies) == 3
    assert table["file"].to_pylist() == ["0", "1", "2", "3", "4"]
    for name in told[0]["parameters"]:
        values = [each["parameters"][name]["value"] for each in told]
        np.testing.assert_allclose(table[name].to_numpy(), values, rtol=1e-5)

    first, edges_C1 = table, np.linspace(0.2, 10.0, 257)
    shared = {"exposure_s": 25e3, "energy_edges": edges_C1}
    table = asked.predict_arrays(
        "spectra/parameters", {"counts": counts_BC[:1]}, shared, family="mlp", progress=False
    )
    sent = {"counts": counts_BC[:1].tolist(), "exposure_s": 25e3, "energy_edges": edges_C1.tolist()}
    (told,) = client.post(URL, params={"family": "mlp"}, json=sent).json()["spectra"]
    for name, estimate in told["parameters"].items():
        assert table[name][0].as_py() == pytest.approx(estimate["value"], rel=1e-5)
    with pytest.raises(InputError, match=r"^rows: 5 of counts, 4 of exposure_s; give as many"):
        asked.predict_arrays("spectra/parameters", given | {"exposure_s": exposure_B[:4]})
    with pytest.raises(InputError, match=r"^rows: 5 of counts, 0 of exposure_s; .* in `shared`"):
        asked.predict_arrays("spectra/parameters", given | {"exposure_s": 25e3})
    big = given | {"counts": counts_BC.astype(">i4")}  # as FITS has them
    again = asked.predict_arrays("spectra/parameters", big, family="mlp", progress=False)
    np.testing.assert_allclose(again["nh"].to_numpy(), first["nh"].to_numpy(), rtol=1e-6)
    with pytest.raises(InputError, match=r"^counts: -1; 0 to 1e\+12 are taken"):
        asked.predict_arrays("spectra/parameters", {"counts": -1 * np.ones((1, 256))}, shared)


def test_a_body_is_what_its_type_says(client):
    body = arrays.body_of({"counts": np.ones((1, 256)), "exposure_s": np.ones(1)})
    for content, kind in ((body, "application/json"), (b"{}", arrays.ARRAYS), (b"", arrays.ARRAYS)):
        answer = client.post(URL, content=content, headers={"content-type": kind})
        assert refused(answer, 422).startswith(f"body: not {kind}, as its content type says")
