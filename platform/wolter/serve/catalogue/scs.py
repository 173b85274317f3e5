"""Simple Cone Search 1.03: an application of its own.

Errors are VOTables with an INFO named Error and the status 200, as the standard says.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response

from wolter import __version__
from wolter.catalogue import formats, votable
from wolter.catalogue.columns import Column
from wolter.catalogue.cone import SEPARATION, cone
from wolter.catalogue.store import Found, Snapshot, Store, StoreLimits
from wolter.errors import InputError, UnavailableError
from wolter.serve import problems
from wolter.serve.catalogue.answers import Bulk, respond

MAXREC = 100_000  # most rows, and as many as without MAXREC
MEDIA = "application/x-votable+xml"
# UCDs of the standard, which are older than UCD1+; the main identifier must be text.
_UCD1 = MappingProxyType(
    {"name": "ID_MAIN", "ra": "POS_EQ_RA_MAIN", "dec": "POS_EQ_DEC_MAIN", "source_id": "meta.id"}
)


def build_cone_app(root: Path | None = None, limits: StoreLimits | None = None) -> FastAPI:
    """The application of `/scs`.

    Args:
        root: folder of all releases; None is `$WOLTER_HOME/catalogue/releases`.
        limits: of queries.
    """
    store = Store(root, limits)
    Thread(target=store.warm, kwargs={"similar": False}, daemon=True).start()
    app = FastAPI(title="wolter cone search", version=__version__, docs_url=None, redoc_url=None)
    app.state.bulk = Bulk()
    problems.add_handlers(app)

    @app.get("", include_in_schema=False)
    @app.get("/", response_class=Response, openapi_extra=_PARAMETERS, responses=_RESPONSES)
    def cone_search(request: Request) -> Response:
        """Sources within SR degrees of RA, DEC, as a VOTable; errors are VOTables, too."""
        try:
            return answer(store, request)
        except (InputError, UnavailableError) as error:
            return Response(error_document(str(error)), media_type=MEDIA)

    return app


def answer(store: Store, request: Request) -> Response:
    """The answer to a cone search.

    Raises:
        InputError: a parameter is missing or wrong.
        UnavailableError: there is no release.
    """
    told: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if told.setdefault(name.upper(), value) != value:
            raise InputError(f"{name.upper()[:40]}: given twice; give one value")
    ra, dec, radius = (_number(told, name) for name in ("RA", "DEC", "SR"))
    verb, most = _whole(told, "VERB", 2, 1, 3), _whole(told, "MAXREC", MAXREC, 0, 2**63)
    asked = told.get("RESPONSEFORMAT", "")
    formats.choose(asked)
    with store.open(told.get("RELEASE", "")) as snapshot:
        columns = [c for c in snapshot.source.columns if verb > 1 or c.principal or c.name in _UCD1]
        found = _found(snapshot, ra, dec, radius, columns, min(most, MAXREC))
        return respond(request, found, asked, default="votable")


def error_document(message: str) -> bytes:
    """VOTable of an error, as of Simple Cone Search."""
    told = votable.info("Error", message).replace("<INFO ", '<INFO ID="Error" ')
    return votable.error(message).replace(b"</RESOURCE>", told.encode() + b"</RESOURCE>")


def _found(
    snapshot: Snapshot,
    ra: float,
    dec: float,
    radius: float,
    columns: Sequence[Column],
    limit: int,
) -> Found:
    """Sources, none of which for a radius of zero, with the standard's UCDs."""
    found = cone(snapshot, ra, dec, radius, columns, limit if radius else 0)
    described = tuple(replace(c, ucd=_UCD1.get(c.name, c.ucd)) for c in columns)
    # Both ask for the description of the table alone.
    truncated = found.truncated and radius > 0 and limit > 0
    return Found(found.rows, (*described, SEPARATION), truncated, found.release)


def _number(told: dict[str, str], name: str) -> float:
    if name not in told:
        raise InputError(f"{name}: missing; give RA, DEC and SR in decimal degrees")
    try:
        value = float(told[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name}: {told[name][:40]!r} is no number; give decimal degrees")
    return value


def _whole(told: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = told.get(name, str(default))
    if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
        raise InputError(f"{name}: {text[:40]!r}; give a whole number from {least} to {most}")
    return int(text)


def _parameter(name: str, about: str) -> dict[str, object]:
    # Any text is taken: the standard answers all with the status 200.
    return {"name": name, "in": "query", "description": about, "schema": {"type": "string"}}


_PARAMETERS = {
    "parameters": [
        _parameter("RA", "right ascension, ICRS, decimal degrees; needed"),
        _parameter("DEC", "declination, ICRS, decimal degrees; needed"),
        _parameter("SR", "radius, decimal degrees; needed; 0 asks for the columns alone"),
        _parameter("VERB", "1: the most important columns, 2 or 3: all"),
        _parameter("MAXREC", "most rows"),
        _parameter("RESPONSEFORMAT", "format, by default VOTable"),
        _parameter("RELEASE", "name of a release; by default the current one"),
    ]
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Rows, or an error, as a VOTable",
        "content": {each.media.replace(";", "; "): {} for each in formats.FORMATS}
        | {"text/csv; charset=utf-8": {}},
    }
}
