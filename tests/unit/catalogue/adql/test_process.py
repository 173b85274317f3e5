"""Processes of queries: what forks them may be killed, left or silent, and queries end."""

import asyncio

import pytest

from wolter.catalogue.adql import process
from wolter.catalogue.adql.jobs import Job, Limits
from wolter.catalogue.adql.process import Processes
from wolter.errors import UnavailableError

# Forks nothing: is ready after a while, and tells of each query at once that it has ended.
FORKS = """
import json, sys, time
time.sleep(0.3)
print("ready", flush=True)
for line in sys.stdin:
    told = json.loads(line)
    if "run" in told and not {silent}:
        how = {{"ended": told["run"], "code": 1, "memory_mb": 1, "cpu_s": 0}}
        print(json.dumps(how), flush=True)
"""
JOB = Job("SELECT 1", "/nowhere", "votable", 1, limits=Limits(seconds=0.1))


def forks(monkeypatch, silent=False):
    monkeypatch.setattr(process, "FORKS", ("-c", FORKS.format(silent=silent)))


def test_a_query_whose_client_leaves_while_queries_start_again_harms_no_other(
    monkeypatch, tmp_path
):
    forks(monkeypatch)
    folders = map(str, range(9))

    async def scene():
        processes = Processes()

        async def run():
            (folder := tmp_path / next(folders)).mkdir()
            return (await processes.run(JOB, folder))[0].why

        assert await run() == "refused"  # it left no answer
        processes._process.kill()
        await asyncio.gather(processes._reading)
        left = asyncio.create_task(run())
        await asyncio.sleep(0.1)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        async with asyncio.timeout(30):
            assert await run() == "refused"
        await processes.stop()

    asyncio.run(scene())


def test_what_never_tells_of_an_end_is_ended(monkeypatch, tmp_path):
    forks(monkeypatch, silent=True)
    monkeypatch.setattr(process, "GRACE_S", 0.1)
    monkeypatch.setattr(process, "KILLED_S", 0.1)

    async def scene():
        processes = Processes()
        async with asyncio.timeout(30):
            with pytest.raises(UnavailableError, match="send it again"):
                await processes.run(JOB, tmp_path)
        assert processes._process is None
        forks(monkeypatch)
        assert (await processes.run(JOB, tmp_path))[0].why == "refused"
        await processes.stop()

    asyncio.run(scene())
