"""A TAP service over a small release, on a port of its own."""

import contextlib

import pytest
from fastapi import FastAPI
from tests.releases import random_release
from tests.served_app import served

from wolter.catalogue import release as releases
from wolter.catalogue.adql.jobs import Limits
from wolter.serve.tap.app import build_app
from wolter.serve.tap.config import TapConfig

CONFIG = TapConfig(
    sync=Limits(seconds=20.0, cost=1e7, rows=5_000),
    job=Limits(seconds=60.0, rows=100_000),
    rows=1_000,
    at_once=2,
    waiting=6,
    upload_rows=2_000,
    body_mb=4,
    wait_s=3.0,
)


@contextlib.contextmanager
def serving(root, jobs, config=CONFIG):
    """URL of a service that runs meanwhile."""
    tap = build_app(root, jobs, config)

    @contextlib.asynccontextmanager
    async def running(_):
        async with tap.router.lifespan_context(tap):
            yield

    outer = FastAPI(lifespan=running)
    outer.mount("/tap", tap)
    with served(outer, lifespan="on") as url:
        yield f"{url}/tap"


@pytest.fixture(scope="session")
def tap_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("tap-releases")
    random_release(root, 3_000)
    releases.make_current("R1", root)
    return root


@pytest.fixture(scope="session")
def tap_jobs(tmp_path_factory):
    return tmp_path_factory.mktemp("tap-jobs")


@pytest.fixture(scope="session")
def tap(tap_root, tap_jobs):
    with serving(tap_root, tap_jobs) as url:
        yield url
