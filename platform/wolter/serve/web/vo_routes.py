"""Routes of the Virtual Observatory: links, coverage, the record for a registry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from wolter.catalogue import formats, votable
from wolter.catalogue.publisher import AUTHORITY, identifier
from wolter.errors import InputError
from wolter.serve.web import datalink
from wolter.serve.web.coverage import coverage
from wolter.serve.web.web import Web, kept

MOC_FORMS = {
    "fits": "application/fits",
    "json": "application/json",
    "ascii": "text/plain; charset=utf-8",
}


MOST_OTHERS = 20  # parameters of a request for links besides identifiers
LONGEST = 1_000  # bytes of a parameter


@dataclass(frozen=True)
class ServiceRecord:
    """What a registry says of the service.

    Attributes:
        authority: naming authority of the publisher, registered with the IVOA.
        publisher: name of the publisher.
        title: title of the service.
        short_name: at most 16 letters.
        most_rows: most rows of a cone search.
    """

    authority: str = AUTHORITY
    publisher: str = "not given"
    title: str = "wolter: X-ray sources with neural inference"
    short_name: str = "wolter"
    most_rows: int = 100_000


def add_vo_routes(app: FastAPI, web: Web, record: ServiceRecord) -> None:
    """Serve `/links`, `/moc` and `/record`."""
    store = web.store

    @app.get("/moc", responses={200: {"content": {each: {} for each in MOC_FORMS.values()}}})
    def moc(
        format: Annotated[str, Query(pattern="^(fits|json|ascii)$")] = "fits",  # noqa: A002
    ) -> Response:
        """Coverage of the catalogue: cells of HEALPix order 8 with sources (IVOA MOC 2.0)."""
        with store.open() as snapshot:
            body = web.once(
                snapshot, f"moc.{format}", lambda: coverage(web.cells(snapshot), format)
            )
        return Response(body, media_type=MOC_FORMS[format], headers=kept())

    @app.get("/links", responses={200: {"content": {datalink.MEDIA_TYPE: {}}}})
    async def links(
        request: Request,
        _ids: Annotated[
            list[str] | None, Query(alias="ID", description="identifiers of sources")
        ] = None,
        _wanted: Annotated[str, Query(alias="RESPONSEFORMAT", description="votable")] = "votable",
    ) -> Response:
        """Links of sources (IVOA DataLink 1.1)."""
        return await run_in_threadpool(_links, request, request.query_params.multi_items())

    @app.post("/links", include_in_schema=False)
    async def links_of_form(request: Request) -> Response:
        most = datalink.MOST + MOST_OTHERS
        try:
            form = await request.form(max_files=0, max_fields=most, max_part_size=LONGEST)
        except HTTPException as error:
            return _refused(f"the body: {error.detail}")
        sent = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        pairs = [*request.query_params.multi_items(), *sent]
        return await run_in_threadpool(_links, request, pairs)

    def _links(request: Request, pairs: Sequence[tuple[str, str]]) -> Response:
        infos = [("standardID", datalink.STANDARD)]
        told: dict[str, list[str]] = {}
        for name, value in pairs:  # names are not case-sensitive (DALI 1.1, 3.1)
            told.setdefault(name.upper(), []).append(value)
        ids, wanted = told.get("ID", []), told.get("RESPONSEFORMAT", ["votable"])[-1]
        try:
            wanted = wanted.replace("x-votable xml", "x-votable+xml")
            if wanted != datalink.MEDIA_TYPE:
                form = formats.choose(wanted, default="votable")
                if not form.name.startswith("votable"):
                    raise InputError(f"RESPONSEFORMAT {wanted[:60]!r}: links are given as votable")
            if len(ids) > datalink.MOST:
                raise InputError(f"ID: {len(ids)} identifiers; send at most {datalink.MOST}")
        except InputError as error:
            return _refused(str(error))
        with store.open() as snapshot:
            rows = datalink.links(snapshot, ids, _address(request))
            infos += formats.infos_of(snapshot.about)
        return _votable(formats.encode(rows, datalink.COLUMNS, "votable/td", infos=infos))

    @app.get("/record", responses={200: {"content": {"application/xml": {}}}})
    def registry(request: Request) -> Response:
        """Record of the service for a registry (VOResource 1.1)."""
        with store.open() as snapshot:
            places = snapshot.query("SELECT ra, dec FROM source LIMIT 1").to_pylist()
            body = web.text(
                "record.xml",
                release=snapshot.about,
                service=record,
                identifier=identifier(record.authority),
                url=_address(request),
                place=places[0] if places else {"ra": 0.0, "dec": 0.0},
            )
        return Response(body, media_type="application/xml", headers=kept())


def _refused(line: str) -> Response:
    """A request for links that is none."""
    infos = [("standardID", datalink.STANDARD)]
    return _votable(votable.error(f"UsageFault: {line}", infos), 400)


def _votable(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type=datalink.MEDIA_TYPE)


def _address(request: Request) -> str:
    """Address of the service, as the client knows it."""
    return str(request.base_url).rstrip("/")
