"""Middleware of Ray Serve's own HTTP servers: liveness, and Ray's errors as JSON.

Replicas, and Ray's proxy where there is no HAProxy, import `middlewares` by the name in an
environment variable (see `wolter.serve.environment`).
"""

from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wolter.serve.asked import OURS

ALIVE = {"status": "alive"}
_LINES = {
    404: "nothing is served at this path; see /docs",
    408: "the request took too long; send fewer files or records",
    429: "too many requests wait; try again in a few seconds",
    503: "the service is not ready; try again in a few seconds",
}
FAULT = "the server failed on this request; try again"


def middlewares() -> list[Middleware]:
    """Middlewares of the proxy, by the name in its environment variable."""
    return [Middleware(Edge)]


class Edge:
    """ASGI middleware: `/livez`, and JSON in place of the proxy's own plain texts."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http" or scope["path"].startswith("/-/"):  # Ray's own
            await self.app(scope, receive, send)
            return
        if scope["path"] == "/livez" and scope["method"] in ("GET", "HEAD"):
            await JSONResponse(ALIVE)(scope, receive, send)
            return
        started = replaced = False

        async def told(message: Message) -> None:
            nonlocal started, replaced
            if message["type"] == "http.response.start":
                started = True
                if OURS not in scope and _is_rays(message):
                    replaced = True
                    await _problem(message["status"], _kept(message))(scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, told)
        if not started:  # the replica died
            await _problem(500, {})(scope, receive, send)


def _is_rays(message: Message) -> bool:
    headers = dict(message.get("headers", []))
    kind: bytes = headers.get(b"content-type", b"")
    return message["status"] >= 400 and (not kind or kind.startswith(b"text/plain"))


def _kept(message: Message) -> dict[str, str]:
    names = (b"retry-after", b"x-request-id", b"allow")
    return {
        name.decode(): value.decode("latin-1")
        for name, value in message.get("headers", [])
        if name.lower() in names
    }


def _problem(status: int, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"detail": _LINES.get(status, FAULT)}, status, headers)
