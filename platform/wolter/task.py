"""Tasks: how files are answered and models evaluated; the only door to a wing.

The platform (training, search, registry, serving, commands) asks a family for its task, and the
task for all that concerns the kind of record. A task is one object in the module `tasks` of a wing,
or an entry point of the group `wolter.tasks` with its name.
"""

import functools
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch

from wolter import plugins
from wolter.data.record_kinds import RecordKind, record_kind
from wolter.data.record_kinds import names as wings
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.family import Family
from wolter.outputs import mismatch
from wolter.registry.checkpoint import Model

if TYPE_CHECKING:
    from wolter.answering.contract import Serving
    from wolter.answering.picturing import Picturing
    from wolter.answering.scoring import Scoring
    from wolter.report.write import Report

GROUP = "wolter.tasks"

Advance = Callable[[int], None]
"""Progress callback: called with the number of files that were done since the last call."""


@dataclass(frozen=True)
class NoOptions:
    """Options of a task that has none."""


class Demonstration(Protocol):
    """Frozen dataclass of the options of `wolter demo` that know the records, and their steps."""

    family: ClassVar[str]
    """Name of the family that is trained."""

    @property
    def title(self) -> str:
        """Description of the simulated records."""

    def simulate(self, n: int, folder: Path, advance: Advance) -> Path:
        """Simulate records into a dataset in a folder; return the dataset's folder."""

    def request(self, folder: Path) -> tuple[str, dict[str, Path]]:
        """Write files to ask about; return route and query, and the files by field."""

    def show(self, answer: dict[str, Any]) -> None:
        """Print the answer beside the truth."""


class Task(ABC):
    """Base class of tasks: what models are for.

    The docstring of a subclass is the help of `wolter predict FAMILY`. Options are written once:
    the fields of the three dataclasses, with their docstrings and defaults, are options of
    commands.

    Attributes:
        name: "KIND/WHAT".
        Inputs: frozen dataclass of the files that may go with a record.
        Options: frozen dataclass of how to answer.
        EvaluateOptions: frozen dataclass of how to evaluate.
    """

    name: ClassVar[str]
    Inputs: ClassVar[type[Any]] = NoOptions
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
    def check_outputs(self, files: Sequence[Path], out: Path, inputs: Any, options: Any) -> None:
        """Check what `predict` will write, before any work; its arguments but model and version.

        Raises:
            InputError: a suffix is none of the task's, a folder is missing or cannot be written to,
                or an output is one of the inputs.
        """

    @abstractmethod
    def predict(
        self,
        model: Model,
        version: str,
        files: Sequence[Path],
        out: Path,
        inputs: Any,
        options: Any,
        advance: Advance,
    ) -> list[str]:
        """Read files, answer for them and write the answers; return lines to print.

        Args:
            model: loaded.
            version: version of the model; empty for the fingerprint of its weights.
            files: the records.
            out: file to write.
            inputs: instance of `Inputs`: the files that go with every record.
            options: instance of `Options`.
            advance: told of the files done.

        Raises:
            InputError: a file or an option is bad.
        """

    @abstractmethod
    def evaluate(
        self,
        models: Sequence[Model],
        versions: Sequence[str],
        dataset: ShardDataset,
        split: str,
        limit: int | None,
        options: Any,
    ) -> "Report":
        """Evaluate models on a split of a dataset.

        Args:
            models: loaded; the first is in question, the others stand beside it.
            versions: versions of the models.
            dataset: dataset of the task's kind of record.
            split: "test", "validation", "train" or "all".
            limit: evaluate on at most so many records.
            options: instance of `EvaluateOptions`.

        Raises:
            InputError: a model does not fit the dataset, or the split is empty.
        """

    @abstractmethod
    def default_data(self) -> Path:
        """Folder of the default dataset of the records, which is simulated if it is missing."""

    def demonstration(self) -> type[Demonstration] | None:
        """Steps of `wolter demo`; None where the task has none."""
        return None

    def serving(self) -> "Serving | None":
        """HTTP answers of the task's models; None where they are not served."""
        return None

    def scoring(self) -> "Scoring | None":
        """Rows of a catalogue from the task's models; None where there are none."""
        return None

    def picturing(self) -> "Picturing | None":
        """Pictures of the sky from the task's models; None where there are none."""
        return None

    def reader(self) -> Callable[[Any], Any]:
        """Reader of one record of a request, for a process of its own: plain JSON to plain JSON.

        Its argument is the job that a model of `serving` hands to
        `wolter.answering.contract.Stored.read`.
        """
        raise NotImplementedError(f"models for {self.name} read no uploads")

    def problem(self, model: Model) -> str:
        """Reason why a model fails on a plain record; empty where it answers."""
        try:
            found = self.plain_answer(model)
        except InputError as error:
            return str(error)
        except Exception as error:  # whatever a damaged network or others' code raises
            told = " ".join(str(error).split())[:200]
            return f"fails on a plain record: {type(error).__name__}: {told}"
        bad = sorted(name for name, value in found.items() if not np.isfinite(value).all())
        return f"no finite {bad[0]} of a plain record" if bad else ""

    def plain_answer(self, model: Model) -> Mapping[str, Any]:
        """Arrays that must be finite if a model is sound: what it predicts of a plain record.

        Raises:
            InputError: the predictions are not what the family declares.
        """
        with torch.inference_mode():
            found = model.family.predict(model.module, self.kind.example(model.card.spec, 1))
        if why := mismatch(model.outputs, found, 1):
            raise InputError(f"a plain record's predictions are not as declared: {why}")
        return {name: value.cpu().numpy() for name, value in found.items()}


def names() -> tuple[str, ...]:
    """Names of all tasks; those of other packages are not imported."""
    own = (name for wing in wings() for name in _of_wing(wing))
    return tuple(sorted({*own, *plugins.names(GROUP)}))


def load(name: str) -> Task:
    """A task by its name.

    Raises:
        InputError: there is none, or another package's cannot be imported.
    """
    wing = name.partition("/")[0]
    own = _of_wing(wing) if wing in wings() else {}  # other wings are not imported for it
    if name in own:
        return own[name]
    if name not in names():
        raise InputError(f"unknown task {name!r}; choose one of: {', '.join(names())}")
    return _of_others(name)


@functools.cache
def _of_wing(wing: str) -> dict[str, Task]:
    if not find_spec(f"wolter.{wing}.tasks"):
        return {}
    return {task.name: task for task in importlib.import_module(f"wolter.{wing}.tasks").TASKS}


@functools.cache
def _of_others(name: str) -> Task:
    return plugins.load(GROUP, name, Task)  # type: ignore[type-abstract]  # as a base
