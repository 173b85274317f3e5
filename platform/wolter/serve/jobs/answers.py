"""Jobs of models as JSON, and the answer to a request that becomes one."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from wolter.serve.jobs import queue
from wolter.serve.jobs.digest import digest_of
from wolter.serve.jobs.store import PREFIX, PROGRESS, JobStore, ModelJob
from wolter.serve.timing import time_text

if TYPE_CHECKING:
    from wolter.answering.contract import Served
    from wolter.serve.asked import Asked
    from wolter.serve.routes import ModelRequest

State = Literal["queued", "running", "done", "failed"]
_STATES: dict[str, State] = {
    queue.PENDING: "queued",
    queue.QUEUED: "queued",
    queue.EXECUTING: "running",
    queue.COMPLETED: "done",
}
ASK_S = 2  # time after which to ask for a job again


class JobInfo(BaseModel):
    """A job."""

    id: str
    state: State
    error: str | None = Field(description="why it failed: one line")
    progress: float | None = Field(description="part that is done, 0 to 1, where it is known")
    before: int | None = Field(description="jobs that are begun before it, while it is queued")
    created: str = Field(description="ISO 8601, UTC, as all times")
    started: str | None
    ended: str | None
    expires: str = Field(description="when it is deleted with its answer")
    url: str = Field(description="where this is told")
    result: str | None = Field(description="where the answer is, once it is done")


ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": JobInfo,
        "description": "The answer takes minutes: the request is kept as a job; an equal request "
        "of the same client has the same one",
        "headers": {
            "Location": {"description": "where the job is told", "schema": {"type": "string"}},
            "Retry-After": {"description": "s", "schema": {"type": "integer"}},
        },
        "links": {
            "job": {"operationId": "job", "parameters": {"name": "$response.body#/id"}},
            "result": {"operationId": "result", "parameters": {"name": "$response.body#/id"}},
            "delete": {"operationId": "delete_job", "parameters": {"name": "$response.body#/id"}},
        },
    }
}


def told(store: JobStore, job: ModelJob) -> JobInfo:
    """A job as JSON."""
    state, url = _STATES.get(job.phase, "failed"), f"{PREFIX}/{job.id}"
    done = state == "done"
    progress = 1.0 if done else None
    if state == "running":
        with contextlib.suppress(OSError, ValueError):
            progress = float((store.place(job.id) / PROGRESS).read_text())
    return JobInfo(
        id=job.id,
        state=state,
        error=job.error,
        progress=progress,
        before=store.before(job) if state == "queued" else None,
        created=time_text(job.created),
        started=None if job.started is None else time_text(job.started),
        ended=None if job.ended is None else time_text(job.ended),
        expires=time_text(job.destruction),
        url=url,
        result=f"{url}/result" if done else None,
    )


async def accepted(
    store: JobStore,
    served: "Served",
    request: "ModelRequest",
    format_name: str,
    known: "Asked",
    price: float,
) -> JSONResponse:
    """Keep a request as a job; the answer to it. An equal request of the same client has that job.

    Args:
        store: of the jobs.
        served: model that was asked.
        request: with its files.
        format_name: of a table.
        known: who asks.
        price: units that a new job costs.

    Raises:
        BusyError: too many wait, too much is stored, or the client has not so many units left.
    """
    files = None
    if request.uploads is not None:
        files = {
            field: [(each.filename or "", each.file) for each in uploads]
            for field, uploads in request.uploads.items()
        }
    asked = {
        "query": request.query.model_dump(mode="json", exclude_unset=True),
        "format": format_name,
        "explicit": bool(request.query.format),
    }
    names = {"task": request.task, "model": served.name, "version": served.version}
    owner = {"holder": known.holder, "key": known.key}
    digest = await asyncio.to_thread(digest_of, {**asked, **names, **owner}, files, request.body)
    job = await asyncio.to_thread(store.equal, digest)
    if job is None:
        await asyncio.to_thread(store.check_room)  # what is refused costs nothing more
        known.charge(price)
        job = await asyncio.to_thread(
            store.accept, asked, files, request.body, **names, key=known.key, digest=digest
        )
    headers = {"location": f"{PREFIX}/{job.id}", "retry-after": str(ASK_S)}
    return JSONResponse(told(store, job).model_dump(mode="json"), 202, headers)
