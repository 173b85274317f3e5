"""The TAP service as an ASGI application."""

import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from wolter.catalogue import release as releases
from wolter.catalogue.adql import schema
from wolter.catalogue.adql.process import Processes
from wolter.errors import UnavailableError
from wolter.home import home
from wolter.serve.tap import examples, vosi
from wolter.serve.tap.config import TapConfig
from wolter.serve.tap.errors import LimitBody, add_handlers
from wolter.serve.tap.parameters import parameters
from wolter.serve.tap.runs import QueryRuns
from wolter.serve.tap.store import open_store
from wolter.serve.tap.sync import PREFIX, Sync
from wolter.serve.tap.uws_routes import Jobs

_XML = "application/xml"
_OLD_S = 3600.0  # answers whose service died before they were sent


def build_app(
    root: Path | None = None, jobs: Path | None = None, config: TapConfig | None = None
) -> FastAPI:
    """TAP 1.1 over the current release of a catalogue.

    Args:
        root: folder of the releases; see `wolter.catalogue.release.folder`.
        jobs: folder of the jobs, for all replicas; `$WOLTER_HOME/catalogue/uws` by default.
        config: limits.
    """
    limits = config or TapConfig()
    folder = jobs or home() / "catalogue" / "uws"
    processes, store = Processes(), open_store(folder)
    sync = Sync(processes, limits, root, store)
    runs = QueryRuns(store, processes, limits, root)

    @contextlib.asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        _clear(folder)
        await processes.start()
        runs.start()
        try:
            yield
        finally:
            await runs.stop()
            await processes.stop()
            store.close()

    app = FastAPI(title="TAP", openapi_url=None, lifespan=running, redirect_slashes=False)
    app.add_middleware(LimitBody, most=limits.body_mb * 2**20)
    add_handlers(app)

    def base(request: Request) -> str:
        if limits.base_url:
            return limits.base_url.rstrip("/")
        url, path = request.url, request.scope.get("root_path", "")
        return f"{url.scheme}://{url.netloc}{path}".rstrip("/")

    app.include_router(Jobs(store, runs, limits, base).router())

    @app.api_route("/sync", methods=["GET", "POST"], response_model=None)
    async def synchronous(request: Request) -> Response:
        async with parameters(request) as asked:
            return await sync.answer(request, asked, base(request))

    @app.get("/capabilities", response_model=None)
    async def capabilities(request: Request) -> Response:
        return Response(vosi.capabilities(base(request), limits), media_type=_XML)

    @app.get("/availability", response_model=None)
    async def availability() -> Response:
        there = releases.current(root) is not None
        note = "" if there else "the catalogue has no release yet"
        return Response(vosi.availability(there, note), media_type=_XML)

    @app.get("/tables", response_model=None)
    async def tables() -> Response:
        path = releases.current(root)
        if path is None:
            raise UnavailableError("the catalogue has no release yet; try again later")
        every = schema.tables(releases.load(path))
        return Response(vosi.tableset(every), media_type=_XML)

    @app.get("/examples", response_model=None)
    async def example_queries() -> Response:
        return Response(examples.page(), media_type="application/xhtml+xml")

    return app


def _clear(folder: Path) -> None:
    """Remove answers of services that died before they were sent."""
    for path in folder.glob(f"{PREFIX}*"):
        if path.stat().st_mtime < time.time() - _OLD_S:
            shutil.rmtree(path, ignore_errors=True)
