"""Errors as VOTables, and requests bounded in size."""

import logging

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wolter.catalogue import votable
from wolter.catalogue.adql.jobs import Answer
from wolter.errors import InputError, TooLargeError, UnavailableError, printable

VOTABLE = "application/x-votable+xml"
RETRY_S = 5
_STATUS = {"refused": 400, "cost": 400, "time": 408, "size": 413, "fault": 500}


class BusyError(Exception):
    """More queries wait than may; over HTTP 429."""


def failed(answer: Answer) -> Response:
    """Response to a query without an answer."""
    return problem(_STATUS[answer.why], answer.error)


def problem(status: int, line: str, headers: dict[str, str] | None = None) -> Response:
    """VOTable of an error."""
    more = dict(headers or {})
    if status in (429, 503):
        more.setdefault("retry-after", str(RETRY_S))
    if status == 408:
        more["connection"] = "close"
    return Response(votable.error(printable(line)), status, more, VOTABLE)


def add_handlers(app: FastAPI) -> None:
    """Answer every error of an application as a VOTable with one line."""

    @app.exception_handler(InputError)
    async def bad_input(_: Request, error: InputError) -> Response:
        return problem(413 if isinstance(error, TooLargeError) else 400, str(error))

    @app.exception_handler(UnavailableError)
    async def unavailable(_: Request, error: UnavailableError) -> Response:
        return problem(503, str(error))

    @app.exception_handler(BusyError)
    async def busy(_: Request, error: BusyError) -> Response:
        return problem(429, str(error))

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> Response:
        logging.getLogger(__name__).error("a request failed", exc_info=error)
        return problem(500, f"the server failed on this request ({type(error).__name__})")


class LimitBody:
    """ASGI middleware: refuses bodies over a number of bytes, announced or sent.

    Args:
        app: what answers.
        most: bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its bytes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        line = f"the request is larger than {self.most / 2**20:g} MB; send fewer rows"
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > self.most):
            await problem(413, line)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most:
                raise HTTPException(413, line)
            return message

        await self.app(scope, counted, send)
