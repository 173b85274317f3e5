"""ASGI middleware that bounds requests: their size, how many at once, and their time."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wolter.errors import UnavailableError
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


class BusyError(UnavailableError):
    """Too many requests wait already.

    Args:
        line: what is said of it.
        again_s: seconds after which there may be room.
    """

    def __init__(self, line: str, again_s: int) -> None:
        super().__init__(line)
        self.again_s = again_s


class Lane:
    """Admission of requests of one cost: few at once, few that wait, others refused at once.

    Args:
        at_once: requests let in together.
        waiting: requests that wait.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once, self._most, self._here = at_once, at_once + waiting, 0
        self._free = asyncio.Semaphore(at_once)
        self._seconds = 0.0  # of a request, as lately measured

    @property
    def again_s(self) -> int:
        """Seconds after which there may be room: those of all that are here, by their number."""
        return max(1, math.ceil(self._seconds * self._here / max(self._at_once, 1)))

    @contextlib.asynccontextmanager
    async def enter(self, left_s: float = math.inf, waits: bool = True) -> AsyncIterator[None]:
        """Wait for room.

        Args:
            left_s: time until the answer must be complete.
            waits: wait at all.

        Raises:
            BusyError: too many wait already, or those before leave no time for an answer.
        """
        before = self._here + 1 - self._at_once  # that end before this one can begin
        until_s = self._seconds * (before / max(self._at_once, 1) + 1)
        full = self._here >= self._most
        if full or (before > 0 and (not waits or until_s > left_s)):
            again_s = self.again_s
            raise BusyError(
                f"{self._here} requests wait already; try again in {again_s} s", again_s
            )
        self._here += 1
        try:
            async with self._free:
                begun = time.monotonic()
                try:
                    yield
                finally:
                    took = time.monotonic() - begun
                    self._seconds = took if not self._seconds else 0.8 * self._seconds + 0.2 * took
        finally:
            self._here -= 1


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
        self.lane = Lane(at_once, waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when there is room."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        ends = asyncio.get_running_loop().time() + self.timeout_s
        scope["answer_by"] = ends
        try:
            async with asyncio.timeout_at(ends), self.lane.enter():
                await self.app(scope, receive, noted)
        except BusyError as error:
            await problem(429, str(error), error.again_s)(scope, receive, send)
        except TimeoutError:
            if started:
                raise
            line = f"no answer within {self.timeout_s:g} s; send fewer files or records, or later"
            await problem(408, line)(scope, receive, send)
