"""A request of many elements becomes a job, whose answer is that of a request of few."""

import contextlib
import dataclasses
import io

import pytest
import requests
from astropy.io import fits
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.refusals import refused
from tests.served_app import served

from wolter.client import Client
from wolter.errors import InputError
from wolter.serve import budgets, page
from wolter.serve.api import build_app
from wolter.serve.asked import OURS, Asked
from wolter.serve.config import ServeConfig
from wolter.serve.jobs import app as jobs
from wolter.serve.jobs import queue
from wolter.serve.jobs.model_runs import ModelRuns
from wolter.serve.jobs.store import RESULT, Bounds, JobStore
from wolter.serve.models import ServedRef
from wolter.serve.service import Service

TASK = "images/enhance"
URL = f"/v1/{TASK}"


@pytest.fixture(scope="module")
def service(enhancer):
    config = ServeConfig(parsers=1, max_elements=4000, job_elements=3000)
    chosen = [ServedRef("superres", str(enhancer(2)), "1")]
    service = Service.load(chosen, config)
    service.start()
    yield service
    service.stop()


@contextlib.contextmanager
def serving(service, folder):
    """URL of a task's models and their jobs; one replica runs these."""
    store = JobStore(folder)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        runs = ModelRuns(store, TASK, service.ref, service.config)
        runs.start()
        yield
        await runs.stop()

    app = build_app(dataclasses.replace(service, jobs=store))
    outer = FastAPI(lifespan=lifespan)
    outer.mount("/v1/jobs", jobs.build_app(str(folder)))
    outer.mount("/", app)
    with served(outer, lifespan="on") as url:
        yield url
    store.close()


def test_the_answer_of_a_job_is_that_of_a_request(service, picture_file, tmp_path, one_thread):
    sent = {"image": (picture_file.name, picture_file.read_bytes())}
    with serving(service, tmp_path / "jobs") as url:
        answer = requests.post(url + URL, params={"exposure": 3e4}, files=sent, timeout=60)
        assert answer.status_code == 202, answer.text
        info = answer.json()
        assert answer.headers["location"] == info["url"] == f"/v1/jobs/{info['id']}"
        assert info["state"] == "queued"
        client = Client(url)
        result = client.wait(info["id"], progress=False)
        with pytest.raises(InputError, match="no job"):
            client.wait(info["id"])  # deleted
        client.session.close()
        assert result.headers["content-type"] == "application/fits"
        assert result.headers["content-disposition"] == 'attachment; filename="field-superres.fits"'
        dark = io.BytesIO()
        fits.writeto(dark, fits.getdata(picture_file))
        bad = requests.post(url + URL, files={"image": ("a.fits", dark.getvalue())}, timeout=60)
        assert "no EXPOSURE" in refused(bad, 422)  # at once
    alone = TestClient(build_app(service)).post(URL, params={"exposure": 3e4}, files=sent)
    with (
        fits.open(io.BytesIO(result.content)) as ours,
        fits.open(io.BytesIO(alone.content)) as here,
    ):
        assert [hdu.name for hdu in ours] == [hdu.name for hdu in here]
        for one, other in zip(ours, here, strict=True):
            assert one.data.tobytes() == other.data.tobytes()


def test_too_many_jobs_are_refused(service, picture_file, tmp_path):
    store = JobStore(tmp_path, Bounds(waiting=1))
    client = TestClient(build_app(dataclasses.replace(service, jobs=store)))
    sent = {"image": (picture_file.name, picture_file.read_bytes())}
    assert client.post(URL, files=sent).status_code == 202
    answer = client.post(URL, params={"exposure": 3e4}, files=sent)
    assert "1 jobs wait already" in refused(answer, 429)
    assert answer.headers["retry-after"] == "60"
    store.close()


class Keyed:
    """What the front tells of a client, and what it takes of it."""

    def __init__(self, app):
        self.app, self.paid = app, []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            key = dict(scope["headers"]).get(b"x-api-key", b"").decode()
            scope[OURS] = Asked(key or "an address", key, lambda units, _: self.paid.append(units))
        await self.app(scope, receive, send)


def test_an_equal_request_of_one_client_is_one_job(service, picture_file, tmp_path):
    store = JobStore(tmp_path / "jobs")
    app = Keyed(build_app(dataclasses.replace(service, jobs=store)))
    client, content = TestClient(app), picture_file.read_bytes()
    longer = tmp_path / "longer.fits"
    longer.write_bytes(content + bytes(2880))

    def job(name="field.fits", content=content, key="", **params):
        sent, headers = {"image": (name, content)}, {"x-api-key": key} if key else {}
        answer = client.post(URL, params=params, files=sent, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    asked = [
        {},
        {"exposure": 3e4},
        {"name": "other.fits"},  # the answer is named after it
        {"content": longer.read_bytes()},
        {"key": "one"},
        {"key": "two"},
    ]
    first = [job(**each) for each in asked]
    assert len(set(first)) == len(asked)
    assert [job(**each) for each in asked] == first
    assert store.count(queue.QUEUED) == len(asked)
    done = store.claim("a replica")
    assert job() == done.id  # while it runs
    (store.place(done.id) / RESULT).write_bytes(b"answer")
    store.change(done.id, (queue.EXECUTING,), phase=queue.COMPLETED)
    assert job() == done.id
    failed = store.claim("a replica")
    store.change(failed.id, (queue.EXECUTING,), phase=queue.ERROR)
    assert job(exposure=3e4) not in first
    store.close()


@pytest.mark.parametrize(("factor", "units"), [(1.0, [20, 0]), (2.01, [20, 40]), (0.5, [20, 0])])
def test_a_job_is_paid_once_by_its_pixels(
    service, picture_file, tmp_path, monkeypatch, factor, units
):
    pixels = fits.getdata(picture_file).size
    monkeypatch.setattr(budgets, "PIECE", pixels / factor)
    store = JobStore(tmp_path)
    app = Keyed(build_app(dataclasses.replace(service, jobs=store)))
    client, sent = TestClient(app), {"image": (picture_file.name, picture_file.read_bytes())}
    assert client.post(URL, files=sent).status_code == 202
    assert app.paid == units
    assert client.post(URL, files=sent).status_code == 202
    assert app.paid == [*units, 20]
    store.bounds = Bounds(waiting=1)
    assert client.post(URL, params={"exposure": 3e4}, files=sent).status_code == 429
    assert app.paid == [*units, 20, 20]  # and no price of a job
    store.close()


def test_jobs_are_documented(service, tmp_path):
    store = JobStore(tmp_path)
    models = build_app(dataclasses.replace(service, jobs=store)).openapi()
    told = [("/v1/jobs", jobs.build_app(str(tmp_path)).openapi())]
    document = page.merged(models, told)
    accepted = document["paths"][URL]["post"]["responses"]["202"]
    operations = {
        each["operationId"]
        for path in document["paths"].values()
        for each in path.values()
        if "operationId" in each
    }
    assert {link["operationId"] for link in accepted["links"].values()} <= operations
    assert {"/v1/jobs/{name}", "/v1/jobs/{name}/result"} <= set(document["paths"])
    assert "JobInfo" in document["components"]["schemas"]
    store.close()
