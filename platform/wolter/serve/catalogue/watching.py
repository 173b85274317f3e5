"""Routes of watchlists: positions that are kept, and answered for each release."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from wolter.catalogue.watchlists import Watchlist
from wolter.serve.catalogue import queries
from wolter.serve.catalogue.answers import REFUSALS, ROWS, respond
from wolter.serve.catalogue.uploads import BODY, positions_of

if TYPE_CHECKING:
    from wolter.serve.catalogue.app import Catalogue

Name = Annotated[str, Path(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-][A-Za-z0-9 ._-]*$")]
UNKNOWN: dict[int | str, dict[str, Any]] = {
    401: {**REFUSALS[422], "description": "The key is missing or not known"}
}


class Kept(BaseModel):
    """A watchlist."""

    name: str
    made: str
    radius: float = Field(description="deg, around each position")
    positions: int
    answered: list[str] = Field(description="releases that have answered")


class Radius(queries.Strict):
    """Radius around each position of a list."""

    radius: float = Field(1 / 3600, ge=0, le=17, description="deg, inclusive, around each position")


def add_routes(app: FastAPI, catalogue: "Catalogue") -> None:
    """Add the routes of watchlists."""
    store, lists = catalogue.store, catalogue.watchlists

    def owner(request: Request) -> str:
        return catalogue.principal(request)

    Owner = Annotated[str, Depends(owner)]

    def known(who: str, name: str) -> Watchlist:
        watchlist = lists.get(who, name)
        if watchlist is None:
            raise HTTPException(404, f"no watchlist {name[:64]!r}")
        return watchlist

    @app.get("/watchlists", responses=UNKNOWN | REFUSALS)
    def listed(who: Owner) -> list[Kept]:
        """All watchlists of the key."""
        return [_told(each) for each in lists.lists(who)]

    @app.put("/watchlists/{name}", responses=UNKNOWN | REFUSALS, openapi_extra=BODY)
    async def keep(
        request: Request, who: Owner, name: Name, asked: Annotated[Radius, Query()]
    ) -> Kept:
        """Keep a list of positions; each release answers it."""
        positions = await positions_of(request)
        await run_in_threadpool(lists.keep, who, name, asked.radius, positions)
        return _told(await run_in_threadpool(known, who, name))

    @app.get("/watchlists/{name}", responses=UNKNOWN | REFUSALS)
    def one(who: Owner, name: Name) -> Kept:
        """One watchlist."""
        return _told(known(who, name))

    @app.get("/watchlists/{name}/matches", responses=ROWS | UNKNOWN, response_model=None)
    def matches(
        request: Request, who: Owner, name: Name, asked: Annotated[queries.Asked, Query()]
    ) -> Response:
        """Sources of a release at the positions of a watchlist."""
        watchlist = known(who, name)
        with store.open(asked.release) as snapshot:
            found = lists.answer(snapshot, who, watchlist)
            return respond(request, found, asked.format)

    @app.delete("/watchlists/{name}", responses=UNKNOWN | REFUSALS, status_code=204)
    def delete(who: Owner, name: Name) -> None:
        """Delete a watchlist and its answers."""
        if not lists.delete(who, name):
            raise HTTPException(404, f"no watchlist {name[:64]!r}")


def _told(watchlist: Watchlist) -> Kept:
    return Kept(
        name=watchlist.name,
        made=watchlist.made,
        radius=watchlist.radius,
        positions=len(watchlist.positions.names),
        answered=list(watchlist.answered),
    )
