"""Responses of the catalogue: rows in the format that is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import BoundedSemaphore
from types import MappingProxyType
from typing import Any

from fastapi import Request, Response

from wolter.catalogue import formats
from wolter.catalogue.release import Release
from wolter.catalogue.store import Found
from wolter.serve.limits import BusyError
from wolter.serve.schemas import Problem

LARGE = 1_000_000  # values of an answer: 100 MB of memory as JSON
AGAIN_S = 5  # in which one is written

_CONTENT: Mapping[str, Any] = MappingProxyType(
    {
        "application/json": {"schema": {"type": "object"}},
        **{
            each.media.replace(";", "; "): {"schema": {"type": "string"}}
            for each in formats.FORMATS
            if each.name != "json"
        },
        "text/csv; charset=utf-8": {"schema": {"type": "string"}},
    }
)
_WHY = {
    400: "The body cannot be read",
    404: "What is asked for by its name is not there; says what is",
    408: "The body did not arrive",
    409: "Values contradict each other, or what they are asked of",
    413: "The body is too large, or the question takes too long",
    415: "A body of a type that is not taken",
    422: "A value cannot be used; says which and why",
    429: "The client has spent its units, or large answers are written already",
    503: "There is no release yet",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": why} for status, why in _WHY.items()
}
"""Responses of refusals, by their statuses."""
ROWS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Rows, in the format of `format` or Accept", "content": dict(_CONTENT)},
    **{status: REFUSALS[status] for status in (404, 409, 413, 422, 429, 503)},
}
"""Responses of a route that answers with rows."""
BODY: dict[int | str, dict[str, Any]] = ROWS | REFUSALS
"""Responses of a route that answers a body with rows."""
PLAIN: dict[int | str, dict[str, Any]] = {s: REFUSALS[s] for s in (404, 422, 503)}


class Bulk:
    """Admission of answers that fill memory: few are written at once, others are refused.

    Args:
        at_once: of them.
    """

    def __init__(self, at_once: int = 2) -> None:
        self._free = BoundedSemaphore(at_once)

    @contextmanager
    def enter(self, cells: int) -> Iterator[None]:
        """Write an answer.

        Args:
            cells: values that it tells.

        Raises:
            BusyError: it is large, and as many are written as may be.
        """
        if cells < LARGE:
            yield
            return
        if not self._free.acquire(blocking=False):
            raise BusyError(
                f"other answers of {LARGE:,} values or more are written; try again in {AGAIN_S} s, "
                "or ask for fewer rows or columns",
                AGAIN_S,
            )
        try:
            yield
        finally:
            self._free.release()


def release_headers(release: Release) -> dict[str, str]:
    """Headers that tell the release of an answer, whatever its format."""
    return {
        "wolter-release": release.name,
        "wolter-simulated": "true" if release.simulated else "false",
    }


def respond(
    request: Request,
    found: Found,
    asked: str,
    infos: Sequence[tuple[str, str]] = (),
    default: str = "json",
) -> Response:
    """Rows as a response.

    Args:
        request: whose header Accept counts.
        found: the rows.
        asked: format, as in the query.
        infos: what the document is to say besides the release.
        default: format where none is asked for.

    Raises:
        InputError: there is no such format.
        BusyError: it is large, and others are written.
    """
    form = formats.choose(asked, request.headers.get("accept", ""), default)
    status = "OVERFLOW" if found.truncated else "OK"
    told = (*formats.infos_of(found.release), *infos)
    bulk: Bulk = request.app.state.bulk
    with bulk.enter(len(found.rows) * len(found.columns)):
        body = formats.encode(found.rows, found.columns, form.name, status, told)
    headers = release_headers(found.release) | {"wolter-status": status, "vary": "accept"}
    if form.name in ("fits", "parquet"):
        headers["content-disposition"] = f'attachment; filename="result{form.suffix}"'
    return Response(body, media_type=form.media.replace(";", "; "), headers=headers)
