"""The applications of the catalogue together, at the paths where Ray Serve has them."""

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from tests.releases import random_release
from tests.served_app import served

from wolter.catalogue import release as releases
from wolter.catalogue.store import Store
from wolter.serve.catalogue.app import build_app
from wolter.serve.catalogue.scs import build_cone_app
from wolter.serve.tap.app import build_app as build_tap
from wolter.serve.web.routes import add_routes

NOTEBOOK = Path(__file__).parents[3] / "docs" / "notebooks" / "catalogue.ipynb"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Where page, catalogue, cone and TAP are served."""
    root = tmp_path_factory.mktemp("releases")
    random_release(root, n=3_000)
    releases.make_current("R1", root)
    page = FastAPI()
    add_routes(page, Store(root))
    tap = build_tap(root, root / "uws")
    parts = {
        "/v1/catalogue": build_app(root, watchlists=root / "watchlists.sqlite"),
        "/scs": build_cone_app(root),
        "/tap": tap,
        "/": page,
    }

    async def app(scope, receive, send):
        """The application of the longest prefix, as Ray Serve chooses it."""
        if scope["type"] == "lifespan":
            return await tap(scope, receive, send)
        path = scope["path"]
        prefix = next(p for p in parts if path == p or path.startswith(f"{p.rstrip('/')}/"))
        root_path = prefix.rstrip("/")
        return await parts[prefix]({**scope, "root_path": root_path}, receive, send)

    with served(app, lifespan="on") as url:
        yield url


def links(page):
    found = re.findall(r'(?:href|src)="(/[^"]*)"', page)
    return {unescape(link) for link in found if not link.startswith("/docs")}


@pytest.mark.parametrize("path", ["/", "/search?q=10+10&radius=900", f"/source/{10**12 + 3}"])
def test_every_link_of_a_page_answers(url, path):
    with httpx2.Client(base_url=url, timeout=60) as client:
        for link in links(client.get(path).text):
            answer = client.get(link)
            assert answer.status_code == 200, (link, answer.text[:300])


def test_adql_of_the_page_is_answered_as_a_page(url):
    form = {
        "LANG": "ADQL",
        "QUERY": "SELECT TOP 3 source_id, name, ra FROM source ORDER BY ra",
        "RESPONSEFORMAT": "html",
    }
    answer = httpx2.post(f"{url}/tap/sync", data=form, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert len(re.findall(r'<a href="/source/\d+">', answer.text)) == 3


def test_links_of_observations_lead_to_their_sources(url):
    query = "SELECT TOP 1 access_url FROM ivoa.obscore"
    form = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "json"}
    (row,) = httpx2.post(f"{url}/tap/sync", data=form, timeout=60).json()["rows"]
    assert row["access_url"].startswith(f"{url}/links?ID=")
    assert "NotFoundFault" not in httpx2.get(row["access_url"]).text


def test_the_notebook_runs(url, tmp_path):
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "WOLTER_URL": url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "R1 simulated 3000" in done.stdout
