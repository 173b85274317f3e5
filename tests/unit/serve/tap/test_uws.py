"""Queries as jobs, which outlive what serves them."""

import asyncio
import time

import pytest
import requests
from fastapi.testclient import TestClient
from tests.unit.serve.tap.conftest import serving

from wolter.catalogue.adql.jobs import Answer
from wolter.serve.jobs import queue as uws
from wolter.serve.tap.app import build_app
from wolter.serve.tap.config import TapConfig
from wolter.serve.tap.runs import QueryRuns
from wolter.serve.tap.store import MB, open_store

SLOW = (
    "SELECT COUNT(*) FROM source AS a, source AS b, source AS c"
    " WHERE SIN(a.ra) * SIN(b.ra) * SIN(c.ra) > 0.5"
)


def make(url, query, **more):
    values = {"LANG": "ADQL", "QUERY": query, **more}
    answer = requests.post(f"{url}/async", values, allow_redirects=False, timeout=30)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def wait(job, phases, seconds=60):
    ends = time.monotonic() + seconds
    while (phase := requests.get(f"{job}/phase", timeout=30).text) not in phases:
        assert time.monotonic() < ends, phase
        time.sleep(0.1)
    return phase


def test_a_job_from_its_making_to_its_end(tap):
    job = make(tap, "SELECT TOP 2 ra FROM nowhere", RUNID="mine")
    assert requests.get(f"{job}/phase", timeout=30).text == "PENDING"
    requests.post(f"{job}/parameters", {"QUERY": "SELECT ra FROM source", "MAXREC": 2}, timeout=30)
    requests.post(f"{job}/executionduration", {"EXECUTIONDURATION": 7}, timeout=30)
    requests.post(f"{job}/destruction", {"DESTRUCTION": "2100-01-01T00:00:00Z"}, timeout=30)
    assert requests.get(f"{job}/executionduration", timeout=30).text == "7"
    assert requests.get(f"{job}/destruction", timeout=30).text < "2100"
    requests.post(f"{job}/phase", {"PHASE": "RUN"}, timeout=30)
    wait(job, {"COMPLETED"})
    document = requests.get(job, timeout=30).text
    for part in ("COMPLETED", "mine", "results/result", "SELECT ra FROM source", "_BASE"):
        assert (part in document) == (part != "_BASE")
    result = requests.get(f"{job}/results/result", timeout=30)
    assert result.headers["x-query-status"] == "OVERFLOW"
    assert b"OVERFLOW" in result.content
    deleted = requests.delete(job, allow_redirects=False, timeout=30)
    assert deleted.status_code == 303
    assert requests.get(job, timeout=30).status_code == 404


def test_errors_are_told(tap):
    job = make(tap, "SELECT nope FROM source", PHASE="RUN")
    wait(job, {"ERROR"})
    assert "nope" in requests.get(f"{job}/error", timeout=30).text
    assert "nope" in requests.get(job, timeout=30).text
    assert requests.get(f"{job}/results/result", timeout=30).status_code == 404


def test_a_result_is_a_table_of_another_query(tap):
    job = make(tap, "SELECT TOP 5 source_id FROM source", PHASE="RUN")
    wait(job, {"COMPLETED"})
    values = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM tap_upload.t", "FORMAT": "csv"}
    for place, status in ((f"{job}/results/result", 200), (f"{job}/error", 400)):
        answer = requests.post(f"{tap}/sync", {**values, "UPLOAD": f"t,{place}"}, timeout=30)
        assert answer.status_code == status
        assert ("5" in answer.text) or status == 400


def test_running_jobs_are_aborted_and_late_ones_ended(tap):
    job = make(tap, SLOW, PHASE="RUN")
    wait(job, {"EXECUTING"})
    started = time.monotonic()
    waited = requests.get(job, {"WAIT": 1000}, timeout=30)
    assert "EXECUTING" in waited.text
    assert time.monotonic() - started > 2  # and below 30: the longest wait is not the client's
    assert requests.get(f"{job}/phase", timeout=30).text == "EXECUTING"
    requests.post(f"{job}/phase", {"PHASE": "ABORT"}, timeout=30)
    assert requests.get(f"{job}/phase", timeout=30).text == "ABORTED"
    late = make(tap, SLOW, EXECUTIONDURATION=1, PHASE="RUN")
    wait(late, {"ERROR"})
    assert "more than 1 s" in requests.get(f"{late}/error", timeout=30).text


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("phase", {"PHASE": "DANCE"}),
        ("executionduration", {"EXECUTIONDURATION": "long"}),
        ("executionduration", {"EXECUTIONDURATION": "nan"}),
        ("destruction", {"DESTRUCTION": "tomorrow"}),
    ],
)
def test_bad_changes_are_refused(tap, path, values):
    job = make(tap, "SELECT ra FROM source")
    assert requests.post(f"{job}/{path}", values, timeout=30).status_code == 400
    assert requests.get(f"{tap}/async/nothing/phase", timeout=30).status_code == 404


def test_jobs_outlive_what_serves_them(tap_root, tmp_path):
    with serving(tap_root, tmp_path) as url:
        done = make(url, "SELECT TOP 2 ra FROM source", PHASE="RUN")
        wait(done, {"COMPLETED"})
        running = make(url, SLOW, PHASE="RUN")
        wait(running, {"EXECUTING"})
    name, stopped = done.rsplit("/", 1)[1], running.rsplit("/", 1)[1]
    store = open_store(tmp_path)
    assert store.get(stopped).phase == uws.QUEUED  # for the next replica
    lost = {"owner": "gone", "seen": time.time() - 60, "tries": 1}
    store.change(stopped, (uws.QUEUED,), phase=uws.EXECUTING, **lost)
    with serving(tap_root, tmp_path) as url:
        result = requests.get(f"{url}/async/{name}/results/result", timeout=30)
        assert result.status_code == 200
        wait(f"{url}/async/{stopped}", {"ERROR"})
        assert "stopped" in requests.get(f"{url}/async/{stopped}/error", timeout=30).text
    store.change(name, (uws.COMPLETED,), destruction=time.time() - 1)
    store.sweep()
    assert store.get(name) is None
    assert not store.place(name).exists()
    store.close()


def test_jobs_are_bounded_in_number_and_on_disk(tap_root, tmp_path):
    values = {"LANG": "ADQL", "QUERY": "SELECT 1 FROM source"}
    upload = {"UPLOAD": "t,param:f"}, {"f": b"x" * 3_000}
    config = TapConfig(jobs_kept=3, jobs_mb=5_000 / MB)
    client = TestClient(build_app(tap_root, tmp_path, config), follow_redirects=False)
    named = client.post("/async", data=values | {"\x01": "x"})
    assert named.status_code == 400  # XML could not hold it
    first, second = (client.post("/async", data=values).headers["location"] for _ in range(2))
    assert client.post(first, data=upload[0], files=upload[1]).status_code == 303
    third = client.post("/async", data=values | upload[0], files=upload[1])
    assert third.status_code == 303
    for answer in (
        client.post("/async", data=values),
        client.post(second, data=upload[0], files=upload[1]),
    ):
        assert answer.status_code == 429
        assert "3 jobs" in answer.text
    assert client.post(f"{second}/phase", data={"PHASE": "RUN"}).status_code == 303
    client.delete(first)
    assert client.post("/async", data=values).status_code == 303
    assert client.post("/async", data=values).status_code == 429  # the fourth


def test_what_a_failed_query_leaves_is_removed(tap_root, tmp_path):
    class Failing:
        async def run(self, _job, folder):
            (folder / "result").write_bytes(b"x" * 100)
            (folder / "temporary").mkdir()
            (folder / "temporary" / "block").write_bytes(b"x" * 100)
            return Answer("ERROR", error="too large", why="size"), None

    store = open_store(tmp_path)
    job = store.create(100, parameters={"QUERY": "SELECT ra FROM source"}, duration=1)
    store.change(job.id, (uws.PENDING,), phase=uws.QUEUED)
    runs = QueryRuns(store, Failing(), TapConfig(), tap_root)
    asyncio.run(runs.run(store.claim(runs.owner)))
    ended = store.get(job.id)
    assert (ended.phase, ended.error, ended.bytes) == (uws.ERROR, "too large", 0)
    assert list(store.place(job.id).iterdir()) == []
    store.change(job.id, (uws.ERROR,), phase=uws.QUEUED, bytes=2 * MB)
    full = QueryRuns(store, Failing(), TapConfig(jobs_mb=2.0), tap_root)
    asyncio.run(full.run(store.claim(full.owner)))
    assert "with 2 MB are kept already" in store.get(job.id).error
    store.close()


def test_one_replica_claims_a_job(tmp_path):
    one, other = open_store(tmp_path), open_store(tmp_path)
    job = one.create(100, parameters={"QUERY": "SELECT"}, duration=1)
    other.change(job.id, (uws.PENDING,), phase=uws.QUEUED)
    assert one.claim("one").id == job.id
    assert other.claim("other") is None
    assert one.keep_alive("one", [job.id]) == {job.id}
    assert other.keep_alive("other", [job.id]) == set()
    one.close()
    other.close()
