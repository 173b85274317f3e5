"""HTTP errors as JSON with one line."""

import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from wolter.answering.messages import one_line
from wolter.errors import ConflictError, InputError, MissingError, TooLargeError, UnavailableError
from wolter.files import why_full
from wolter.serve.schemas import Problem

AGAIN_S = 2  # where nothing tells when there is room

_WHY = {
    400: "The request is not well-formed multipart",
    408: "The request took too long",
    413: "A file or the request is too large, or takes too long to read",
    415: "A body of a type that is not taken",
    422: "A file or value cannot be used; says which and why",
    429: "Too many requests wait; try again after the seconds of Retry-After",
    500: "A fault of the server",
    503: "A model or reader does not answer now",
}
_STATUS: Mapping[type[InputError], int] = MappingProxyType(
    {TooLargeError: 413, MissingError: 404, ConflictError: 409}
)
RESPONSES: Mapping[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": why} for status, why in _WHY.items()
}


# Remedies of the library, and what they are over HTTP; tasks have further ones.
_WORDS = {
    r" If this is really a FITS file, try with ignore_missing_simple=True\.?": "",
    r"([;:]) pass ": r"\1 send ",
}


def in_http(message: str, words: Mapping[str, str] = MappingProxyType({})) -> str:
    """Convert an error message from command-line options to query parameters.

    Args:
        message: message of an error.
        words: regular expressions of remedies -> the remedy over HTTP, besides those of all tasks.
    """
    # Names of files may hold two dashes, too.
    option = r"(?<![^\s(`])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)"
    plain = re.sub(option, lambda found: found[1].replace("-", "_"), message)
    for pattern, said in {**words, **_WORDS}.items():
        plain = re.sub(pattern, said, plain)
    return " ".join(plain.split())


def problem(status: int, line: str, again_s: int = AGAIN_S) -> JSONResponse:
    """JSON response of a problem.

    Args:
        status: of HTTP.
        line: what is wrong, and the remedy.
        again_s: seconds after which to try again, where the status allows that.
    """
    headers = {"retry-after": str(again_s)} if status in (429, 503) else None
    return JSONResponse({"detail": in_http(line)}, status, headers)


def add_handlers(app: FastAPI, words: Mapping[str, str] = MappingProxyType({})) -> None:
    """Answer every error of an application as JSON with one line.

    Args:
        app: the application.
        words: see `in_http`.
    """

    @app.exception_handler(InputError)
    async def bad_input(_: Request, error: InputError) -> JSONResponse:
        line = in_http(str(error), words)
        known = [status for kind, status in _STATUS.items() if isinstance(error, kind)]
        return problem(known[0] if known else 422, line)

    @app.exception_handler(RequestValidationError)
    async def bad_value(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, one_line(error.errors()))

    @app.exception_handler(UnavailableError)
    async def unavailable(_: Request, error: UnavailableError) -> JSONResponse:
        again_s = getattr(error, "again_s", None)  # of too many that wait
        return problem(503, str(error)) if again_s is None else problem(429, str(error), again_s)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        answer = problem(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> JSONResponse:
        logging.getLogger(__name__).error("a request failed", exc_info=error)
        if why_full(error):
            return problem(503, "the server has no room for uploads now; try again later")
        return problem(500, f"the server failed on this request ({type(error).__name__})")


def tell_methods(app: FastAPI) -> None:
    """Name all methods of a path where one is not allowed; a router names those of one route."""

    @app.exception_handler(405)
    async def not_allowed(request: Request, _: Exception) -> Response:
        methods = {
            method
            for route in app.routes
            if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
            for method in route.methods or ()
        }
        answer = problem(405, f"{request.method} is not answered here")
        answer.headers["allow"] = ", ".join(sorted(methods))
        return answer
