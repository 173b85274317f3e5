"""What stands before every application: keys and budgets, metrics, access log, its place.

The application itself knows nothing of them; it says in `wolter.serve.asked` which model answered.
"""

import json
import logging
import logging.handlers
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wolter.serve.asked import OURS, Asked
from wolter.serve.budgets import Budgets, Tills, UnknownKeyError
from wolter.serve.limits import BusyError
from wolter.serve.meters import Meters
from wolter.serve.problems import problem

REFUSED = (429, 503)  # nothing was begun, and the client will come again
FREE = ("/livez", "/readyz", "/healthz", "/metrics", "/docs", "/openapi.json")
EXPOSED = ("x-request-id", "x-client-request-id", "retry-after", "content-disposition", "location")


@dataclass(frozen=True)
class FrontConfig:
    """Settings of `Front`.

    Attributes:
        budgets: of clients.
        price: units that a request costs; one that takes seconds or minutes costs more.
        cors: origins whose pages may ask; "*" for all.
        access_log: file of a line of JSON a request; empty for none.
    """

    budgets: Budgets = field(default_factory=Budgets)
    price: float = 1.0
    cors: tuple[str, ...] = ()
    access_log: str = ""


class Swapped:
    """ASGI application that another one may take the place of; requests that were begun go on.

    Attributes:
        app: what answers now; None before there is any.
    """

    def __init__(self) -> None:
        self.app: Any = None

    @property
    def routes(self) -> Sequence[Any]:
        """Routes of what answers now."""
        return getattr(self.app, "routes", ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the server starts and ends without an application."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        while (kind := (await receive())["type"]) != "lifespan.shutdown":
            await send({"type": f"{kind}.complete"})
        await send({"type": f"{kind}.complete"})


class Front:
    """ASGI application in front of another one.

    Args:
        app: what answers; its routes begin with `prefix`, or go on after it.
        name: of the application.
        prefix: of the paths that the server hands to it.
        config: settings.
    """

    def __init__(
        self, app: ASGIApp, name: str, prefix: str, config: FrontConfig | None = None
    ) -> None:
        self.prefix, self.config = prefix.rstrip("/"), config or FrontConfig()
        self.meters, self._tills = Meters(name), Tills(self.config.budgets)
        self._log = _access_log(self.config.access_log)
        self._app = app
        self._answer: ASGIApp = self._gated
        if self.config.cors:
            self._answer = CORSMiddleware(
                self._gated,
                allow_origins=self.config.cors,
                allow_methods=["GET", "POST", "PUT", "DELETE"],
                allow_headers=["authorization", "x-api-key", "content-type"],
                expose_headers=EXPOSED,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked, begun, status = Asked(), time.perf_counter(), 500
        scope[OURS] = asked

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, noted)
        finally:
            if status in REFUSED:
                asked.refund(self.config.price)
            self._note(scope, asked, status, time.perf_counter() - begun)

    def close(self) -> None:
        """Close the access log, and the file of what clients have left."""
        self._tills.close()
        for handler in self._log.handlers if self._log else ():
            handler.close()

    async def _gated(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked: Asked = scope[OURS]
        if scope["path"] not in FREE:
            address = (scope.get("client") or ("",))[0]
            try:
                holder = self._tills.holder(dict(scope["headers"]), address)
                asked.holder, asked.take = holder.id, partial(self._tills.charge, holder)
                asked.give = partial(self._tills.refund, holder)
                asked.key = holder.id if holder.known else ""
                asked.charge(self.config.price)
            except UnknownKeyError as error:
                answer = problem(401, str(error))
                answer.headers["www-authenticate"] = "Bearer"
                await answer(scope, receive, send)
                return
            except BusyError as error:
                await problem(429, str(error), error.again_s)(scope, receive, send)
                return
        if not self.prefix or _has_whole_paths(self._app, self.prefix):
            scope["root_path"] = ""
        await self._app(scope, receive, send)

    def _note(self, scope: Scope, asked: Asked, status: int, seconds: float) -> None:
        # The template, as a client may ask for endless paths.
        route = getattr(scope.get("route"), "path", "") or (self.prefix if status < 404 else "")
        if route and self.prefix and not route.startswith(self.prefix):
            route = self.prefix + route
        self.meters.count(route, status, asked.model, seconds)
        if self._log is not None:
            ids = dict(scope["headers"]).get(b"x-request-id", b"")
            name, version = asked.model
            line = {
                "at": round(time.time(), 3),
                "id": ids.decode("latin-1"),
                "client": asked.holder,
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status,
                "seconds": round(seconds, 4),
                "model": f"{name}@{version}" if name else "",
            }
            self._log.info(json.dumps(line))


def _has_whole_paths(app: Any, prefix: str) -> bool:
    """True if the routes of an application begin with its prefix."""
    paths = (getattr(route, "path", "") for route in getattr(app, "routes", ()))
    return any(path.startswith(prefix) for path in paths)


def _access_log(path: str) -> logging.Logger | None:
    """Logger of a file that other processes write to as well, and logrotate may move."""
    if not path:
        return None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    logger = logging.Logger("wolter.access")
    handler = logging.handlers.WatchedFileHandler(path)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    return logger
