"""Requests that take seconds: sent to replicas of their own, admitted there a few at a time."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from starlette.datastructures import UploadFile

from wolter.answering.contract import Reply
from wolter.errors import InputError, TooLargeError, UnavailableError
from wolter.serve.limits import BusyError, Lane

if TYPE_CHECKING:
    from wolter.serve.routes import ModelRequest
    from wolter.serve.service import Service

_ERRORS: dict[str, type[Exception]] = {
    "too large": TooLargeError,
    "input": InputError,
    "unavailable": UnavailableError,
}


class DearRequests(Protocol):
    """Where requests go that take seconds."""

    async def __call__(self, request: "ModelRequest") -> Reply:
        """Answer a request.

        Raises:
            BusyError: too many wait already.
            InputError: a file or value is bad.
            UnavailableError: what the answer needs does not work now.
        """


@dataclass(frozen=True)
class Sent:
    """A request between processes.

    Attributes:
        task: of the model.
        query: values of the query.
        body: JSON or arrays; None where there are files.
        files: name and content by field.
        left_s: time until the answer must be complete.
        tabular: the answer is a table rather than JSON.
        waits: wait for room.
    """

    task: str
    query: Mapping[str, Any]
    body: bytes | None
    files: Mapping[str, Sequence[tuple[str, bytes]]] | None
    left_s: float
    tabular: bool = False
    waits: bool = True


class ToDeployment:
    """Requests to a deployment of `wolter.serve.replicas.Dear`.

    Args:
        handle: of the deployment.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def __call__(self, request: "ModelRequest") -> Reply:
        """Answer a request; see `DearRequests`."""
        from ray.exceptions import RayActorError

        files = None
        if request.uploads is not None:
            files = {
                field: [(each.filename or "", await each.read()) for each in uploads]
                for field, uploads in request.uploads.items()
            }
        query = request.query.model_dump(exclude_unset=True)
        left_s, tabular, waits = request.left_s(), request.tabular, request.waits
        sent = Sent(request.task, query, request.body, files, left_s, tabular, waits)
        try:
            told = await self._handle.answer.remote(sent)
        except RayActorError as error:  # not sent again here: its files may be to blame
            raise UnavailableError("the process that answered ended; try again") from error
        if isinstance(told, Reply):
            return told
        kind, line, again_s = told
        if kind == "busy":
            raise BusyError(line, again_s)
        raise _ERRORS[kind](line)


class DearLane:
    """Answers requests that take seconds, a few at once; further ones are refused at once.

    Args:
        service: that answers.
    """

    def __init__(self, service: "Service") -> None:
        config = service.config
        self.service, self.lane = service, Lane(config.max_dear, config.max_dear_queued)

    async def answer(self, sent: Sent) -> Reply | tuple[str, str, int]:
        """The answer, or what is wrong: a word for its kind, a line, and seconds to wait."""
        try:
            async with asyncio.timeout(max(sent.left_s, 0.1)):
                async with self.lane.enter(sent.left_s, sent.waits):
                    return await self._answer(sent)
        except BusyError as error:
            return "busy", str(error), error.again_s
        except TimeoutError:
            return "unavailable", "no answer in time; send fewer files or records, or later", 0
        except tuple(_ERRORS.values()) as error:
            kind = next(word for word, each in _ERRORS.items() if isinstance(error, each))
            return kind, str(error), 0

    async def _answer(self, sent: Sent) -> Reply:
        from wolter.serve.routes import ModelRequest, query_type

        query: Any = query_type(sent.task)(**sent.query)
        uploads = None
        if sent.files is not None:
            uploads = {
                field: [UploadFile(io.BytesIO(content), filename=name) for name, content in each]
                for field, each in sent.files.items()
            }
        served = await self.service.ask_version(sent.task, query.family, query.version, query)
        ends = asyncio.get_running_loop().time() + sent.left_s
        return await served.answer(
            ModelRequest(
                self.service,
                sent.task,
                query,
                ends,
                sent.body,
                uploads,
                tabular=sent.tabular,
            )
        )
