"""Routes of the page: search, sources, tables, pictures and coverage; no script, no cookie."""

import functools
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wolter.catalogue.release import Release
from wolter.catalogue.store import Snapshot, Store
from wolter.catalogue.tables import HEALPIX
from wolter.errors import InputError, UnavailableError
from wolter.serve.web import pages
from wolter.serve.web.coverage import coverage
from wolter.serve.web.sky_map import sky_map

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
KEPT_S = 3600  # for which a browser may keep a picture
FORMATS = ("html", "votable", "csv", "tsv", "fits", "parquet", "json")
MOC_FORMS = {
    "fits": "application/fits",
    "json": "application/json",
    "ascii": "text/plain; charset=utf-8",
}

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


@dataclass
class Web:
    """The pages of a catalogue.

    Attributes:
        store: releases.
    """

    store: Store
    _pictures: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def render(self, name: str, status: int = 200, /, **shown: Any) -> HTMLResponse:
        """A page from its template."""
        return HTMLResponse(_templates().get_template(name).render(**shown), status, HEADERS)

    def refused(
        self, release: Release, asked: pages.Asked, problem: str, status: int
    ) -> HTMLResponse:
        """The page of an error."""
        return self.render(
            "results.html", status, release=release, asked=asked, title="Search", problem=problem
        )

    def picture(self, snapshot: Snapshot, name: str, make: Callable[[], bytes]) -> bytes:
        """A picture of a release, which is made once."""
        key = snapshot.about.name, name
        if key not in self._pictures:
            self._pictures = {k: v for k, v in self._pictures.items() if k[0] == key[0]}
            self._pictures[key] = make()
        return self._pictures[key]

    def cells(self, snapshot: Snapshot) -> Any:
        """Cells of all sources."""
        return snapshot.query(f"SELECT {HEALPIX} FROM source")[HEALPIX].to_numpy()


def add_routes(app: FastAPI, store: Store) -> None:
    """Serve the pages of a catalogue; handlers run in threads, as queries take milliseconds."""
    web = Web(store)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")

    @app.get("/", include_in_schema=False)
    def home() -> HTMLResponse:
        try:
            with store.open() as snapshot:
                about, examples = snapshot.about, _examples(snapshot)
        except (InputError, UnavailableError) as error:
            return web.render(
                "home.html", 503, release=None, asked=pages.Asked(), why=str(error), examples=()
            )
        return web.render(
            "home.html", release=about, asked=pages.Asked(), examples=examples, why=""
        )

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
                return web.refused(about, asked, str(error), 422)
        if found.lone is not None:
            return RedirectResponse(f"/source/{found.lone}", 303)
        return web.render(
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
                return web.refused(about, pages.Asked(source_id[:40]), str(error), 404)
        return web.render("source.html", release=about, **shown)

    @app.get("/tables", include_in_schema=False)
    def tables() -> HTMLResponse:
        with store.open() as snapshot:
            return web.render("tables.html", release=snapshot.about)

    @app.get("/adql", include_in_schema=False)
    def adql(query: Annotated[str, Query(max_length=10_000)] = "") -> HTMLResponse:
        with store.open() as snapshot:
            return web.render(
                "adql.html",
                release=snapshot.about,
                query=query or ADQL_EXAMPLES[0][1],
                examples=ADQL_EXAMPLES,
                formats=FORMATS,
            )

    @app.get("/sky.png", include_in_schema=False)
    def sky() -> Response:
        with store.open() as snapshot:
            png = web.picture(snapshot, "sky", lambda: sky_map(web.cells(snapshot)))
        return Response(png, media_type=_type_of("sky.png"), headers=_kept())

    @app.get("/moc", responses={200: {"content": {each: {} for each in MOC_FORMS.values()}}})
    def moc(
        format: Annotated[str, Query(pattern="^(fits|json|ascii)$")] = "fits",  # noqa: A002
    ) -> Response:
        """Coverage of the catalogue: cells of HEALPix order 8 with sources (IVOA MOC 2.0)."""
        with store.open() as snapshot:
            body = web.picture(
                snapshot, f"moc.{format}", lambda: coverage(web.cells(snapshot), format)
            )
        return Response(body, media_type=MOC_FORMS[format], headers=_kept())


def _type_of(name: str) -> str | None:
    """Media type of a file by its name."""
    return mimetypes.guess_type(name)[0]


def _kept() -> dict[str, str]:
    return {**HEADERS, "cache-control": f"public, max-age={KEPT_S}"}


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )


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
