"""UWS 1.1 over HTTP: queries as jobs."""

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from wolter.catalogue.adql import jobs
from wolter.catalogue.adql.jobs import Answer
from wolter.errors import InputError, printable
from wolter.serve.jobs import queue as uws
from wolter.serve.tap import uws_xml
from wolter.serve.tap.config import TapConfig
from wolter.serve.tap.errors import BusyError, problem
from wolter.serve.tap.parameters import Parameters, parameters, save_uploads
from wolter.serve.tap.runs import QueryRuns
from wolter.serve.tap.store import Store, UwsJob
from wolter.serve.tap.sync import result
from wolter.serve.timing import time_text

POLL_S = 0.2
_XML = "application/xml"
_LONGEST = 2_000_000  # characters of all parameters


class Jobs:
    """Routes of jobs.

    Args:
        store: of the jobs.
        runs: which run them.
        config: limits.
        base: URL of the service for a request.
    """

    def __init__(
        self, store: Store, runs: QueryRuns, config: TapConfig, base: Callable[[Request], str]
    ) -> None:
        self.store, self.runs, self.config, self.base = store, runs, config, base

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(prefix="/async")
        for path, methods, route in (
            ("", ["GET"], self.listing),
            ("", ["POST"], self.create),
            ("/{name}", ["GET"], self.job),
            ("/{name}", ["POST"], self.act),
            ("/{name}", ["DELETE"], self.delete),
            ("/{name}/phase", ["GET"], self.phase),
            ("/{name}/phase", ["POST"], self.act),
            ("/{name}/executionduration", ["GET"], self.duration),
            ("/{name}/executionduration", ["POST"], self.act),
            ("/{name}/destruction", ["GET"], self.destruction),
            ("/{name}/destruction", ["POST"], self.act),
            ("/{name}/quote", ["GET"], self.nothing),
            ("/{name}/owner", ["GET"], self.nothing),
            ("/{name}/error", ["GET"], self.error),
            ("/{name}/parameters", ["GET"], self.parameters),
            ("/{name}/parameters", ["POST"], self.act),
            ("/{name}/results", ["GET"], self.results),
            ("/{name}/results/result", ["GET"], self.result),
        ):
            router.add_api_route(path, route, methods=methods, response_model=None)
        return router

    def _url(self, request: Request, name: str) -> str:
        return f"{self.base(request)}/async/{name}"

    def _get(self, name: str) -> UwsJob:
        job = self.store.get(name)
        if job is None:
            raise HTTPException(404, f"no job {printable(name)[:40]!r}; it may have been deleted")
        return job

    def _see(self, request: Request, name: str) -> Response:
        return RedirectResponse(self._url(request, name), 303)

    async def listing(self) -> Response:
        """No jobs: their names are the only keys to them."""
        return Response(uws_xml.list_document([]), media_type=_XML)

    async def create(self, request: Request) -> Response:
        """Make a job; with PHASE=RUN it is queued."""
        async with parameters(request) as asked:
            return await self._create(request, asked)

    async def _create(self, request: Request, asked: Parameters) -> Response:
        values = _job_parameters(asked)
        values["_BASE"] = self.base(request)
        self.store.check_room(self.config.jobs_kept, self.config.jobs_mb)
        duration = self.config.job.seconds
        job = self.store.create(self.config.keep_s, parameters=values, duration=duration)
        try:
            await save_uploads(asked, self.store.place(job.id), self.store, values["_BASE"])
            self.store.measure(job.id)
            self._change(job, asked)
        except (InputError, BusyError):
            self.store.delete(job.id)
            raise
        return self._see(request, job.id)

    async def act(self, request: Request, name: str) -> Response:
        """Change a job: PHASE, ACTION=DELETE, EXECUTIONDURATION, DESTRUCTION, parameters."""
        async with parameters(request) as asked:
            return await self._act(request, name, asked)

    async def _act(self, request: Request, name: str, asked: Parameters) -> Response:
        job = self._get(name)
        if (asked.get("ACTION") or "").upper() == "DELETE":
            return await self.delete(request, name)
        if job.phase == uws.PENDING:
            if "UPLOAD" in asked.values:
                self.store.check_room(sys.maxsize, self.config.jobs_mb)
            await save_uploads(asked, self.store.place(name), self.store, self.base(request))
            self.store.measure(name)
            more = _job_parameters(asked)
            if more:
                values = {**job.parameters, **more}
                self.store.change(name, (uws.PENDING,), parameters=values)
        self._change(job, asked)
        return self._see(request, name)

    def _change(self, job: UwsJob, asked: Parameters) -> None:
        duration, destruction = asked.get("EXECUTIONDURATION"), asked.get("DESTRUCTION")
        if duration is not None:
            seconds = _number("EXECUTIONDURATION", duration)
            most = self.config.job.seconds
            seconds = most if seconds <= 0 else min(seconds, most)
            self.store.change(job.id, (uws.PENDING, uws.QUEUED), duration=seconds)
        if destruction is not None:
            latest = job.created + self.config.keep_most_s
            phases = (*uws.ACTIVE, uws.COMPLETED, uws.ERROR, uws.ABORTED)
            self.store.change(job.id, phases, destruction=min(_time(destruction), latest))
        phase = (asked.get("PHASE") or "").upper()
        if phase == "RUN":
            if self.store.count(uws.QUEUED) >= self.config.jobs_waiting:
                raise BusyError("too many jobs are queued; try again in a few minutes")
            self.store.change(job.id, (uws.PENDING,), phase=uws.QUEUED)
            self.runs.wake.set()
        elif phase == "ABORT":
            self.store.change(job.id, uws.ACTIVE, phase=uws.ABORTED, ended=time.time())
            self.runs.end(job.id)
        elif phase:
            raise InputError(f"PHASE={phase[:40]!r}: use RUN or ABORT")

    async def delete(self, request: Request, name: str) -> Response:
        """Delete a job."""
        self._get(name)
        self.runs.end(name)
        self.store.delete(name)
        return RedirectResponse(f"{self.base(request)}/async", 303)

    async def job(self, request: Request, name: str) -> Response:
        """The job; with WAIT, once its phase has changed."""
        job = self._get(name)
        values = {key.upper(): value for key, value in request.query_params.items()}
        if "WAIT" in values:
            seconds = _number("WAIT", values["WAIT"])
            most = self.config.wait_s
            ends = time.monotonic() + (most if seconds < 0 else min(seconds, most))
            waited_for = values.get("PHASE", job.phase).upper()
            while job.phase == waited_for and job.phase in uws.ACTIVE and time.monotonic() < ends:
                await asyncio.sleep(POLL_S)
                job = self._get(name)
        return Response(uws_xml.job_document(job, self._url(request, name)), media_type=_XML)

    async def phase(self, name: str) -> Response:
        """Phase of a job."""
        return PlainTextResponse(self._get(name).phase)

    async def duration(self, name: str) -> Response:
        """Longest time that a job may run, s."""
        return PlainTextResponse(f"{self._get(name).duration:.0f}")

    async def destruction(self, name: str) -> Response:
        """When a job is deleted."""
        return PlainTextResponse(time_text(self._get(name).destruction))

    async def nothing(self, name: str) -> Response:
        """What is not known of a job: its owner, and when it will be done."""
        self._get(name)
        return PlainTextResponse("")

    async def error(self, name: str) -> Response:
        """Error of a job as a VOTable."""
        job = self._get(name)
        if job.phase != uws.ERROR:
            return PlainTextResponse("")
        return problem(200, job.error or "")

    async def parameters(self, name: str) -> Response:
        """Parameters of a job."""
        return Response(uws_xml.parameters_document(self._get(name)), media_type=_XML)

    async def results(self, request: Request, name: str) -> Response:
        """Results of a job."""
        url = self._url(request, name)
        return Response(uws_xml.results_document(self._get(name), url), media_type=_XML)

    async def result(self, name: str) -> Response:
        """Answer of a job."""
        job = self._get(name)
        path = self.store.place(name) / jobs.RESULT
        if job.phase != uws.COMPLETED or not path.is_file():
            raise HTTPException(404, f"the job has no result; its phase is {job.phase}")
        rows, media = job.rows or 0, job.media or ""
        whole = Answer("OK", rows, media=media)
        return result(path, Answer("OVERFLOW", rows, media=media) if job.overflow else whole)


def _job_parameters(asked: Parameters) -> dict[str, str]:
    own = ("PHASE", "ACTION", "EXECUTIONDURATION", "DESTRUCTION")
    values = {
        name: ";".join(several) if name == "UPLOAD" else several[-1]
        for name, several in asked.values.items()
        if name not in own and not name.startswith(uws_xml.HIDDEN)
    }
    if not all(name.isprintable() for name in values):
        raise InputError("the name of a parameter has signs that cannot be printed")
    if sum(map(len, values.values())) > _LONGEST:
        raise InputError(f"the parameters have more than {_LONGEST} characters")
    return {name: printable_lines(value) for name, value in values.items()}


def printable_lines(text: str) -> str:
    """Text that XML can hold; line breaks are kept."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e12:
        raise InputError(f"{name}={text[:40]!r}: give a number of seconds")
    return value


def _time(text: str) -> float:
    try:
        when = datetime.fromisoformat(text.strip())
        zoned = when if when.tzinfo else when.replace(tzinfo=UTC)
        return zoned.timestamp()
    except (ValueError, OverflowError) as error:
        raise InputError(f"DESTRUCTION={text[:40]!r}: give a time as of ISO 8601") from error
