"""Fixtures of served models: an application of untrained networks, and a request's files."""

import pytest
from fastapi.testclient import TestClient

from wolter.serve.api import build_app
from wolter.serve.config import ServeConfig
from wolter.serve.models import ServedRef
from wolter.serve.service import Service


@pytest.fixture(scope="module")
def service(untrained):
    """What the application answers from."""
    config = ServeConfig(
        parsers=1, max_file_mb=1.0, max_inflated_mb=4.0, max_request_mb=3.0, max_refined=2
    )
    names = ("deepspectra", "mlp", "posterior")
    service = Service.load([ServedRef(name, str(untrained(name))) for name in names], config)
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def client(service):
    """The application without Ray."""
    with TestClient(build_app(service), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def parts(pha):
    """The files of a request, by field."""
    files = {
        "pha": pha,
        "rmf": pha.with_name("pn.rsp"),
        "background": pha.with_name("background.pha"),
    }
    return {field: (path.name, path.read_bytes()) for field, path in files.items()}
