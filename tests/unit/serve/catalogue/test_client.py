"""The client against a server on a port."""

import contextlib
import http.server
import io
import subprocess
import sys
import threading
from hashlib import sha256

import numpy as np
import pytest
import requests

from wolter.client import Client
from wolter.errors import FailedError, InputError

FIRST = 10**12


@pytest.fixture
def client(url):
    client = Client(url)
    yield client
    client.session.close()


def test_queries_are_answered(client):
    near = client.cone(10, 20, 9.0, columns=["source_id", "ra"], limit=3)
    assert near["status"] == "OVERFLOW"
    assert len(near["rows"]) == 3
    found = client.sources(["kt > 0"], columns="kt", order="kt", descending=True, limit=2)
    assert found["rows"][0]["kt"] >= found["rows"][1]["kt"]
    assert client.ids([FIRST, 5], columns=["name"])["missing"] == "5"
    assert client.source(FIRST)["source"]["name"] == "WLT J000000"
    assert len(client.similar(np.int64(FIRST), columns=["name"])["rows"]) == 10
    assert len(client.similar([0.0] * 8, limit=3, columns=["name"])["rows"]) == 3
    assert len(client.anomalies(4, columns=["anomaly"])["rows"]) == 4
    assert {each["release"] for each in client.releases()} == {"R0", "R1"}
    with pytest.raises(InputError, match="no source 5"):
        client.source(5)
    with pytest.raises(InputError, match="pha\\.fits: cannot be read"):
        client.predict("a/b", {"pha": "pha.fits"})


def test_many_positions_are_sent_in_parts(client):
    places = [(f"p{i}", i % 360, 0.0) for i in range(10_020)]
    found = client.positions(places, 1.0, columns=["source_id"])
    assert found["positions"] == 10_020
    names = {row["position_id"] for row in found["rows"]}
    assert names & {f"p{i}" for i in range(10_000, 10_020)}


def test_a_download_goes_on_and_is_verified(client, root, tmp_path):
    whole = (root / "R1" / "latents.npy").read_bytes()
    (tmp_path / "latents.npy.partial").write_bytes(whole[:1_000])
    (path,) = client.download("R1", tmp_path, ["latents.npy"])
    assert path.read_bytes() == whole
    assert client.download("R1", tmp_path, ["latents.npy"], progress=False) == [path]
    path.unlink()
    (tmp_path / "latents.npy.partial").write_bytes(b"other" * 100)
    with pytest.raises(FailedError, match="checksum"):
        client.download("R1", tmp_path, ["latents.npy"])
    found = client.download("R0", tmp_path / "all")
    names = {path.relative_to(tmp_path / "all").parts[0] for path in found}
    assert names == {
        "catalogue.duckdb",
        "hats",
        "latents.npy",
        "pictures.parquet",
        "quick_looks.parquet",
        "release.json",
    }
    with pytest.raises(InputError, match="no file nope"):
        client.download("R1", tmp_path, ["nope"])


class Answers:
    """A session whose server answers as told."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def request(self, *_, **__):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, response.headers["retry-after"] = answer, "0"
        response._content = b'{"detail": "wait a little"}'
        return response


def test_a_busy_server_is_asked_again(monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    client = Client(session=Answers(429, 502, 503, requests.ConnectionError(), 200))
    assert client.request("GET", "/x").status_code == 200
    assert waits == [0, 0, 0, 8]
    with pytest.raises(FailedError, match="wait a little; asked 2 times"):
        Client(session=Answers(429, 429), tries=2).request("GET", "/x")
    with pytest.raises(FailedError, match="cannot be reached"):
        Client(session=Answers(requests.Timeout()), tries=1).request("GET", "/x")
    with pytest.raises(FailedError, match="wait a little"):
        Client(session=Answers(500)).request("GET", "/x")


class Piece(requests.Response):
    """A part of a file, after which the connection may end."""

    def __init__(self, status, content, ends=False):
        super().__init__()
        self.status_code, self.content_, self.ends = status, content, ends
        self.raw = io.BytesIO()

    def iter_content(self, _size):
        yield self.content_
        if self.ends:
            raise requests.exceptions.ChunkedEncodingError


class Pieces:
    def __init__(self, *pieces):
        self.pieces, self.ranges = list(pieces), []

    def request(self, _method, _url, headers, **_):
        self.ranges.append(headers.get("range"))
        return self.pieces.pop(0)


@contextlib.contextmanager
def cutting_off(body, *cut):
    """URL of a server that ends in the midst of some of its answers."""
    cuts = list(cut)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # its name for the base class
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cuts.pop(0) else body)

        def log_message(self, *_):
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_answer_that_is_cut_off_is_asked_for_again():
    """As by a replica that is killed while it answers."""
    with cutting_off(b'{"rows": 1}', True, False, True) as url:
        assert Client(url).request("GET", "/x").json() == {"rows": 1}
        with pytest.raises(FailedError, match="ChunkedEncodingError"):
            Client(url, tries=1).request("GET", "/x")


def test_a_download_that_is_cut_off_goes_on(tmp_path):
    told = {"bytes": 6, "sha256": sha256(b"abcdef").hexdigest()}
    target, seen = tmp_path / "x", []
    session = Pieces(Piece(200, b"ab", True), Piece(206, b"cd", True), Piece(206, b"ef"))
    Client(session=session)._fetch("/x", told, target, seen.append)
    assert target.read_bytes() == b"abcdef"
    assert session.ranges == [None, "bytes=2-", "bytes=4-"]
    assert sum(seen) == 6
    target.unlink()
    lost = Client(session=Pieces(*(Piece(200, b"a", True) for _ in range(2))), tries=2)
    with pytest.raises(FailedError, match=r"cut off .* goes on"):
        lost._fetch("/x", told, target, seen.append)
    assert (tmp_path / "x.partial").read_bytes() == b"a"


def test_the_client_needs_neither_torch_nor_ray():
    code = "import sys, wolter.client; print({'torch', 'ray', 'duckdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
