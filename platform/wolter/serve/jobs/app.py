"""The application of `/v1/jobs`: how far a job is, its answer, and its end.

It reads the store alone and imports no network, so that it answers while models load. The replicas
of a task's models make the jobs and run them.
"""

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi_offline import FastAPIOffline

from wolter import __version__
from wolter.errors import ConflictError, MissingError
from wolter.serve import asked as asking
from wolter.serve import problems
from wolter.serve.jobs.answers import ASK_S, JobInfo, told
from wolter.serve.jobs.queue import COMPLETED
from wolter.serve.jobs.store import RESULT, JobStore, ModelJob
from wolter.serve.schemas import Problem

_ABOUT = "Requests whose answers take minutes, as jobs: POST to a model answers 202 with its job."
_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such job, or it is another key's"},
    **{status: problems.RESPONSES[status] for status in (422, 429, 503)},
}
_NOT_YET: dict[int | str, dict[str, Any]] = {
    409: {"model": Problem, "description": "The job is not done, or has failed"}
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer, in the format that was asked for",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Name = Annotated[str, InPath(min_length=1, max_length=64, description="id of the job")]


def build_app(folder: str) -> FastAPI:
    """The application, whose routes are relative to its prefix.

    Args:
        folder: of the jobs.
    """
    store = JobStore(Path(folder))
    app = FastAPIOffline(title="wolter jobs", description=_ABOUT, version=__version__)
    problems.add_handlers(app)
    problems.tell_methods(app)

    def find(request: Request, name: str) -> ModelJob:
        found = store.find(name, asking.of(request.scope).key)
        if found is None:
            raise MissingError(f"no job {name[:64]!r}; it may be deleted, or another key's")
        return found

    @app.get("/{name}", operation_id="job", response_model=JobInfo, responses=_MISSING)
    def job(request: Request, name: Name) -> JSONResponse:
        """How far a job is."""
        info = told(store, find(request, name))
        under_way = info.state in ("queued", "running")
        headers = {"retry-after": str(ASK_S)} if under_way else None
        return JSONResponse(info.model_dump(mode="json"), headers=headers)

    @app.get(
        "/{name}/result",
        operation_id="result",
        response_class=Response,
        responses={**_MISSING, **_NOT_YET, **_ANSWER},
    )
    def result(request: Request, name: Name) -> FileResponse:
        """Answer of a job that is done."""
        found = find(request, name)
        info = told(store, found)
        if found.phase != COMPLETED:
            why = f" ({info.error})" if info.error else ""
            raise ConflictError(f"the job has no answer: it is {info.state}{why}")
        path = store.place(found.id) / RESULT
        if not path.is_file():
            raise MissingError(f"no job {name}; it was deleted")
        return FileResponse(path, media_type=found.media, filename=found.file or None)

    @app.delete("/{name}", operation_id="delete_job", status_code=204, responses=_MISSING)
    def delete(request: Request, name: Name) -> None:
        """Delete a job with its answer; one that runs is ended."""
        store.delete(find(request, name).id)

    return app
