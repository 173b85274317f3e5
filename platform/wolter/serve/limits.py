"""ASGI middleware that bounds requests: their size, how many at once, and their time."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wolter.serve.config import MB
from wolter.serve.problems import problem

SILENT_S = 20.0  # longest time between two pieces of a body


class LimitBody:
    """Refuses bodies over a number of bytes, announced or sent, and those that do not arrive.

    Args:
        app: what answers.
        max_bytes: largest body, bytes.
        max_json: largest body of JSON, bytes; parsed, it fills many times its size.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_json: int) -> None:
        self.app, self.max_bytes, self.max_json = app, max_bytes, min(max_json, max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its bytes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").strip().lower()
        most = self.max_bytes if kind.startswith(b"multipart/") else self.max_json
        line = f"the request is larger than {most / MB:g} MB; send fewer files or records"
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > most):
            await problem(413, line)(scope, receive, send)
            return
        received, whole = 0, False

        async def counted() -> Message:
            nonlocal received, whole
            try:
                async with asyncio.timeout(None if whole else SILENT_S):
                    message = await receive()
            except TimeoutError as error:
                silent = f"nothing arrived for {SILENT_S:g} s; send the request again"
                raise HTTPException(408, silent) from error
            whole = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413, line)
            return message

        await self.app(scope, counted, send)


class Admit:
    """Lets a number of POST requests in at once, lets some wait, and answers 429 to further ones.

    A request that is let in must be answered within a time, or is told 408; `answer_by` in its
    scope is when, on the clock of the event loop. All others, such as those of health, pass by.

    Args:
        app: what answers.
        at_once: requests let in together.
        waiting: requests that wait.
        timeout_s: longest time for one, with its wait.
    """

    def __init__(self, app: ASGIApp, at_once: int, waiting: int, timeout_s: float) -> None:
        self.app, self.timeout_s = app, timeout_s
        self._most, self._here = at_once + waiting, 0
        self._free = asyncio.Semaphore(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when there is room."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        if self._here >= self._most:
            line = f"{self._here} requests wait already; try again in a few seconds"
            await problem(429, line)(scope, receive, send)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        self._here += 1
        ends = asyncio.get_running_loop().time() + self.timeout_s
        scope["answer_by"] = ends
        try:
            async with asyncio.timeout_at(ends), self._free:
                await self.app(scope, receive, noted)
        except TimeoutError:
            if started:
                raise
            line = f"no answer within {self.timeout_s:g} s; send fewer files or records, or later"
            await problem(408, line)(scope, receive, send)
        finally:
            self._here -= 1
