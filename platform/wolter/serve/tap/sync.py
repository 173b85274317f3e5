"""Queries that are answered at once."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from wolter.catalogue import formats
from wolter.catalogue import release as releases
from wolter.catalogue.adql import jobs
from wolter.catalogue.adql.jobs import Answer, Job
from wolter.catalogue.adql.process import Processes
from wolter.errors import UnavailableError
from wolter.serve.tap.config import TapConfig
from wolter.serve.tap.errors import BusyError, failed
from wolter.serve.tap.parameters import (
    Parameters,
    format_of,
    query_of,
    rows_of,
    save_uploads,
)
from wolter.serve.tap.store import Store

LOOK_S = 0.25
PREFIX = "sync-"


class Sync:
    """Answers queries at once, a few at a time.

    Args:
        processes: which run queries.
        config: limits.
        root: folder of the releases.
        store: of the jobs, whose results queries may use, and beside which answers are written.
    """

    def __init__(
        self, processes: Processes, config: TapConfig, root: Path | None, store: Store
    ) -> None:
        self.processes, self.config, self.root, self.store = processes, config, root, store
        self._free = asyncio.Semaphore(config.at_once)
        self._here = 0

    async def answer(self, request: Request, asked: Parameters, base_url: str) -> Response:
        """Response to a request.

        Raises:
            InputError: its parameters are no query.
            BusyError: too many wait, or for too long.
            UnavailableError: there is no release, or no process.
        """
        flat = {name: several[-1] for name, several in asked.values.items()}
        query, form = query_of(flat), format_of(flat)
        rows = rows_of(flat, self.config, self.config.sync.rows)
        path = releases.current(self.root)
        if path is None:
            raise UnavailableError("the catalogue has no release yet; try again later")
        async with self._admitted():
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self.store.folder))
            cleared = False
            try:
                job = Job(
                    query,
                    str(path),
                    form,
                    rows,
                    base_url,
                    self.config.sync,
                    await save_uploads(asked, folder, self.store, base_url),
                    self.config.upload_rows,
                    self.config.authority,
                )
                answer = await self._while_connected(request, job, folder)
                if answer.status == "ERROR":
                    return failed(answer)
                cleared = True  # by the response, once it is sent
                clear = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
                return result(folder / jobs.RESULT, answer, clear)
            finally:
                if not cleared:
                    shutil.rmtree(folder, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        if self._here >= self.config.at_once + self.config.waiting:
            raise BusyError(f"{self._here} queries wait already; try again in a few seconds")
        self._here += 1
        try:
            try:
                async with asyncio.timeout(self.config.sync.seconds):
                    await self._free.acquire()
            except TimeoutError as error:
                raise BusyError("the queries before this one take long; try again later") from error
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._here -= 1

    async def _while_connected(self, request: Request, job: Job, folder: Path) -> Answer:
        """The answer to a query, which is ended when its client goes."""
        running = asyncio.create_task(self.processes.run(job, folder))
        try:
            while True:
                done, _ = await asyncio.wait({running}, timeout=LOOK_S)
                if done:
                    return running.result()[0]
                if await request.is_disconnected():
                    line = "the client went before the answer"
                    return Answer("ERROR", error=line, why="time")
        finally:
            running.cancel()


def result(path: Path, answer: Answer, after: BackgroundTask | None = None) -> Response:
    """Response with the file of an answer; headers say what formats have no place for."""
    headers = {
        "x-query-status": answer.status,
        "x-rows": str(answer.rows),
        "content-disposition": f'inline; filename="result{suffix(answer.media)}"',
    }
    return FileResponse(path, headers=headers, media_type=answer.media, background=after)


def suffix(media: str) -> str:
    """Suffix of a file of a media type."""
    return next((each.suffix for each in formats.FORMATS if each.media == media), "")
