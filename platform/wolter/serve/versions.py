"""Other versions of models than the champions: loaded when they are asked for, few are kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from wolter import task as tasks
from wolter.answering.batches import Join
from wolter.answering.contract import Served
from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.threads import apart

KEPT = 2
Locate = Callable[[str, str], Awaitable[str]]  # name and version of a model -> its folder


class Versions:
    """Versions that were asked for, the last ones of which are kept.

    Args:
        locate: finds the folder of a version, or raises InputError; None without a registry.
        join: see `wolter.answering.contract.Serving.load`.
    """

    def __init__(self, locate: Locate | None = None, join: Join | None = None) -> None:
        self._locate, self._join = locate, join
        self._kept: OrderedDict[tuple[str, str], Served] = OrderedDict()
        self._lock: asyncio.Lock | None = None

    async def get(self, task: str, name: str, version: str) -> Served:
        """A version of a model.

        Raises:
            InputError: there is none, or it does not answer.
        """
        self._lock = self._lock or asyncio.Lock()
        async with self._lock:  # one is loaded at a time
            key = (name, version)
            served = self._kept.get(key)
            if served is None:
                folder = await self.folder(name, version)
                served = await asyncio.to_thread(apart, self._load, task, folder, version)
            self._kept[key] = served
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return served

    async def folder(self, name: str, version: str) -> str:
        """Folder of a version of a model.

        Raises:
            InputError: there is none.
        """
        if self._locate is None:
            raise InputError(f"version: this server has one version of {name} alone; leave it out")
        return await self._locate(name, version)

    def _load(self, task: str, folder: str, version: str) -> Served:
        model = load_model(Path(folder))
        if why := tasks.load(task).problem(model):
            raise InputError(f"version {version}: does not answer ({why}); ask for another one")
        serving = tasks.load(task).serving()
        assert serving is not None
        return serving.load(model, version, self._join)
