"""Routes of models, their health and their jobs keep what their OpenAPI document says."""

import contextlib
import dataclasses
import os
import subprocess
import sys

import pytest
from astropy.io import fits
from fastapi import FastAPI
from tests.served_app import served

from wolter.serve.api import build_app
from wolter.serve.config import ServeConfig
from wolter.serve.jobs import app as jobs
from wolter.serve.jobs.store import JobStore
from wolter.serve.models import ServedRef
from wolter.serve.openapi import merged
from wolter.serve.service import Service

HOOKS = """
import pathlib
import schemathesis
from hypothesis import strategies

file = pathlib.Path("all.fits").read_bytes()
schemathesis.openapi.media_type("application/fits", strategies.just(file))
"""


@pytest.fixture(scope="module")
def url(untrained, enhancer, tmp_path_factory):
    """Where models of two kinds and their jobs are served, with one document."""
    folder = tmp_path_factory.mktemp("jobs")
    store = JobStore(folder)
    chosen = [
        ServedRef("mlp", str(untrained("mlp"))),
        ServedRef("posterior", str(untrained("posterior"))),
        ServedRef("superres", str(enhancer(2)), "1"),
    ]
    config = ServeConfig(parsers=1, max_elements=4000, job_elements=3000, max_refined=1)
    service = dataclasses.replace(Service.load(chosen, config), jobs=store)
    service.start()
    app, kept = build_app(service), jobs.build_app(str(folder))
    own = app.openapi()
    app.openapi = lambda: merged(own, [("/v1/jobs", kept.openapi())])
    outer = FastAPI(openapi_url=None)
    outer.mount("/v1/jobs", kept)
    outer.mount("/", app)
    with served(outer) as url:
        yield url
    service.stop()
    store.close()


CONFIG = """
[[operations]]
include-method = "POST"
# No schema tells that files belong together, or which models are served.
checks.positive_data_acceptance.expected-statuses = [
    "2xx", "401", "403", "404", "409", "413", "422", "429",
]
"""


@pytest.fixture
def file(picture_file, pha, tmp_path):
    """FITS of all roles: an image, a spectrum and its response."""
    path = tmp_path / "all.fits"
    with contextlib.ExitStack() as opened:
        several = (picture_file, pha, pha.with_name("pn.rsp"))
        first, *others = (opened.enter_context(fits.open(each)) for each in several)
        hdus = [*first, *(hdu for each in others for hdu in each[1:])]
        for word in ("RESPFILE", "BACKFILE"):
            hdus[1].header[word] = "NONE"
        fits.HDUList(hdus).writeto(path)
    return path


def test_schemathesis_finds_no_fault(url, file, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    (tmp_path / "files_are_fits.py").write_text(HOOKS)
    words = ["run", f"{url}/openapi.json", "--checks", "all", "--max-examples", "2", "--seed", "1"]
    few = ["--no-color", "--suppress-health-check=all"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *words, *few],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "files_are_fits", "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout[-10_000:]
