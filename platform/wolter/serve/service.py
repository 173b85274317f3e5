"""Service of a replica: models, health watch, upload readers."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from wolter import family as families
from wolter import task as tasks
from wolter.answering.batches import Join
from wolter.answering.contract import Served, Serving
from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.serve.config import ServeConfig
from wolter.serve.dear import DearRequests
from wolter.serve.health import Checked, Watch
from wolter.serve.jobs.store import JobStore
from wolter.serve.models import ServedRef
from wolter.serve.requests import UploadReader
from wolter.serve.versions import Versions
from wolter.threads import one_core_each

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """Models, health watch and upload readers of a replica.

    Attributes:
        config: limits.
        models: that were loaded, by name.
        tasks: of all models, those that could not be loaded among them: name of the model -> task.
        uploads: what reads files.
        watch: which of the models answer.
        chosen: what the models were loaded from.
        dear: where requests go that take seconds; None for here.
        versions: other versions than those of the models.
        jobs: where requests are kept that take minutes; None answers them while clients wait.
    """

    config: ServeConfig
    models: Mapping[str, Served]
    tasks: Mapping[str, str]
    uploads: UploadReader
    watch: Watch
    chosen: tuple[ServedRef, ...] = ()
    dear: DearRequests | None = None
    versions: Versions = field(default_factory=Versions)
    jobs: JobStore | None = None
    _lone: ThreadPoolExecutor = field(default_factory=lambda: one_core_each(1), repr=False)

    @classmethod
    def load(
        cls,
        chosen: Sequence[ServedRef],
        config: ServeConfig,
        join: Join | None = None,
        before: "Service | None" = None,
        uploads: UploadReader | None = None,
    ) -> "Service":
        """Load models; one that cannot be loaded leaves the others to answer.

        Args:
            chosen: the models.
            config: limits.
            join: see `wolter.answering.contract.Serving.load`.
            before: service that this one replaces; models that stay are not loaded again, and one
                whose other version cannot be loaded answers on.
            uploads: what reads files; None for a new one.
        """
        models: dict[str, Served] = {}
        unloaded = {}
        loaded: list[ServedRef] = []
        for each in chosen:
            loaded.append(each)
            if before is not None and each in before.chosen and each.name in before.models:
                models[each.name] = before.models[each.name]
                continue
            try:
                if each.problem:
                    raise InputError(each.problem)
                model = load_model(Path(each.folder))
                served = serving_of(each.task).load(model, each.version, join)
                if not served.info(default=False).outputs:
                    raise InputError(f"{each.name}: its family declares no outputs")
                models[each.name] = served
            except Exception as error:
                logging.getLogger(__name__).exception("%s version %s", each.name, each.version)
                stays = None if before is None else before.loaded(each.name)
                if before is None or stays is None:
                    unloaded[each.name] = _reason(error)
                    continue
                loaded[-1], models[each.name] = stays, before.models[each.name]
                unloaded[f"{each.name}@{each.version}"] = (
                    f"{_reason(error)}; version {models[each.name].version} answers on"
                )
        named = {each.name: each.task for each in chosen if each.task}
        checked = {
            name: Checked(served.version, partial(tasks.load(named[name]).problem, served.model))
            for name, served in models.items()
        }
        reader = uploads or UploadReader(config, sorted(set(named.values())))
        watch = Watch(checked, unloaded)
        return cls(config, models, named, reader, watch, tuple(loaded))

    def loaded(self, name: str) -> ServedRef | None:
        """What a model was loaded from; None where it was not."""
        return next((r for r in self.chosen if r.name == name and name in self.models), None)

    def start(self) -> None:
        """Check the models, and start what reads uploads."""
        # The first upload waits for its reader, which imports for seconds; others need none.
        threading.Thread(target=self._start_readers, daemon=True).start()
        self.watch.start()

    def _start_readers(self) -> None:
        try:
            self.uploads.pool.start()
        except Exception:  # an upload tries again, unless the service has ended
            logging.getLogger(__name__).exception("readers do not start")

    def stop(self) -> None:
        """End the threads and processes."""
        self.watch.stop()
        self.uploads.pool.stop()

    async def alone(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do bulky work in a thread, one request's at a time: it fills memory, not the cores."""
        return await asyncio.get_running_loop().run_in_executor(self._lone, work, *arguments)

    @property
    def served_tasks(self) -> tuple[str, ...]:
        """Names of the tasks that have models, whether or not these answer."""
        return tuple(sorted(set(self.tasks.values())))

    def of_task(self, task: str) -> dict[str, Served]:
        """The loaded models of a task, by name."""
        return {name: each for name, each in self.models.items() if self.tasks[name] == task}

    def default(self, task: str) -> str:
        """The family that answers for a task where none is asked for."""
        # Those that are loaded come first; one that does not answer may be the default still.
        names = sorted(self.tasks, key=lambda name: name not in self.models)
        found = [families.load(name) for name in names if self.tasks[name] == task]
        return serving_of(task).default(found).name

    def told(self) -> list[dict[str, Any]]:
        """The loaded models as JSON: what they were trained on, and what they predict."""
        defaults = {task: self.default(task) for task in self.served_tasks}
        return [
            served.info(default=name == defaults[self.tasks[name]]).model_dump(mode="json")
            for name, served in self.models.items()
        ]

    def ask(self, task: str, family: str | None, query: Any) -> Served:
        """Model that answers a query.

        Args:
            task: task of the model.
            family: name of the family; None or empty for the default one.
            query: an instance of the `Query` of the task's `Serving`.

        Raises:
            InputError: no such model is served.
            UnavailableError: the model does not answer now.
        """
        served, wanted = self.of_task(task), family or self.default(task)
        known = _families(name for name, each in self.tasks.items() if each == task)
        if wanted not in known:
            raise InputError(
                f"family: {wanted[:50]!r} is not served; choose one of "
                f"{', '.join(_families(served)) or '(none)'}"
            )
        name = tasks.load(task).model_name(families.load(wanted), query)
        self.watch.require(name)
        if name not in served:
            raise InputError(f"no {name} is served; choose one of {', '.join(served) or '(none)'}")
        return served[name]

    async def ask_version(
        self, task: str, family: str | None, version: str | None, query: Any
    ) -> Served:
        """Model that answers a query, of a version that may not be the champion's.

        Args:
            task: task of the model.
            family: see `ask`; FAMILY@VERSION for a version, too.
            version: None or empty for the champion.
            query: see `ask`.

        Raises:
            InputError: there is no such model or version.
            UnavailableError: the model does not answer now.
        """
        name, _, given = (family or "").partition("@")
        served, wanted = self.ask(task, name, query), version or given
        if not wanted or wanted == served.version:
            return served
        return await self.versions.get(task, served.name, wanted)

    async def ref(self, name: str, version: str) -> ServedRef:
        """Where a model was loaded from, or may be.

        Args:
            name: of the model.
            version: of it.

        Raises:
            InputError: there is none.
        """
        for each in self.chosen:
            if each.name == name and name in self.models and self.models[name].version == version:
                return each
        return ServedRef(name, await self.versions.folder(name, version), version)


def serving_of(task: str) -> Serving:
    """HTTP answers of a task's models.

    Raises:
        InputError: they do not, or the task is unknown.
    """
    serving = tasks.load(task).serving()
    if serving is None:
        raise InputError(f"models for {task} answer no requests")
    return serving


def _families(names: Iterable[str]) -> dict[str, None]:
    """Names of the families of models, in their order."""
    return dict.fromkeys(families.load(name).name for name in names)


def _reason(error: Exception) -> str:
    """Reason why a model cannot be loaded, without local folders."""
    if isinstance(error, InputError):
        first, _, rest = str(error).partition(": ")
        return rest if "/" in first and rest else str(error)
    return type(error).__name__
