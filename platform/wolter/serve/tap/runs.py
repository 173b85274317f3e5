"""Runs the queued jobs of the store, on every replica."""

import asyncio
import contextlib
import logging
import secrets
import time
from dataclasses import replace
from pathlib import Path

from wolter.catalogue import release as releases
from wolter.catalogue.adql.jobs import Job, Upload
from wolter.catalogue.adql.process import Processes
from wolter.errors import InputError, UnavailableError
from wolter.serve.tap import store as uws
from wolter.serve.tap.config import TapConfig
from wolter.serve.tap.parameters import format_of, query_of, rows_of
from wolter.serve.tap.store import Store, UwsJob

LOOK_S, ALIVE_S, SWEEP_S = 0.25, 2.0, 10.0


class Runs:
    """Claims jobs and runs them.

    Args:
        store: of the jobs.
        processes: which run queries.
        config: limits.
        root: folder of the releases.
    """

    def __init__(
        self, store: Store, processes: Processes, config: TapConfig, root: Path | None
    ) -> None:
        self.store, self.processes, self.config, self.root = store, processes, config, root
        self.owner = secrets.token_hex(8)
        self.wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for jobs."""
        self._loop = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """End the runs; their jobs are queued again, for another replica."""
        if self._loop is not None:
            self._loop.cancel()
        for name, task in list(self._running.items()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self.store.change(name, (uws.EXECUTING,), phase=uws.QUEUED, owner=None, started=None)

    def end(self, name: str) -> None:
        """End the run of a job, if it is here."""
        if name in self._running:
            self._running[name].cancel()

    async def _look(self) -> None:
        alive = swept = 0.0
        while True:
            try:
                now = time.monotonic()
                if now - alive > ALIVE_S:
                    alive = now
                    wanted = self.store.keep_alive(self.owner)
                    for name in set(self._running) - wanted:
                        self.end(name)
                if now - swept > SWEEP_S:
                    swept = now
                    self.store.sweep()
                while len(self._running) < self.config.jobs_at_once:
                    job = self.store.claim(self.owner)
                    if job is None:
                        break
                    task = asyncio.create_task(self._run(job))
                    self._running[job.id] = task
                    task.add_done_callback(lambda _, name=job.id: self._done(name))  # type: ignore[misc]
            except Exception as error:  # a full disk, a locked database: try again
                logging.getLogger(__name__).error("looking for jobs failed", exc_info=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), LOOK_S)
            self.wake.clear()

    def _done(self, name: str) -> None:
        self._running.pop(name, None)
        self.wake.set()

    async def _run(self, job: UwsJob) -> None:
        place = self.store.place(job.id)
        try:
            answer, _ = await self.processes.run(self.prepared(job), place)
        except (InputError, UnavailableError) as error:
            self._end(job, uws.ERROR, error=str(error), why="refused")
            return
        if answer.status == "ERROR":
            self._end(job, uws.ERROR, error=answer.error, why=answer.why)
        else:
            overflow = int(answer.status == "OVERFLOW")
            self._end(job, uws.COMPLETED, rows=answer.rows, media=answer.media, overflow=overflow)

    def _end(self, job: UwsJob, phase: str, **values: object) -> None:
        self.store.change(job.id, (uws.EXECUTING,), phase=phase, ended=time.time(), **values)

    def prepared(self, job: UwsJob) -> Job:
        """What the process of a job is told.

        Raises:
            InputError: its parameters are no query.
        """
        values, limits = job.parameters, replace(self.config.job, seconds=job.duration)
        path = releases.current(self.root)
        if path is None:
            raise UnavailableError("the catalogue has no release yet")
        uploads = [
            Upload(file.name[len("upload-") : -len(".xml")], file.name)
            for file in sorted(self.store.place(job.id).glob("upload-*.xml"))
        ]
        return Job(
            query_of(values),
            str(path),
            format_of(values),
            rows_of(values, self.config, limits.rows),
            values.get("_BASE", ""),
            limits,
            tuple(uploads),
            self.config.upload_rows,
        )
