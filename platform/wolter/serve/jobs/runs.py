"""Runs the jobs of a queue, on every replica."""

import asyncio
import contextlib
import logging
import secrets
import time
from abc import ABC, abstractmethod
from typing import Any, Generic

from wolter.errors import UnavailableError
from wolter.serve.jobs.queue import ERROR, FAULT, J, Queue

LOOK_S, ALIVE_S, SWEEP_S = 0.25, 2.0, 10.0
AGAIN_S = 2.0  # until a job is tried again that cannot be run now


class Runs(ABC, Generic[J]):
    """Base class: claims jobs and runs them, some at once; belongs to one event loop.

    Args:
        queue: of the jobs.
        at_once: jobs that run together.
        among: values of the fields of the jobs that are run here.
    """

    def __init__(self, queue: Queue[J], at_once: int = 1, **among: str) -> None:
        self.queue, self.at_once, self.among = queue, at_once, among
        self.owner = secrets.token_hex(8)
        self.wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._left = False

    @abstractmethod
    async def run(self, job: J) -> None:
        """Run a job and say how it ended, with `close`; cancelled where it is wanted no more.

        Raises:
            UnavailableError: it cannot be run now; it is queued again.
        """

    def start(self) -> None:
        """Begin to look for jobs."""
        self._loop = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """End the runs; their jobs are queued again, for another replica."""
        if self._loop is not None:
            self._loop.cancel()
        for task in list(self._running.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.queue.give_back(self.owner)

    def leave(self) -> None:
        """Claim no more, and queue what runs here again; where nothing can be awaited."""
        self._left = True
        self.queue.give_back(self.owner)

    def end(self, name: str) -> None:
        """End the run of a job, if it is here."""
        if name in self._running:
            self._running[name].cancel()

    def close(self, job: J, phase: str, **values: Any) -> bool:
        """Keep how a run ended, unless the job is wanted no more or another replica runs it.

        Returns:
            Whether it was kept.
        """
        return self.queue.finish(job.id, self.owner, phase=phase, ended=time.time(), **values)

    async def _look(self) -> None:
        alive = swept = 0.0
        while not self._left:
            try:
                now = time.monotonic()
                if now - alive > ALIVE_S:
                    alive = now
                    wanted = self.queue.keep_alive(self.owner, self._running)
                    for name in set(self._running) - wanted:
                        self.end(name)
                if now - swept > SWEEP_S:
                    swept = now
                    self.queue.sweep()
                while len(self._running) < self.at_once:
                    job = self.queue.claim(self.owner, **self.among)
                    if job is None:
                        break
                    task = asyncio.create_task(self._guarded(job))
                    self._running[job.id] = task
                    task.add_done_callback(lambda _, name=job.id: self._done(name))  # type: ignore[misc]
            except Exception as error:  # a full disk, a locked database: try again
                logging.getLogger(__name__).error("looking for jobs failed", exc_info=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), LOOK_S)
            self.wake.clear()

    async def _guarded(self, job: J) -> None:
        try:
            await self.run(job)
        except UnavailableError:
            await asyncio.sleep(AGAIN_S)
            self.queue.give_back(self.owner, job.id)
        except Exception as error:
            logging.getLogger(__name__).error("a job failed", exc_info=error)
            self.close(job, ERROR, error=f"{FAULT} ({type(error).__name__})")

    def _done(self, name: str) -> None:
        self._running.pop(name, None)
        self.wake.set()
