"""Routes that answer with sources: cone, filters, identifiers, similar ones, rankings."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
from fastapi import FastAPI, Path, Query, Request, Response

from wolter.catalogue import search
from wolter.catalogue.cone import cone
from wolter.catalogue.formats import encode, infos_of
from wolter.catalogue.neighbours import similar_to_latent, similar_to_source
from wolter.catalogue.search import Circle, Filter, Order, select
from wolter.errors import ConflictError
from wolter.serve.catalogue import queries
from wolter.serve.catalogue.answers import BODY, ROWS, release_headers, respond

if TYPE_CHECKING:
    from wolter.catalogue.store import Snapshot
    from wolter.serve.catalogue.app import Catalogue

SourceId = Annotated[
    int, Path(ge=-queries.MOST_ID, le=queries.MOST_ID, description="identifier of a source")
]
MOST_OF_SOURCE = 1_000  # rows of a table that are told of one source


def add_routes(app: FastAPI, catalogue: "Catalogue") -> None:
    """Add the routes that answer with sources."""
    store = catalogue.store

    @app.get("/cone", responses=ROWS, response_model=None)
    def in_cone(request: Request, asked: Annotated[queries.Cone, Query()]) -> Response:
        """Sources within a radius of a position, the nearest first."""
        with store.open(asked.release) as snapshot:
            columns = select(snapshot, asked.names)
            found = cone(snapshot, asked.ra, asked.dec, asked.radius, columns, asked.limit)
            return respond(request, found, asked.format)

    @app.get("/sources", responses=ROWS, response_model=None)
    def filtered(request: Request, asked: Annotated[queries.Sources, Query()]) -> Response:
        """Sources that fulfil all filters."""
        told = (asked.ra, asked.dec, asked.radius)
        circle = None
        if asked.ra is not None and asked.dec is not None and asked.radius is not None:
            circle = Circle(asked.ra, asked.dec, asked.radius)
        elif any(each is not None for each in told):
            raise ConflictError("ra, dec and radius: give all three, or none")
        with store.open(asked.release) as snapshot:
            found = search.search(
                snapshot,
                [Filter.parse(each) for each in asked.filter],
                select(snapshot, asked.names),
                asked.limit,
                Order(asked.order, asked.descending),
                circle,
                asked.offset,
            )
            return respond(request, found, asked.format)

    @app.post("/sources", responses=BODY, response_model=None)
    def filtered_by_body(request: Request, asked: queries.SourcesBody) -> Response:
        """Sources that fulfil all filters of a JSON body."""
        with store.open(asked.release) as snapshot:
            found = search.search(
                snapshot,
                [each.plain for each in asked.filters],
                select(snapshot, asked.columns),
                asked.limit,
                asked.order.plain if asked.order else Order(),
                asked.circle.plain if asked.circle else None,
                asked.offset,
            )
            return respond(request, found, asked.format)

    @app.get("/sources/{source_id}", responses=ROWS, response_model=None)
    def one_source(source_id: SourceId, release: queries.Release = "") -> Response:
        """One source with all its detections, estimates, identifications and upper limits."""
        with store.open(release) as snapshot:
            return _whole(snapshot, source_id)

    @app.get("/ids", responses=ROWS, response_model=None)
    def by_ids(request: Request, asked: Annotated[queries.Identifiers, Query()]) -> Response:
        """Sources by identifier and by name, in the order asked."""
        return _by_identifiers(
            request, asked.release, asked.names, asked.id, asked.name, asked.format
        )

    @app.post("/ids", responses=BODY, response_model=None)
    def by_many_ids(request: Request, asked: queries.IdentifiersBody) -> Response:
        """Sources by up to 10,000 identifiers and names of a JSON body, in the order asked."""
        return _by_identifiers(
            request, asked.release, asked.columns, asked.ids, asked.names, asked.format
        )

    def _by_identifiers(
        request: Request,
        release: str,
        columns: list[str],
        ids: list[int],
        names: list[str],
        form: str,
    ) -> Response:
        with store.open(release) as snapshot:
            chosen = select(snapshot, columns)
            by_id, no_ids = search.by_identifiers(snapshot, ids, chosen)
            by_name, no_names = search.by_identifiers(snapshot, names, chosen)
            found = replace(by_id, rows=pa.concat_tables([by_id.rows, by_name.rows]))
            missing = [*no_ids, *no_names]
            told = [("missing", " ".join(map(str, missing)))] if missing else []
            return respond(request, found, form, told)

    @app.get("/similar/{source_id}", responses=ROWS, response_model=None)
    def similar(
        request: Request, source_id: SourceId, asked: Annotated[queries.Nearest, Query()]
    ) -> Response:
        """Sources with latents nearest to those of a source, the nearest first."""
        with store.open(asked.release) as snapshot:
            columns = select(snapshot, asked.names)
            found = similar_to_source(snapshot, source_id, columns, asked.limit)
            return respond(request, found, asked.format)

    @app.post("/similar", responses=BODY, response_model=None)
    def similar_latent(request: Request, asked: queries.LatentBody) -> Response:
        """Sources with latents nearest to a vector, such as the model answers for a new record."""
        with store.open(asked.release) as snapshot:
            columns = select(snapshot, asked.columns)
            found = similar_to_latent(snapshot, asked.latent, columns, asked.limit)
            return respond(request, found, asked.format)

    @app.get("/anomalies", responses=ROWS, response_model=None)
    def ranked(request: Request, asked: Annotated[queries.Ranked, Query()]) -> Response:
        """Sources by how anomalous they are, the most anomalous first."""
        with store.open(asked.release) as snapshot:
            chosen, told = select(snapshot, asked.names), Order(asked.by, True)
            filters = [Filter(asked.by, "null", False)]
            found = search.search(snapshot, filters, chosen, asked.limit, told)
            return respond(request, found, asked.format)


def _whole(snapshot: "Snapshot", source_id: int) -> Response:
    """JSON of all tables' rows of a source."""
    told: dict[str, Any] = {
        name: {"true": True, "false": False}.get(value, value)
        for name, value in infos_of(snapshot.about)
    }
    for name, found in search.whole_source(snapshot, source_id, MOST_OF_SOURCE).items():
        rows = json.loads(encode(found.rows, found.columns, "json"))["rows"]
        status = "OVERFLOW" if found.truncated else "OK"
        told[name] = rows[0] if name == "source" else {"status": status, "rows": rows}
    body = json.dumps(told, ensure_ascii=False).encode()
    return Response(body, media_type="application/json", headers=release_headers(snapshot.about))
