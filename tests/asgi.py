"""Requests to an ASGI application without a server, and what it answers."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from starlette.types import Message


def run(
    app: Callable[..., Coroutine[Any, Any, None]],
    method: str = "POST",
    path: str = "/v1/x",
    headers: Sequence[tuple[bytes, bytes]] = (),
    chunks: Sequence[bytes] = (b"",),
) -> tuple[Coroutine[Any, Any, None], list[Message]]:
    """A request that is to be awaited, and the messages that are then sent to it."""
    sent: list[Message] = []
    waiting = [*chunks]

    async def receive() -> Message:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [*headers]}
    return app(scope, receive, send), sent


def told(sent: Sequence[Message]) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of an answer."""
    start, *bodies = sent
    content = b"".join(message.get("body", b"") for message in bodies)
    return start["status"], dict(start["headers"]), content
