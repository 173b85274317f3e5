"""Links, coverage and the registry's record."""

import io
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
from astropy.io.votable import parse
from fastapi import FastAPI
from fastapi.testclient import TestClient
from mocpy import MOC
from tests.releases import random_release

from wolter.catalogue import release as releases
from wolter.catalogue.store import Store
from wolter.errors import InputError
from wolter.serve.config import ServeConfig
from wolter.serve.web.datalink import MEDIA_TYPE
from wolter.serve.web.routes import add_routes
from wolter.serve.web.vo_routes import ServiceRecord

FIRST = 10**12


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = tmp_path_factory.mktemp("releases")
    random_release(root, n=50)
    releases.make_current("R1", root)
    app = FastAPI()
    add_routes(app, Store(root))
    with TestClient(app) as client:
        yield client


def test_links_of_several_sources(client):
    answer = client.get("/links", params={"ID": [str(FIRST), "none", str(FIRST + 1)]})
    assert answer.headers["content-type"] == MEDIA_TYPE
    rows = parse(io.BytesIO(answer.content)).get_first_table().to_table()
    assert list(dict.fromkeys(rows["ID"])) == [str(FIRST), "none", str(FIRST + 1)]
    (unknown,) = rows[rows["ID"] == "none"]
    assert unknown["error_message"].startswith("NotFoundFault: no such source")
    assert not unknown["access_url"]
    first = rows[(rows["ID"] == str(FIRST)) & (rows["semantics"] == "#this")][0]
    assert first["access_url"] == f"http://testserver/v1/catalogue/sources/{FIRST}"
    (look,) = rows[rows["semantics"] == "#preview"]  # of the first; the other has none
    assert look["access_url"].endswith(f"/detections/{FIRST + 1}/quicklook?format=svg")
    assert look["content_type"] == "image/svg+xml"
    pictures = rows[rows["semantics"] == "#preview-image"]
    assert len(pictures) == len(rows[rows["semantics"] == "#cutout"]) == 4  # two of two layers
    assert set(pictures["content_type"]) == {"image/png"}
    here = f"http://testserver/v1/catalogue/sources/{FIRST}/pictures"
    assert pictures["access_url"][0] == f"{here}/0/photons?format=png&release=R1"
    assert "by sharpener 3: XMM/EPN/Thin1, observation 1" in pictures["description"][1]
    page = rows[(rows["ID"] == str(FIRST)) & (rows["content_type"] == "text/html")][0]
    assert client.get(page["access_url"]).status_code == 200


def test_links_are_asked_in_any_case_and_by_post(client):
    ids = [str(FIRST), str(FIRST + 1)]
    expected = client.get("/links", params={"ID": ids})
    for answer in (
        client.get("/links", params={"id": ids, "ResponseFormat": "votable"}),
        client.post("/links", data={"ID": ids}),
        client.post(f"/links?Id={ids[0]}", data={"iD": ids[1]}),
        client.post("/links", files={"ID": (None, ids[0]), "id": (None, ids[1])}),
    ):
        assert answer.status_code == 200
        assert answer.content == expected.content
    assert b"/source/" in expected.content
    several, long, fits = {"ID": ["1"] * 1_500}, {"ID": "1" * 2_000}, {"responseformat": "fits"}
    for form in (several, long, fits):
        refused = client.post("/links", data=form)
        assert refused.status_code == 400
        assert "UsageFault" in refused.text
        assert refused.headers["content-type"] == MEDIA_TYPE


@pytest.mark.parametrize(
    "query", ["ID=1&RESPONSEFORMAT=csv", "ID=1&RESPONSEFORMAT=nothing", "&".join(["ID=1"] * 1001)]
)
def test_what_is_no_request_for_links_is_refused(client, query):
    answer = client.get(f"/links?{query}")
    assert answer.status_code == 400
    assert "UsageFault" in answer.text


@pytest.mark.skipif(not shutil.which("stilts"), reason="stilts (Debian) is not installed")
@pytest.mark.parametrize("query", [f"ID={FIRST}&ID=none", ""])
def test_links_are_valid(client, tmp_path, query):
    file = tmp_path / "links.vot"
    file.write_bytes(client.get(f"/links?{query}").content)
    for command in (["votlint", f"votable={file}"], ["datalinklint", str(file)]):
        found = subprocess.run(["stilts", *command], capture_output=True, text=True, check=False)
        said = found.stdout + found.stderr
        assert not re.search(r"^(ERROR|WARNING|E-|W-)", said, re.MULTILINE), said


def test_coverage_holds_all_sources(client):
    moc = MOC.from_string(client.get("/moc?format=ascii").text, "ascii")
    assert 1 < len(moc.flatten()) <= 50
    assert client.get("/moc").headers["content-type"] == "application/fits"
    assert client.get("/moc?format=png").status_code == 422


def test_the_record_names_the_publisher_of_the_settings(tmp_path):
    random_release(tmp_path, n=5)
    releases.make_current("R1", tmp_path)
    app = FastAPI()
    add_routes(app, Store(tmp_path), ServiceRecord("example.org", "An observatory"))
    with TestClient(app) as client:
        record = client.get("/record").text
    assert "<identifier>ivo://example.org/wolter</identifier>" in record
    assert "<publisher>An observatory</publisher>" in record


def test_what_is_no_authority_is_refused():
    for authority in ("ivo://example.org", "a b", ""):
        with pytest.raises(InputError, match="naming authority"):
            ServeConfig(authority=authority)


def test_the_record_names_the_services_and_tables(client):
    answer = client.get("/record")
    root = ElementTree.fromstring(answer.content)
    addresses = [each.text for each in root.iter("accessURL")]
    assert "http://testserver/scs?" in addresses
    assert "http://testserver/tap" in addresses
    assert [each.text for each in root.iterfind(".//table/name")][:2] == ["source", "detection"]
