"""Whatever is sent, the answer is an answer or one line that says why there is none."""

import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.hostile import draw

from wolter.serve.api import build_app
from wolter.serve.config import ServeConfig
from wolter.serve.models import ServedRef
from wolter.serve.service import Service

# Starlette leaves the parts of a body that is no multipart to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def client(untrained, enhancer, one_thread, tmp_path_factory):
    """The application without Ray; what it stores lies in a folder of its own."""
    config = ServeConfig(parsers=2, max_inflated_mb=20.0, max_elements=100_000)
    chosen = [ServedRef(name, str(untrained(name))) for name in ("mlp", "posterior")]
    chosen.append(ServedRef("superres", str(enhancer(2)), "1"))
    service = Service.load(chosen, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("stored")))
        service.start()
        with TestClient(build_app(service), raise_server_exceptions=False) as client:
            yield client
        service.stop()


@pytest.fixture
def folder(pha, picture_file):
    assert pha.parent == picture_file.parent
    return pha.parent


def no_constant(text):
    raise AssertionError(f"{text} is no JSON")


def check(response, what):
    """An answer that a client can use."""
    told = f"{what}: {response.status_code} {response.text[:300]}"
    assert response.status_code < 500, told
    if response.status_code == 200 and response.headers["content-type"] == "application/fits":
        assert response.content.startswith(b"SIMPLE"), told
        return
    assert response.headers["content-type"] == "application/json", told
    if response.request.method == "HEAD":
        return
    answer = json.loads(response.text, parse_constant=no_constant)
    if response.status_code != 200:
        assert list(answer) == ["detail"], told
        assert isinstance(answer["detail"], str), told
        assert answer["detail"].isprintable(), told
        assert not re.search(r"/tmp|(^| )--[a-z]|Traceback|wolter\.", answer["detail"]), told


def send(client, folder, seeds):
    seen = set()
    for seed in seeds:
        what, method, request = draw(np.random.default_rng(seed), folder)
        response = client.request(method, **request)
        check(response, f"seed {seed}: {what}")
        seen.add(response.status_code)
    assert not list(Path(tempfile.gettempdir()).iterdir())
    return seen


@pytest.mark.parametrize("part", range(4))
def test_no_request_ends_in_a_fault(client, folder, part):
    assert {200, 422} <= send(client, folder, range(30 * part, 30 * part + 30))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_no_request_of_thousands_ends_in_a_fault(client, folder, part):
    send(client, folder, range(10_000 + 150 * part, 10_150 + 150 * part))
