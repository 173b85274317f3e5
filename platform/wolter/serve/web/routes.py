"""Routes of the page: search, sources, tables, pictures and coverage; no script, no cookie."""

import mimetypes
from typing import Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from wolter.catalogue.release import Release
from wolter.catalogue.store import Snapshot, Store
from wolter.errors import InputError, UnavailableError
from wolter.serve.problems import AGAIN_S
from wolter.serve.web import pages
from wolter.serve.web.sky_map import sky_map
from wolter.serve.web.vo_routes import ServiceRecord, add_vo_routes
from wolter.serve.web.web import HERE, Web, kept

FORMATS = ("html", "votable", "csv", "fits", "parquet", "json")
ADQL_EXAMPLES = (
    (
        "The brightest sources",
        "SELECT TOP 20 source_id, name, ra, dec, net_counts\nFROM source\nORDER BY net_counts DESC",
    ),
    (
        "Sources within one degree of a position",
        "SELECT source_id, name, ra, dec, net_counts\nFROM source\nWHERE 1 = CONTAINS("
        "POINT('ICRS', ra, dec), CIRCLE('ICRS', 120.0, 30.0, 1.0))",
    ),
    (
        "How many detections each instrument has",
        "SELECT instrument, COUNT(*) AS n\nFROM detection\nGROUP BY instrument\nORDER BY n DESC",
    ),
)


def add_routes(app: FastAPI, store: Store, record: ServiceRecord | None = None) -> None:
    """Serve the pages of a catalogue, its links and coverage; each answer takes milliseconds.

    Args:
        app: gets the routes.
        store: releases.
        record: what a registry says of the service.
    """
    web = Web(store)
    add_vo_routes(app, web, record or ServiceRecord())
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")

    @app.get("/", include_in_schema=False)
    def home() -> HTMLResponse:
        try:
            with store.open() as snapshot:
                about, examples = snapshot.about, _examples(snapshot)
        except (InputError, UnavailableError) as error:
            page = web.page(
                "home.html", 503, release=None, asked=pages.Asked(), why=str(error), examples=()
            )
            page.headers["retry-after"] = str(AGAIN_S)
            return page
        return web.page("home.html", release=about, asked=pages.Asked(), examples=examples, why="")

    @app.get("/search", include_in_schema=False)
    def search(
        q: Annotated[str, Query()] = "",
        radius: Annotated[float, Query(ge=0, le=10_800, allow_inf_nan=False)] = pages.RADIUS,
    ) -> Response:
        asked = pages.Asked(q, radius)
        with store.open() as snapshot:
            about = snapshot.about
            try:
                found = pages.search(snapshot, asked)
            except InputError as error:
                return _refused(web, about, asked, str(error), 422)
        if found.lone is not None:
            return RedirectResponse(f"/source/{found.lone}", 303)
        return web.page(
            "results.html",
            release=about,
            asked=asked,
            title=found.title,
            count=found.count,
            shown=found.shown,
            downloads=found.downloads,
            problem="",
        )

    @app.get("/source/{source_id}", include_in_schema=False)
    def source(source_id: str) -> HTMLResponse:
        with store.open() as snapshot:
            about = snapshot.about
            try:
                if not source_id.isdecimal() or len(source_id) > 18:
                    raise InputError(f"no source {source_id[:40]!r}: identifiers are integers")
                shown = pages.source(snapshot, int(source_id))
            except InputError as error:
                return _refused(web, about, pages.Asked(source_id[:40]), str(error), 404)
        return web.page("source.html", release=about, **shown)

    @app.get("/tables", include_in_schema=False)
    def tables() -> HTMLResponse:
        with store.open() as snapshot:
            return web.page("tables.html", release=snapshot.about)

    @app.get("/adql", include_in_schema=False)
    def adql(query: Annotated[str, Query(max_length=10_000)] = "") -> HTMLResponse:
        with store.open() as snapshot:
            return web.page(
                "adql.html",
                release=snapshot.about,
                query=query or ADQL_EXAMPLES[0][1],
                examples=ADQL_EXAMPLES,
                formats=FORMATS,
            )

    @app.get("/sky.png", include_in_schema=False)
    def sky() -> Response:
        with store.open() as snapshot:
            png = web.once(snapshot, "sky", lambda: sky_map(web.cells(snapshot)))
        return Response(png, media_type=_type_of("sky.png"), headers=kept())


def _refused(
    web: Web, release: Release, asked: pages.Asked, problem: str, status: int
) -> HTMLResponse:
    return web.page(
        "results.html", status, release=release, asked=asked, title="Search", problem=problem
    )


def _type_of(name: str) -> str | None:
    """Media type of a file by its name."""
    return mimetypes.guess_type(name)[0]


def _examples(snapshot: Snapshot) -> list[tuple[str, str]]:
    rows = snapshot.query("SELECT source_id, name, ra, dec FROM source LIMIT 1").to_pylist()
    if not rows:
        return []
    (row,) = rows
    place = f"{row['ra']:.4f} {row['dec']:.4f}"
    near = urlencode({"q": place, "radius": 120})
    return [
        (f"The source {row['name']}", f"/source/{row['source_id']}"),
        (f"Within 2 degrees of {place}", f"/search?{near}"),
        ("All tables and their columns", "/tables"),
        ("A query in ADQL", "/adql"),
    ]
