"""Tasks: what is read, answered, written and judged; the only door to a wing.

The platform (training, search, registry, serving, commands) asks a family for its task, and the
task for all that concerns the kind of record. A task is one object in the module `tasks` of a wing,
or an entry point of the group `wolter.tasks`.
"""

import functools
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from wolter.data.record_kinds import RecordKind, record_kind
from wolter.data.record_kinds import names as wings
from wolter.errors import InputError
from wolter.family import Family

Advance = Callable[[float], None]
"""Told of work that was done, in the units that the caller gave the total in."""


@dataclass(frozen=True)
class NoOptions:
    """Options of a task that has none."""


class Task(ABC):
    """What models of some families are for.

    Attributes:
        name: "KIND/WHAT".
        Inputs: frozen dataclass of the files of one record: fields of uploads, options of commands.
            The first field is the record itself; every other has a default.
        Options: frozen dataclass of how to answer: options of commands, queries over HTTP.
        EvaluateOptions: frozen dataclass of how to judge.
    """

    name: ClassVar[str]
    Inputs: ClassVar[type[Any]]
    Options: ClassVar[type[Any]] = NoOptions
    EvaluateOptions: ClassVar[type[Any]] = NoOptions

    @property
    def kind(self) -> RecordKind:
        """The kind of record."""
        return record_kind(self.name.partition("/")[0])

    def model_name(self, family: Family, options: Any) -> str:  # noqa: ARG002  # of other tasks
        """Name of the family's model that answers with some options."""
        return family.name

    @abstractmethod
    def predict(
        self,
        model: Any,
        version: str,
        files: Sequence[Path],
        out: Path,
        inputs: Any,
        options: Any,
        advance: Advance,
    ) -> list[str]:
        """Answer for files and write the answers; returns lines to print.

        Args:
            model: a loaded `wolter.registry.checkpoint.Model`.
            version: of the model; empty for its fingerprint.
            files: records to read.
            out: file to write.
            inputs: files that go with every record; its first field is not looked at.
            options: how to answer.
            advance: called with the files done.

        Raises:
            InputError: a file, an option or the output is bad; outputs are checked before the work.
        """

    @abstractmethod
    def evaluate(
        self,
        models: Sequence[Any],
        versions: Sequence[str],
        dataset: Any,
        split: str,
        limit: int | None,
        options: Any,
    ) -> Any:
        """Judge models on a split of a dataset; returns a `wolter.report.write.Report`."""

    @abstractmethod
    def default_data(self) -> Path:
        """The default dataset of the records, which is simulated if it is missing."""

    def problem(self, model: Any) -> str:
        """Why a model does not answer a plain record; empty where it does."""
        spec = model.card.spec
        found = model.family.predict(model.module, self.kind.example(spec, 1))
        bad = sorted(name for name, value in found.items() if not bool(value.isfinite().all()))
        return f"no finite {bad[0]} of a plain record" if bad else ""


@functools.cache
def names() -> tuple[str, ...]:
    """Names of all tasks."""
    return tuple(sorted(_tasks()))


def load(name: str) -> Task:
    """A task by its name.

    Raises:
        InputError: there is none.
    """
    tasks = _tasks()
    if name not in tasks:
        raise InputError(f"unknown task {name!r}; choose one of: {', '.join(sorted(tasks))}")
    return tasks[name]


@functools.cache
def _tasks() -> dict[str, Task]:
    found: list[Task] = []
    for wing in wings():
        if find_spec(f"wolter.{wing}.tasks"):
            found += importlib.import_module(f"wolter.{wing}.tasks").TASKS
    found += [point.load() for point in entry_points(group="wolter.tasks")]
    return {task.name: task for task in found}
