"""The page of the catalogue over HTTP: every place that it links to answers."""

import re
from html import unescape

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.releases import MODEL, random_release

from wolter.catalogue import release as releases
from wolter.catalogue.store import Store
from wolter.serve.web.routes import add_routes

FIRST = 10**12


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("releases")
    random_release(root, n=500)
    releases.make_current("R1", root)
    return root


@pytest.fixture(scope="module")
def client(root):
    app = FastAPI()
    add_routes(app, Store(root))
    with TestClient(app, follow_redirects=False) as client:
        yield client


def row(root, what, n=0):
    with Store(root).open() as snapshot:
        return snapshot.query(
            f"SELECT {what} FROM source ORDER BY rowid LIMIT 1 OFFSET {n}"
        ).to_pylist()[0]


def links(page):
    return {unescape(link) for link in re.findall(r'(?:href|src)="(/[^"]*)"', page)}


def test_all_links_of_the_page_answer(client):
    seen, left = set(), {"/"}
    elsewhere = ("/docs", "/v1/", "/tap", "/links")
    while left:
        path = left.pop()
        seen.add(path)
        answer = client.get(path)
        assert answer.status_code in (200, 303), path
        if answer.headers.get("content-type", "").startswith("text/html") and len(seen) < 12:
            left |= {link for link in links(answer.text) if not link.startswith(elsewhere)} - seen
    assert {"/", "/tables", "/adql", "/sky.png", "/static/style.css"} <= seen
    assert sum(path.startswith("/source/") for path in seen) > 3


def test_simulated_releases_say_so_on_every_page(client):
    for path in ("/", "/tables", "/adql", "/search?q=10+10&radius=600", f"/source/{FIRST}"):
        assert "Simulated sources." in client.get(path).text, path


def test_nothing_is_loaded_from_elsewhere(client):
    for path in ("/", "/tables", "/adql", f"/source/{FIRST}"):
        answer = client.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script" not in answer.text
        assert not re.search(r'(?:href|src|action)="(?!/|data:|#)', answer.text), path


def test_a_name_leads_to_its_source(client, root):
    found = row(root, "name, source_id", 7)
    answer = client.get("/search", params={"q": found["name"].lower()})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/source/{found['source_id']}"
    assert client.get("/search", params={"q": str(FIRST)}).headers["location"] == f"/source/{FIRST}"


def test_a_position_finds_what_is_there_nearest_first(client, root):
    found = row(root, "ra, dec, source_id, name", 11)
    answer = client.get("/search", params={"q": f"{found['ra']} {found['dec']}", "radius": 600})
    assert answer.status_code == 200
    first = re.search(r'href="/source/(\d+)"', answer.text)
    assert int(first[1]) == found["source_id"]
    assert found["name"] in answer.text


def test_a_source_shows_what_is_not_usable_and_why(client, root):
    with Store(root).open() as snapshot:
        sql = f"SELECT source_id, kt FROM {MODEL} WHERE usable = ? LIMIT 1"
        (bad,), (good,) = (snapshot.query(sql, [usable]).to_pylist() for usable in (0, 1))
    page = client.get(f"/source/{bad['source_id']}").text
    assert "Not usable: not_explained" in page
    page = client.get(f"/source/{good['source_id']}").text
    assert "Not usable" not in page
    assert f"<td>{good['kt']:.4g}</td>" in page


def test_a_source_shows_its_quick_look_or_says_that_there_is_none(client):
    page = client.get(f"/source/{FIRST}").text
    assert page.count("<svg xmlns=") == 1
    assert "energy (keV)" in page
    assert f"Detection {FIRST + 1}, XMM/EPN/Thin1, observation 0123456789" in page
    page = client.get(f"/source/{FIRST + 1}").text
    assert "<svg xmlns=" not in page
    assert "keeps no quick look" in page


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/search?q=", 422, "nothing to search for"),
        ("/search?q=nothing+of+this+name", 422, "no source is named"),
        ("/search?q=400+0", 422, "not on the sky"),
        ("/search?q=12", 422, "no source 12 in release R1"),
        ("/source/12", 404, "no source 12 in release R1"),
        ("/source/99999999999999999999999", 404, "identifiers are integers"),
        ("/source/x", 404, "identifiers are integers"),
    ],
)
def test_what_is_not_there_is_said_on_a_page(client, path, status, message):
    answer = client.get(path)
    assert answer.status_code == status
    assert message in unescape(answer.text)


def test_what_was_typed_is_never_markup(client):
    answer = client.get("/search", params={"q": '"><script>alert(1)</script>'})
    assert answer.status_code == 422
    assert "<script" not in answer.text


def test_without_a_release_the_page_says_so(tmp_path):
    app = FastAPI()
    add_routes(app, Store(tmp_path))
    with TestClient(app) as client:
        answer = client.get("/")
    assert answer.status_code == 503
    assert "no release yet" in answer.text
    assert int(answer.headers["retry-after"]) > 0
