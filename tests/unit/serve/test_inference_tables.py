"""Answers of models as VOTable, CSV, FITS and parquet, with the outputs' names, units and UCDs."""

import io

import pandas as pd
import pytest
from astropy.io import votable
from astropy.table import Table
from fastapi.testclient import TestClient
from tests.refusals import refused
from tests.served import parts, service  # noqa: F401  # fixtures

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


def test_unknown_formats_are_refused(client):
    counts = {"counts": [1] * 256, "exposure_s": 25_000}
    line = refused(client.post(URL, params={"format": "xlsx"}, json=counts), 422)
    assert "xlsx" in line
    for accept in ("*/*", "text/html", ""):
        answer = client.post(URL, json=counts, headers={"accept": accept})
        assert answer.headers["content-type"] == "application/json"
