"""The contract of a task that answers requests: `Serving`, its `Served` models and a `Request`.

A server knows nothing of records: it stores files, runs readers in processes of their own, and
hands a request to the model that was asked for.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from wolter.answering.batches import Join
from wolter.answering.from_outputs import OutputInfo, describe
from wolter.answering.limits import Limits
from wolter.answering.tables import Predictions
from wolter.answering.uploads import Upload
from wolter.family import Family
from wolter.outputs import Output
from wolter.registry.checkpoint import Model, fingerprint

T = TypeVar("T")
U = TypeVar("U")
JSON = "application/json"


@dataclass(frozen=True)
class FileField:
    """A field of a form that takes files.

    Attributes:
        name: name of the field.
        about: what the files are.
        many: it takes several; otherwise one.
    """

    name: str
    about: str
    many: bool = False


class DearError(Exception):
    """A request that would take seconds, and was not asked where there is time for it."""


class LongError(Exception):
    """A request that would take minutes, and was asked by a client that waits for its answer.

    Args:
        elements: of its records, such as pixels.
    """

    def __init__(self, elements: int) -> None:
        super().__init__(f"{elements} elements")
        self.elements = elements


class Stored(Protocol):
    """Files of a request, on disk while they are read."""

    @property
    def files(self) -> Mapping[str, tuple[Upload, ...]]:
        """Files by field, in the request's order; an empty tuple where none was sent."""

    @property
    def folder(self) -> Path:
        """Folder of the files, for what reading makes of them; removed afterwards."""

    def read(self, job: Any, name: str) -> Any:
        """Read a job with the task's reader, in a bounded process (plain JSON).

        Args:
            job: dataclass that JSON can hold.
            name: name of the record, for messages.

        Raises:
            InputError: a file is bad; `TooLargeError` where reading takes too much time or memory.
            UnavailableError: readers are lost, through no fault of the files.
        """

    def each(self, read: Callable[[T], U], of: Sequence[T]) -> list[U]:
        """`read` of each item in their order, as many at once as there are readers.

        No item is begun after one that failed.
        """


class Request(Protocol):
    """A request to one model."""

    @property
    def query(self) -> Any:
        """Query of the request: an instance of `Serving.Query`."""

    @property
    def limits(self) -> Limits:
        """Limits of the request."""

    @property
    def body(self) -> bytes | None:
        """JSON or arrays (`wolter.answering.arrays`); None where files were sent."""

    @property
    def sent(self) -> Mapping[str, int]:
        """Number of files by field."""

    async def read(self, work: Callable[[Stored], T]) -> T:
        """Store the files and do work on them, in a thread."""

    async def alone(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do bulky work in a thread, one request's at a time: it fills memory, not the cores."""

    def left_s(self) -> float:
        """Time until the answer must be complete, s."""

    @property
    def dear(self) -> bool:
        """True where an answer may take seconds; elsewhere raise `DearError` for such a one."""

    @property
    def long(self) -> bool:
        """True where an answer may take minutes; elsewhere raise `LongError` for such a one."""

    def progress(self, done: float) -> None:
        """Say which part of an answer is done, 0 to 1."""

    @property
    def tabular(self) -> bool:
        """True where the answer shall be a table, which the server writes in its format."""

    @property
    def spare(self) -> bool:
        """True where no time is left for what takes seconds, and the answer must do without."""


@dataclass(frozen=True)
class Reply:
    """The answer to a request.

    Attributes:
        content: bytes of it.
        media_type: media type of the content.
        file: name to keep the content under; empty where it is none.
        table: in place of content, where the request was `tabular`.
    """

    content: bytes
    media_type: str = JSON
    file: str = ""
    table: Predictions | None = None


class ModelInfo(BaseModel):
    """A model that is served."""

    model_config = ConfigDict(protected_namespaces=())

    kind: str = Field(description="kind of the records that it reads")
    path: str = Field(description="where it answers")
    model_name: str
    model_version: str
    default: bool = Field(description="answers where no other is asked for")
    outputs: list[OutputInfo] = Field(description="what it predicts of a record")


class Served(ABC):
    """A loaded model that answers requests.

    Args:
        model: loaded.
        version: empty for the model's fingerprint.
    """

    def __init__(self, model: Model, version: str = "") -> None:
        self.model = model
        self.version = version or fingerprint(model)

    @property
    def name(self) -> str:
        """Name of the model: the family's, or a variant's."""
        return self.model.family.model_name(self.model.card.spec)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Outputs of the model."""
        return self.model.outputs

    @abstractmethod
    async def answer(self, request: Request) -> Reply:
        """Answer a request.

        Raises:
            InputError: a file or value is bad; `TooLargeError` beyond the limits.
            UnavailableError: what the answer needs does not work now.
        """

    def info(self, default: bool) -> ModelInfo:
        """Description of the model.

        Args:
            default: whether the model answers where no other is asked for.
        """
        return ModelInfo(**self.told(default))

    def told(self, default: bool) -> dict[str, Any]:
        """Fields of `ModelInfo`."""
        return {
            "kind": self.model.family.kind,
            "path": f"/v1/{self.model.family.task}",
            "model_name": self.name,
            "model_version": self.version,
            "default": default,
            "outputs": describe(self.outputs),
        }


class Serving(ABC):
    """Base class: HTTP answers of a task's models.

    Attributes:
        about: one line of documentation.
        fields: files of a request; the first one holds the records and must be sent.
        Query: how to answer.
        Body: of a request in JSON in place of files; None where there is no such request.
        arrays: what a request may send as arrays in place of JSON, with shapes; empty for nothing.
        Info: description of a model.
        words: regular expressions of the library's remedies -> the remedy over HTTP.
        dear: "never", "some" or "all" requests take seconds; `is_dear` tells which.
        long: some requests take minutes: these raise `LongError` and become jobs.
    """

    about: ClassVar[str]
    fields: ClassVar[tuple[FileField, ...]]
    Query: ClassVar[type[BaseModel]]
    Body: ClassVar[type[BaseModel] | None] = None
    arrays: ClassVar[str] = ""
    Info: ClassVar[type[ModelInfo]] = ModelInfo
    words: ClassVar[Mapping[str, str]] = {}
    dear: ClassVar[Literal["never", "some", "all"]] = "never"
    long: ClassVar[bool] = False

    @abstractmethod
    def load(self, model: Model, version: str = "", join: Join | None = None) -> Served:
        """Load a model for requests.

        Args:
            model: loaded.
            version: empty for the model's fingerprint.
            join: makes an async function of a list one of a single item (`ray.serve.batch(...)`),
                so that requests are answered in one forward pass.
        """

    @abstractmethod
    def documented(self, served: Sequence[Served]) -> Mapping[str, Any]:
        """The answers of models in the words of OpenAPI: a response of `FastAPI.post(responses=)`.

        Args:
            served: models of the task.
        """

    def is_dear(self, query: Any) -> bool:  # noqa: ARG002
        """True if a request takes seconds.

        Args:
            query: of the request.
        """
        return self.dear == "all"

    def default(self, families: Sequence[Family]) -> Family:
        """Default family of a task's models."""
        return families[0]
