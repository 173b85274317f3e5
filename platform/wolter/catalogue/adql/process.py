"""Processes that run queries: one each, ended when it takes too long."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from wolter.catalogue.adql import jobs
from wolter.catalogue.adql.jobs import Answer, Job
from wolter.catalogue.adql.run import late
from wolter.errors import UnavailableError

FORKS = ("-m", "wolter.catalogue.adql.forks")  # what Python runs
START_S = 120.0  # imports on a busy machine
GRACE_S = 2.0  # from the interruption of a query to its end
KILLED_S = 30.0  # until a killed query is told to have ended, on a busy machine
_LINE = 2**20


@dataclass(frozen=True)
class Used:
    """What a process of a query used: megabytes at most, and seconds of a processor."""

    memory_mb: float
    cpu_s: float


class Processes:
    """Runs queries in processes of their own; belongs to one event loop."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ends: dict[str, asyncio.Future[dict[str, float]]] = {}
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start what forks, unless it runs."""
        async with self._starting:
            if self._reading is not None and not self._reading.done():
                return
            threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *FORKS,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **dict.fromkeys(threads, "1")},
                limit=_LINE,
            )
            assert process.stdout is not None
            ready = b""
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(START_S):
                        ready = await process.stdout.readline()
            finally:
                if not ready and process.returncode is None:  # also where who waits has left
                    process.kill()
            if not ready:
                raise UnavailableError("queries cannot be run now; try again in a few seconds")
            self._process = process
            self._reading = asyncio.create_task(self._read(process))

    async def run(self, job: Job, folder: Path) -> tuple[Answer, Used]:
        """Run a query; what it left, and what it used.

        Cancelling this ends the process.

        Args:
            job: the query.
            folder: its own, empty but for uploads; the answer is left there.

        Raises:
            UnavailableError: no process can run it now.
        """
        jobs.put(job, folder)
        await self.start()
        name = str(folder)
        ended: asyncio.Future[dict[str, float]] = asyncio.get_running_loop().create_future()
        self._ends[name] = ended
        self._send({"run": name})
        timed_out = False
        try:
            try:
                async with asyncio.timeout(job.limits.seconds + GRACE_S):
                    how = await asyncio.shield(ended)
            except TimeoutError:
                timed_out = True
                self._send({"kill": name})
                how = await self._killed(ended)
        except asyncio.CancelledError:
            self._send({"kill": name})
            raise
        finally:
            self._ends.pop(name, None)
        used = Used(how["memory_mb"], how["cpu_s"])
        answer = jobs.answer_of(folder)
        if answer is None:
            answer = _without(job, int(how["code"]), timed_out)
        return answer, used

    async def _killed(self, ended: asyncio.Future[dict[str, float]]) -> dict[str, float]:
        """End of a query that was killed; where it is not told, all are ended.

        Raises:
            UnavailableError: it was not told.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILLED_S):
                return await asyncio.shield(ended)
        await self.stop()
        return await ended

    async def stop(self) -> None:
        """End every process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(GRACE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading

    def _send(self, line: dict[str, str]) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            told = json.loads(line)
            future = self._ends.get(told["ended"])
            if future is not None and not future.done():
                future.set_result(told)
        for future in self._ends.values():
            if not future.done():
                future.set_exception(UnavailableError("the query was ended; send it again"))


def _without(job: Job, code: int, timed_out: bool) -> Answer:
    """Answer of a query whose process left none."""
    if timed_out or code == -signal.SIGXCPU:
        return Answer("ERROR", error=late(job.limits), why="time")
    if code == -signal.SIGXFSZ:
        line = f"the answer is larger than {job.limits.result_mb} MB; ask for fewer rows"
        return Answer("ERROR", error=line, why="size")
    line = "the query broke the process that ran it; simplify it"
    return Answer("ERROR", error=line, why="refused")
