"""Jobs over HTTP: their answers, their ends, and what happens to what runs them."""

import asyncio
import contextlib
import io
import time

import pytest
import requests
from fastapi import FastAPI
from tests.refusals import refused
from tests.served_app import served

from wolter.client import Client
from wolter.errors import FailedError, InputError
from wolter.serve.asked import OURS, Asked
from wolter.serve.config import ServeConfig
from wolter.serve.jobs import app as jobs
from wolter.serve.jobs import model_runs, queue
from wolter.serve.jobs.model_runs import ModelRuns
from wolter.serve.jobs.store import RESULT, JobStore
from wolter.serve.models import ServedRef

TASK = "a/b"
# In place of the process that answers, without its imports: does what the query says.
PROCESS = """
import json, os, pathlib, sys, time
work, folder = json.loads(sys.stdin.readline()), pathlib.Path(sys.argv[1])
asked = work["asked"]["query"]
(folder / "progress").write_text("0.5")
while asked.get("held") and not (folder / "go").exists():
    time.sleep(0.05)
if asked.get("breaks"):
    sys.exit(3)
if asked.get("killed"):
    os.kill(os.getpid(), 9)
(folder / "result").write_bytes((folder / "files/image-0").read_bytes())
print(json.dumps({"error": asked.get("error", ""), "media": "text/plain", "file": "é.txt"}))
"""


class Keyed:
    """What the front tells of a client's key."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            key = dict(scope["headers"]).get(b"x-api-key", b"").decode()
            scope[OURS] = Asked(holder=key, key=key)
        await self.app(scope, receive, send)


async def find(name, version):
    if name != "m":
        raise InputError(f"no {name}")
    return ServedRef(name, "nowhere", version)


@contextlib.contextmanager
def running(folder, config=None):
    """URL of the jobs, and their store, with one replica that runs them."""
    store = JobStore(folder)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        runs = ModelRuns(store, TASK, find, config or ServeConfig())
        runs.start()
        yield
        await runs.stop()

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/v1/jobs", Keyed(jobs.build_app(str(folder))))
    with served(outer, lifespan="on") as url:
        yield url, store
    store.close()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(model_runs, "PROCESS", ("-c", PROCESS))
    monkeypatch.setattr("wolter.serve.jobs.runs.ALIVE_S", 0.1)


def accept(store, key="", model="m", **query):
    files = {"image": [("a.fits", io.BytesIO(b"pixels"))]}
    asked = {"query": query, "format": "json", "explicit": False}
    return store.accept(asked, files, task=TASK, model=model, version="1", key=key)


def wait(url, job, states=("done", "failed"), key=""):
    ends = time.monotonic() + 60
    while True:
        answer = requests.get(f"{url}/v1/jobs/{job.id}", headers={"x-api-key": key}, timeout=60)
        assert answer.status_code == 200, answer.text
        if (info := answer.json())["state"] in states:
            return info
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() < ends, info
        time.sleep(0.05)


def test_jobs_from_their_making_to_their_end(quick, tmp_path):
    with running(tmp_path) as (url, store):
        job = accept(store, "mine", held=True)
        behind = accept(store)
        info = wait(url, job, ("running",), "mine")
        while info["progress"] is None:  # before its process is up
            info = wait(url, job, ("running",), "mine")
        assert info["progress"] == 0.5
        assert info["error"] is info["ended"] is info["result"] is None
        assert wait(url, behind, ("queued",))["before"] == 0
        early = requests.get(f"{url}/v1/jobs/{behind.id}/result", timeout=60)
        assert refused(early, 409) == "the job has no answer: it is queued"
        (store.place(job.id) / "go").touch()
        info = wait(url, job, key="mine")
        assert (info["state"], info["progress"]) == ("done", 1.0)
        assert info["created"] <= info["started"] <= info["ended"] < info["expires"]
        assert info["result"] == f"/v1/jobs/{job.id}/result"
        mine = {"x-api-key": "mine"}
        answer = requests.get(url + info["result"], headers=mine, timeout=60)
        assert answer.content == b"pixels"
        assert answer.headers["content-type"].startswith("text/plain")
        assert "%C3%A9.txt" in answer.headers["content-disposition"]
        assert not (store.place(job.id) / "files").exists()
        for method, path in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
            for key in ("", "other"):
                other = requests.request(
                    method, f"{url}/v1/jobs/{job.id}{path}", headers={"x-api-key": key}, timeout=60
                )
                assert "no job" in refused(other, 404)
        gone = requests.delete(f"{url}/v1/jobs/{job.id}", headers=mine, timeout=60)
        assert (gone.status_code, gone.content) == (204, b"")
        assert not store.place(job.id).exists()
        again = requests.delete(f"{url}/v1/jobs/{job.id}", headers=mine, timeout=60)
        assert "no job" in refused(again, 404)


def test_failures_are_told_in_a_line(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(model_runs, "DYING_S", 0.1)
    with running(tmp_path) as (url, store):
        for job, line in (
            (accept(store, error="too dark"), "too dark"),
            (accept(store, breaks=True), "ended without an answer (3)"),
            (accept(store, killed=True), "was killed, perhaps for its memory"),
            (accept(store, model="other"), "no other"),
        ):
            info = wait(url, job)
            assert info["state"] == "failed"
            assert line in info["error"]
            answer = requests.get(f"{url}/v1/jobs/{job.id}/result", timeout=60)
            assert line in refused(answer, 409)


def test_a_job_has_its_time(quick, tmp_path):
    with running(tmp_path, ServeConfig(job_s=0.5)) as (url, store):
        info = wait(url, accept(store, held=True))
        assert info["error"] == "no answer within 0.5 s; send less of it"


def test_the_client_waits_and_tells(quick, tmp_path):
    with running(tmp_path) as (url, store):
        client, job = Client(url), accept(store)
        assert client.wait(job.id).content == b"pixels"
        assert store.get(job.id) is None
        with pytest.raises(FailedError, match=r"^too dark$"):
            client.wait(accept(store, error="too dark").id, progress=False)
        client.session.close()


class Accepts:
    """A session whose server makes a job of a request, which is done at once."""

    def __init__(self):
        self.asked = []

    def request(self, method, url, **_):
        self.asked.append((method, url.partition("/v1/")[2]))
        response = requests.Response()
        response.status_code = 202 if method == "POST" else 200
        response.headers["content-type"] = "application/fits"
        response._content = b'{"id": "7", "state": "done", "progress": 1.0}'
        return response


def test_predictions_that_become_jobs_are_waited_for(tmp_path):
    file, session = tmp_path / "a.fits", Accepts()
    file.write_bytes(b"pixels")
    client = Client("http://server", session=session)
    told = client.predict("a/b", {"image": file}, out=tmp_path / "out.fits", progress=False)
    assert told == {"file": str(tmp_path / "out.fits"), "media_type": "application/fits"}
    assert (tmp_path / "out.fits").read_bytes().startswith(b'{"id"')
    path = "jobs/7"
    asked = [("POST", "a/b"), ("GET", path), ("GET", f"{path}/result"), ("DELETE", path)]
    assert session.asked == asked
    with pytest.raises(InputError, match=r"a/b: answers with application/fits; give out=FILE"):
        client.predict("a/b", {"image": file}, progress=False)
    with pytest.raises(InputError, match="nowhere/out: cannot be written"):
        client.predict("a/b", {"image": file}, out=tmp_path / "nowhere/out", progress=False)


def test_a_deleted_job_ends_and_an_interrupted_one_is_queued_again(quick, tmp_path):
    with running(tmp_path) as (url, store):
        job = accept(store, held=True)
        wait(url, job, ("running",))
        assert requests.delete(f"{url}/v1/jobs/{job.id}", timeout=60).status_code == 204
        wait(url, accept(store), ("done",))  # the process of the other one has ended
        assert not store.place(job.id).exists()
        job = accept(store, held=True)
        wait(url, job, ("running",))
    kept = JobStore(tmp_path)
    found = kept.get(job.id)
    assert (found.phase, found.tries, found.owner) == (queue.QUEUED, 0, None)
    kept.close()


def test_a_replica_that_ends_at_once_leaves_its_job_queued(quick, tmp_path):
    async def begin_and_leave():
        store = JobStore(tmp_path)
        runs = ModelRuns(store, TASK, find, ServeConfig())
        runs.start()
        job = accept(store, held=True)
        while runs._process is None:
            await asyncio.sleep(0.05)
        runs.leave()
        await runs._process.wait()
        await asyncio.gather(*runs._running.values(), runs._loop)  # it claims no more
        assert store.get(job.id).phase == queue.QUEUED
        store.close()

    asyncio.run(begin_and_leave())


def test_a_job_that_is_killed_just_before_its_replica_is_not_to_blame(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(model_runs, "DYING_S", 60.0)

    async def begin_and_die():
        store = JobStore(tmp_path)
        runs = ModelRuns(store, TASK, find, ServeConfig())
        runs.start()
        job = accept(store, killed=True)
        while runs._process is None or runs._process.returncode is None:
            await asyncio.sleep(0.05)
        assert store.get(job.id).phase == queue.EXECUTING
        await runs.stop()
        assert store.get(job.id).phase == queue.QUEUED
        store.close()

    asyncio.run(begin_and_die())


def test_a_fault_of_the_server_is_a_failure_of_the_job(quick, tmp_path, monkeypatch):
    async def fail(self, work, folder):
        raise MemoryError

    monkeypatch.setattr(ModelRuns, "_outcome", fail)
    with running(tmp_path) as (url, store):
        info = wait(url, accept(store))
        assert info["error"] == "the server failed on this job (MemoryError)"


def test_unknown_names_are_refused(tmp_path):
    with running(tmp_path) as (url, _):
        for name in ("nothing", "a" * 32, "%00", "..%2f..%2fx"):
            assert requests.get(f"{url}/v1/jobs/{name}", timeout=60).status_code == 404
        assert requests.get(f"{url}/v1/jobs/{'a' * 65}", timeout=60).status_code == 422
        answer = requests.post(f"{url}/v1/jobs/abc", timeout=60)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "DELETE, GET"


def test_a_result_that_is_lost_is_missing(quick, tmp_path):
    with running(tmp_path) as (url, store):
        job = accept(store)
        wait(url, job)
        (store.place(job.id) / RESULT).unlink()
        answer = requests.get(f"{url}/v1/jobs/{job.id}/result", timeout=60)
        assert "was deleted" in refused(answer, 404)
