"""The application of all paths that no other has: documentation, health, models, metrics.

It imports no network, so that it is up in seconds and stays while others load, or fail.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Response
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Receive, Scope, Send

from wolter import __version__
from wolter.catalogue.store import Store
from wolter.errors import UnavailableError
from wolter.serve import board, meters, problems
from wolter.serve.board import Told
from wolter.serve.edge import ALIVE
from wolter.serve.openapi import merged
from wolter.serve.schemas import Health, Problem
from wolter.serve.timing import PULSE_S
from wolter.serve.web import routes as web
from wolter.serve.web.vo_routes import ServiceRecord

STARTING = "x-starting"  # header of answers for an application that is not up
ABOUT = """
Models of X-ray astronomy, which learnt from simulated observations, and their catalogue.
Send files, or JSON where a route takes it; `/v1/models` tells what each model was trained on, and
what it answers.
"""


@dataclass(frozen=True)
class Seen:
    """What the board tells.

    Attributes:
        reports: of the replicas of each application.
        notes: about models.
        at: when they were read, seconds of the epoch.
    """

    reports: Mapping[str, list[Told]]
    notes: Mapping[str, str]
    at: float

    def of(self, part: str) -> list[Told]:
        """Reports of an application; the replicas of all where it is empty."""
        if part:
            return list(self.reports.get(part, ()))
        return [told for each in self.reports.values() for told in each]


Look = Callable[[], Seen]


def build_app(
    look: Look,
    waiting: Mapping[str, str],
    store: Store | None = None,
    record: ServiceRecord | None = None,
) -> FastAPI:
    """The application.

    Args:
        look: what replicas have reported.
        waiting: why the paths of a prefix are not answered while they come here.
        store: releases of the catalogue, whose pages it has; None for none.
        record: what a registry says of the service.
    """
    app = FastAPIOffline(title="wolter", description=ABOUT, version=__version__, redoc_url=None)
    app.add_middleware(Waiting, waiting=waiting)
    problems.add_handlers(app)
    own = app.openapi
    app.openapi = lambda: merged(own(), _documents(look()))  # type: ignore[method-assign]
    unready: dict[int | str, dict[str, Any]] = {
        503: {"model": Problem, "description": "No model answers"}
    }

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        """Liveness of the service: always this answer."""
        return ALIVE

    @app.get("/readyz", responses=unready)
    @app.get("/healthz", responses=unready)
    async def readyz() -> Health:
        """Readiness: models that answer, as last checked; 200 while any does, or none is served."""
        seen = look()
        told = seen.of("")
        versions = {name: v for each in told for name, v in each["versions"].items()}
        why = {name: line for each in told for name, line in each["problems"].items()}
        why |= seen.notes
        starting = [prefix for prefix in waiting if not _is_up(seen, prefix)]
        some = bool(why) or any(each["models"] for each in told)
        if not versions and (some or starting or not waiting):
            loading = f"; loading: {', '.join(starting)}" if starting else ""
            raise UnavailableError(f"no model answers: {why or 'none is served'}{loading}")
        return Health(
            models=versions,
            problems=why,
            checked_s=max(
                (time.time() - each["checked_at"] for each in told if each["versions"]), default=0.0
            ),
            starting=starting,
        )

    @app.get("/v1/models", responses={200: {"description": "The models"}})
    async def models() -> Response:
        """The models that are served: what they were trained on, and what they predict."""
        found = {m["model_name"]: m for each in look().of("") for m in each["models"]}
        return Response(orjson.dumps(list(found.values())), media_type="application/json")

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Metrics of all replicas, in Prometheus' text format."""
        text = meters.merged(each["metrics"] for each in look().of(""))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    if store is not None:
        web.add_routes(app, store, record)
    return app


def page_of_board(
    waiting: Mapping[str, str], root: Path, authority: str, publisher: str
) -> FastAPI:
    """The application that reads the board, with the pages of a catalogue.

    Args:
        waiting: see `build_app`.
        root: folder of the releases.
        authority: see `wolter.serve.config.ServeConfig`.
        publisher: the same.
    """
    reader = Reader()
    reader.start()
    record = ServiceRecord(authority=authority, publisher=publisher)
    return build_app(lambda: reader.seen, waiting, Store(root), record)


class Reader:
    """Thread that reads the board every second, so that requests wait for nobody."""

    def __init__(self) -> None:
        self.seen = Seen({}, {}, time.time())

    def start(self) -> None:
        """Read from now on."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        import ray

        while True:
            try:
                told, notes = ray.get(board.find().all.remote(), timeout=10)
                self.seen = Seen(told, notes, time.time())
            except Exception:  # the board starts again
                self.seen = Seen({}, self.seen.notes, time.time())
            time.sleep(PULSE_S / 2)


class Waiting:
    """ASGI middleware: the paths of an application that is not up are answered 503, and why.

    Args:
        app: what answers all other paths.
        waiting: why, by prefix.
    """

    def __init__(self, app: ASGIApp, waiting: Mapping[str, str]) -> None:
        self.app, self.waiting = app, waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        answers = partial(self.app, scope, receive, send)
        if scope["type"] != "http":
            return await answers()
        path = scope["path"]
        prefix = next((p for p in self.waiting if path == p or path.startswith(f"{p}/")), None)
        if prefix is None:
            return await answers()
        line = f"{prefix} is not ready ({self.waiting[prefix]}); try again in a few seconds"
        answer = problems.problem(503, line)
        answer.headers[STARTING] = prefix
        return await answer(scope, receive, send)


def _is_up(seen: Seen, prefix: str) -> bool:
    return any(told.get("prefix") == prefix for told in seen.of(""))


def _documents(seen: Seen) -> list[tuple[str, Mapping[str, Any]]]:
    """The OpenAPI documents of the applications, with their prefixes."""
    return [
        (each[0].get("prefix", ""), each[0]["openapi"])
        for each in seen.reports.values()
        if each and each[0].get("openapi")
    ]
