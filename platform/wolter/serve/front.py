"""What stands before every application: its place on the server."""

from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

OURS = "wolter"  # in the scope of requests that an application of ours answers


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
        prefix: of the paths that the server hands to it.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app, self.prefix = app, prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            scope[OURS] = True
            if not self.prefix or has_whole_paths(self.app, self.prefix):
                scope["root_path"] = ""
        await self.app(scope, receive, send)


def has_whole_paths(app: Any, prefix: str) -> bool:
    """True if the routes of an application begin with its prefix."""
    paths = (getattr(route, "path", "") for route in getattr(app, "routes", ()))
    return any(path.startswith(prefix) for path in paths)
