"""Jobs of a queue are begun once, given back, begun again where a replica died, and bounded."""

import asyncio
import concurrent.futures
import io
import sqlite3
import threading
import time

import pytest

from wolter.errors import UnavailableError
from wolter.serve.jobs import queue
from wolter.serve.jobs import runs as jobs_runs
from wolter.serve.jobs.queue import Queue
from wolter.serve.jobs.runs import Runs
from wolter.serve.jobs.store import BODY, FILES, Bounds, JobStore, ModelJob
from wolter.serve.limits import BusyError

WHAT = {"task": "a/b", "model": "m", "version": "1", "key": ""}


@pytest.fixture
def store(tmp_path):
    store = JobStore(tmp_path / "jobs", Bounds(waiting=3, mb=1.0))
    yield store
    store.close()


def accept(store, size=10, **values):
    files = {"image": [("é/a.fits", io.BytesIO(bytes(size)))]}
    return store.accept({"query": {"x": 1}}, files, **{**WHAT, **values})


def test_a_request_is_kept_with_its_files(store):
    job = accept(store)
    assert len(job.id) == 32
    assert (job.phase, job.bytes) == (queue.QUEUED, 10)
    assert job.asked == {"query": {"x": 1}, "files": {"image": ["a.fits"]}}
    assert (store.place(job.id) / FILES / "image-0").read_bytes() == bytes(10)
    plain = store.accept({"query": {}}, None, b"{}", **WHAT)
    assert plain.asked["files"] is None
    assert (store.place(plain.id) / FILES / BODY).read_bytes() == b"{}"
    store.delete(job.id)
    assert store.get(job.id) is None
    assert not store.place(job.id).exists()


def test_equal_requests_at_once_are_one_job(store):
    store.bounds = Bounds()
    barrier = threading.Barrier(8)

    def one(_):
        barrier.wait()
        return accept(store, digest="equal").id

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(one, range(8)))
    (name,) = ids
    assert store.count(queue.QUEUED, queue.PENDING) == 1
    assert [each.name for each in store.folder.iterdir() if each.is_dir()] == [name]


def test_a_job_that_was_not_stored_or_whose_answer_is_lost_has_no_equal(store):
    store.create(60.0, asked={}, digest="equal", **WHAT)  # its replica died before it was queued
    assert store.equal("equal") is None
    job = accept(store, digest="equal")
    assert store.equal("equal") == job
    assert store.equal("other") is None
    assert store.equal(None) is None
    store.claim("one")
    store.change(job.id, (queue.EXECUTING,), phase=queue.COMPLETED)
    assert store.equal("equal") is None
    assert store.get(job.id) is None


def test_a_queue_of_an_earlier_version_goes_on(tmp_path):
    before = Queue(tmp_path, ModelJob)
    job = before.create(60.0, asked={}, **WHAT)
    with before._using() as database:
        database.execute("ALTER TABLE job DROP COLUMN digest")
    before.close()
    store = JobStore(tmp_path)
    assert store.get(job.id) == job
    assert accept(store, digest="equal").digest == "equal"
    store.close()


def test_other_keys_see_nothing(store):
    mine, anyones = accept(store, key="one"), accept(store)
    assert store.find(mine.id, "one").id == mine.id
    assert store.find(mine.id, "two") is None
    assert store.find(mine.id, "") is None
    assert store.find(anyones.id, "two").id == anyones.id


def test_what_waits_and_what_is_held_are_bounded(store):
    for _ in range(3):
        accept(store)
    with pytest.raises(BusyError, match="3 jobs wait already; try again in 60 s") as caught:
        accept(store)
    assert caught.value.again_s == 60
    job = store.claim("one")
    now = time.time()
    store.change(
        job.id, (queue.EXECUTING,), phase=queue.COMPLETED, started=now - 7, ended=now, bytes=2**20
    )
    with pytest.raises(BusyError, match=r"hold 1 MB already; .* try again in 7 s"):
        accept(store)
    store.delete(job.id)
    accept(store)


def test_a_job_that_cannot_be_stored_leaves_nothing(store):
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        store.accept({}, {"image": [("a", closed)]}, **WHAT)
    assert [each for each in store.folder.iterdir() if each.is_dir()] == []
    assert store.count(queue.PENDING) == 0


def test_jobs_are_begun_in_their_order_and_by_task(store):
    first, second = accept(store), accept(store)
    other = accept(store, task="c/d")
    assert (store.before(first), store.before(second), store.before(other)) == (0, 1, 0)
    assert store.claim("one", task="c/d").id == other.id
    assert store.claim("one", task="a/b").id == first.id
    assert store.claim("two", task="a/b").id == second.id
    assert store.claim("two") is None


def test_a_lost_job_is_begun_again_and_then_marked(store):
    job = accept(store)

    def lose(owner):
        assert store.claim(owner).id == job.id
        store.change(job.id, (queue.EXECUTING,), seen=time.time() - 2 * queue.STALE_S)
        store.sweep()
        return store.get(job.id)

    assert lose("one").phase == queue.QUEUED
    assert store.claim("two").tries == 2
    store.give_back("two")  # which ends, and is not to blame
    lost = lose("three")
    assert (lost.phase, lost.error) == (queue.ERROR, queue.INTERRUPTED)
    assert store.keep_alive("three", [job.id]) == set()


def test_a_lost_job_is_never_told_to_run(store):
    job = accept(store)
    store.claim("gone")
    assert store.find(job.id, "").phase == queue.EXECUTING
    store.change(job.id, (queue.EXECUTING,), seen=time.time() - 2 * queue.STALE_S, tries=9)
    assert store.find(job.id, "").phase == queue.ERROR


def test_what_is_over_is_deleted(tmp_path):
    kept = Queue(tmp_path, ModelJob)
    job = kept.create(0.0, asked={}, **WHAT)
    assert kept.get(job.id) is None
    kept.sweep()
    assert not kept.place(job.id).exists()
    kept.close()


def test_a_replica_that_lost_its_job_to_another_one_does_not_end_it(store):
    class Idle(Runs):
        async def run(self, job):
            """Nothing."""

    accept(store)
    one, other = Idle(store), Idle(store)
    job = store.claim(one.owner)
    store.change(job.id, (queue.EXECUTING,), seen=time.time() - 2 * queue.STALE_S)
    store.sweep()
    again = store.claim(other.owner)
    assert again.id == job.id
    assert not one.close(job, queue.COMPLETED, bytes=1)
    assert store.get(job.id).phase == queue.EXECUTING
    assert other.close(again, queue.COMPLETED, bytes=2)
    ended = store.get(job.id)
    assert (ended.phase, ended.bytes) == (queue.COMPLETED, 2)


class Scripted(Runs):
    """Runs jobs by what a test says of each."""

    def __init__(self, store, *does):
        super().__init__(store)
        self.does = list(does)

    async def run(self, job):
        if error := self.does.pop(0):
            raise error
        self.close(job, queue.COMPLETED)


def run_until(store, runs, phase):
    """Run the jobs of a store until the only one is in a phase."""

    async def scene():
        runs.start()
        async with asyncio.timeout(20):
            while store.count(phase) == 0:
                await asyncio.sleep(0.02)
        await runs.stop()

    asyncio.run(scene())


def test_a_job_whose_end_could_not_be_kept_is_begun_again(store, monkeypatch):
    """As of a full disk, or a database that another process holds."""
    monkeypatch.setattr(queue, "STALE_S", 0.3)
    monkeypatch.setattr(jobs_runs, "ALIVE_S", 0.05)
    monkeypatch.setattr(jobs_runs, "SWEEP_S", 0.05)
    job = accept(store)
    runs, finish, full = Scripted(store, None, None), store.finish, [True, True]

    def full_at_first(*args, **values):
        if full:
            full.pop()
            raise sqlite3.OperationalError("database or disk is full")
        return finish(*args, **values)

    monkeypatch.setattr(store, "finish", full_at_first)
    run_until(store, runs, queue.COMPLETED)
    assert (store.get(job.id).tries, full) == (2, [])


def test_a_job_that_cannot_be_run_now_waits(store, monkeypatch):
    """As one of another version, before the registry can be asked for it."""
    monkeypatch.setattr(jobs_runs, "AGAIN_S", 0.05)
    job = accept(store)
    not_yet = [UnavailableError("not yet")] * 5
    run_until(store, Scripted(store, *not_yet, None), queue.COMPLETED)
    assert store.get(job.id).tries == 1  # it is not to blame
