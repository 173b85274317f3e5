"""The route of a task: one POST that takes files or JSON, documented from the task's `Serving`."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field, create_model
from starlette.datastructures import UploadFile

from wolter.answering.arrays import ARRAYS, is_arrays
from wolter.answering.contract import (
    JSON,
    DearError,
    FileField,
    LongError,
    Reply,
    Served,
    Serving,
    Stored,
)
from wolter.answering.limits import Limits
from wolter.catalogue import formats
from wolter.errors import InputError, UnavailableError
from wolter.serve import asked as asking
from wolter.serve.budgets import DEAR, of_job
from wolter.serve.inference_tables import packed
from wolter.serve.jobs import answers as jobs
from wolter.serve.problems import RESPONSES
from wolter.serve.requests import uploads_of
from wolter.serve.service import Service, serving_of

T = TypeVar("T")
MAX_FILES = 256  # of a request
FILES, FITS = "multipart/form-data", "application/fits"


@dataclass(frozen=True)
class ModelRequest:
    """A request to one model; see `wolter.answering.contract.Request`.

    `waits`: wait for room among requests that take seconds.
    """

    service: Service
    task: str
    query: Any
    ends: float
    body: bytes | None = None
    uploads: Mapping[str, list[UploadFile]] | None = None
    dear: bool = True
    spare: bool = False
    waits: bool = True
    tabular: bool = False
    long: bool = True
    said: Callable[[float], None] | None = None

    @property
    def limits(self) -> Limits:
        """Limits of the request."""
        return self.service.config

    @property
    def sent(self) -> Mapping[str, int]:
        """Number of files by field."""
        return {field: len(each) for field, each in (self.uploads or {}).items()}

    async def read(self, work: Callable[[Stored], T]) -> T:
        """Store the files and do work on them, in a thread."""
        return await self.service.uploads.read(self.task, self.uploads or {}, work)

    async def alone(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do bulky work in a thread, one request's at a time."""
        return await self.service.alone(work, *arguments)

    def progress(self, done: float) -> None:
        """Say which part of an answer is done, 0 to 1."""
        if self.said is not None:
            self.said(done)

    def left_s(self) -> float:
        """Time until the answer must be complete, s."""
        return self.ends - asyncio.get_running_loop().time()


def add_route(app: FastAPI, service: Service, task: str) -> None:
    """Serve `POST /v1/TASK`."""
    serving = serving_of(task)
    fields = serving.fields
    most = MAX_FILES if any(field.many for field in fields) else len(fields)
    asked_type = query_type(task)
    taken = f"{FILES} ({fields[0].about} in the field {fields[0].name})"
    bodies = (JSON, *([ARRAYS] if serving.arrays else [])) if serving.Body else ()
    taken += "".join(f" or {each}" for each in bodies)

    async def answer(request: Request, asked: Any) -> Response:
        served = await service.ask_version(task, asked.family, asked.version, asked)
        known = asking.of(request.scope)
        known.model = (served.name, served.version)
        if serving.is_dear(asked):
            known.charge(DEAR)
        ends, here = request.scope["answer_by"], service.dear is None
        wanted = formats.choose(asked.format or "", request.headers.get("accept", ""))
        tabular = wanted.name != "json"
        waits = service.jobs is not None
        one = ModelRequest(service, task, asked, ends, dear=here, tabular=tabular, long=not waits)
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind in bodies:
            body = await request.body()
            if is_arrays(body) != (kind == ARRAYS):
                raise InputError(f"body: not {kind}, as its content type says; send {taken}")
            return await finished(served, replace(one, body=body), wanted, known)
        if kind != FILES:
            raise HTTPException(415, f"send {taken}")
        async with request.form(max_files=most, max_fields=len(fields)) as form:
            uploads = uploads_of(form, fields)
            return await finished(served, replace(one, uploads=uploads), wanted, known)

    async def finished(
        served: Served, one: ModelRequest, wanted: formats.Format, known: asking.Asked
    ) -> Response:
        explicit = bool(one.query.format)
        try:
            reply = await _answered(served, one)
        except LongError as long:
            assert service.jobs is not None
            return await jobs.accepted(
                service.jobs, served, one, wanted.name, known, of_job(long.elements)
            )
        return _response(await service.alone(packed, reply, wanted, explicit))

    documented = serving.documented(list(service.of_task(task).values()))
    answer.__annotations__["asked"] = Annotated[asked_type, Query()]
    app.post(
        f"/v1/{task}",
        summary=serving.about,
        response_class=Response,
        responses={
            **RESPONSES,
            200: _with_tables(documented),
            **(jobs.ACCEPTED if serving.long else {}),
        },
        openapi_extra={"requestBody": _body(serving)},
    )(answer)


def _with_tables(documented: Mapping[str, Any]) -> dict[str, Any]:
    """The description of an answer, and of the same as a table."""
    table = {"schema": {"type": "string", "format": "binary"}}
    tables = {each.media: table for each in formats.FORMATS if each.name != "json"}
    return {**documented, "content": tables | dict(documented.get("content", {}))}


def query_type(task: str) -> type[BaseModel]:
    """The query of requests to models of a task."""
    return create_model(
        f"Query of {task}",
        __base__=serving_of(task).Query,
        family=(
            str | None,
            Field(None, description="model family to ask; /v1/models tells the default one"),
        ),
        format=(
            str | None,
            Field(None, description="json, votable, csv, fits or parquet; or by Accept"),
        ),
        version=(
            str | None,
            Field(None, description="version of it, where not the champion; or FAMILY@VERSION"),
        ),
    )


async def _answered(served: Served, request: ModelRequest) -> Reply:
    """Answer of a model; requests that take seconds go where these are answered."""
    away = request.service.dear
    if away is None:
        return await served.answer(request)
    if serving_of(request.task).is_dear(request.query):
        return await away(request)
    try:
        return await served.answer(request)
    except DearError:
        await _rewind(request)
        try:
            return await away(replace(request, waits=False))
        except UnavailableError:  # then without what takes seconds, as the flags tell
            await _rewind(request)
            return await served.answer(replace(request, spare=True))


async def _rewind(request: ModelRequest) -> None:
    for uploads in (request.uploads or {}).values():
        for each in uploads:
            await each.seek(0)


def attachment(name: str) -> str:
    """Value of Content-Disposition that names a file in any script (RFC 6266)."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    more = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{more}'


def _response(reply: Reply) -> Response:
    headers = {"content-disposition": attachment(reply.file)} if reply.file else None
    return Response(reply.content, media_type=reply.media_type, headers=headers)


def _body(serving: Serving) -> dict[str, Any]:
    """OpenAPI description of the body: files or JSON."""
    properties = {field.name: _file(field) for field in serving.fields}
    if serving.fields[0].many:
        properties[serving.fields[0].name]["minItems"] = 1
    form = {
        "type": "object",
        "required": [serving.fields[0].name],
        "additionalProperties": False,
        "properties": properties,
    }
    encoding = {name: {"contentType": FITS} for name in properties}
    content: dict[str, Any] = {FILES: {"schema": form, "encoding": encoding}}
    if serving.Body is not None:
        content[JSON] = {"schema": serving.Body.model_json_schema()}
        if serving.arrays:
            told = f"arrays in the safetensors format, named as in {JSON}: {serving.arrays}"
            content[ARRAYS] = {
                "schema": {"type": "string", "format": "binary", "description": told}
            }
    return {"required": True, "content": content}


def _file(field: FileField) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    told = {"type": "array", "items": file} if field.many else file
    return {**told, "description": field.about}
