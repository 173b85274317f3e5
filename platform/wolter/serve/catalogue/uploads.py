"""Route that matches a list of positions, sent as JSON, CSV or VOTable."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from wolter.catalogue.cone import cones
from wolter.catalogue.position_lists import MEDIA, MOST, MOST_NAME, PositionList, read_positions
from wolter.catalogue.search import select
from wolter.serve.catalogue import queries
from wolter.serve.catalogue.answers import BODY as ANSWERED
from wolter.serve.catalogue.answers import respond

if TYPE_CHECKING:
    from wolter.serve.catalogue.app import Catalogue

_POSITION = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "integer"], "maxLength": MOST_NAME, "pattern": "^[ -~]*$"},
        "ra": {"type": "number", "minimum": 0, "maximum": 360},
        "dec": {"type": "number", "minimum": -90, "maximum": 90},
    },
    "required": ["ra", "dec"],
    "additionalProperties": False,
}
_LIST = {
    "type": "object",
    "properties": {
        "positions": {"type": "array", "items": _POSITION, "minItems": 1, "maxItems": MOST}
    },
    "required": ["positions"],
    "additionalProperties": False,
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "JSON as described; or CSV (text/csv) or VOTable with columns ra, dec in "
        "degrees, and id where positions have names",
        "content": {
            "application/json": {"schema": _LIST},
        },
    }
}
"""Description of a body that is a list of positions."""


def add_routes(app: FastAPI, catalogue: "Catalogue") -> None:
    """Add the route that matches positions."""
    store = catalogue.store

    @app.post("/positions", responses=ANSWERED, openapi_extra=BODY, response_model=None)
    async def positions(request: Request, asked: Annotated[queries.Positions, Query()]) -> Response:
        """Sources within a radius of each of up to 10,000 positions, the nearest first for each."""
        listed = await positions_of(request)
        return await run_in_threadpool(_match, request, asked, listed)

    def _match(request: Request, asked: queries.Positions, listed: PositionList) -> Response:
        with store.open(asked.release) as snapshot:
            found = cones(
                snapshot,
                listed.names,
                listed.ra_P,
                listed.dec_P,
                asked.radius,
                select(snapshot, asked.names),
                asked.limit,
            )
            return respond(request, found, asked.format, [("positions", str(len(listed.names)))])


async def positions_of(request: Request) -> PositionList:
    """The list of positions that is the body of a request.

    Raises:
        HTTPException: a body of another type.
        InputError: the body is no list of positions.
    """
    media = request.headers.get("content-type", "")
    if media.partition(";")[0].strip().lower() not in MEDIA:
        raise HTTPException(415, f"content-type {media[:60]!r}: send one of {', '.join(MEDIA)}")
    data = await request.body()
    return await run_in_threadpool(read_positions, data, media)
