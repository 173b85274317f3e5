"""The catalogue's applications over a small release, and both on a real port."""

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.releases import random_release
from tests.served_app import served

from wolter.catalogue import release as releases
from wolter.serve.catalogue.app import build_app
from wolter.serve.catalogue.scs import build_cone_app

N = 3_000


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("served_releases")
    random_release(root, N)
    random_release(root, 20, "R0")
    releases.make_current("R1", root)
    return root


@pytest.fixture(scope="session")
def app(root):
    return build_app(root, watchlists=root / "watchlists.sqlite")


@pytest.fixture(scope="session")
def cone_app(root):
    return build_cone_app(root)


@pytest.fixture(scope="session")
def client(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def cone_client(cone_app):
    with TestClient(cone_app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def url(app, cone_app):
    """Where both are served, as Ray Serve mounts them."""
    with served(Starlette(routes=[Mount("/v1/catalogue", app), Mount("/scs", cone_app)])) as url:
        yield url


@pytest.fixture(scope="session", params=["rest", "scs"])
def alone(request, app, cone_app):
    """Where each is served by itself."""
    with served({"rest": app, "scs": cone_app}[request.param]) as url:
        yield url
