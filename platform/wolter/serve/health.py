"""Health over HTTP: whether the process lives, and which models answer.

A thread asks the models now and then; requests read what it found last, and run no network.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from wolter.errors import UnavailableError
from wolter.serve.edge import ALIVE
from wolter.serve.schemas import Health, Problem
from wolter.threads import apart

EVERY_S = 60.0  # between two checks of all models


@dataclass(frozen=True)
class Checked:
    """A model that can be asked whether it answers.

    Attributes:
        version: version of the model.
        check: why it does not answer; empty where it does.
    """

    version: str
    check: Callable[[], str]


class Watch:
    """Health watch: a thread that checks the models.

    Args:
        models: by name.
        unloaded: why further ones could not be loaded, by name.
    """

    def __init__(self, models: Mapping[str, Checked], unloaded: Mapping[str, str]) -> None:
        self._models, self._unloaded = models, dict(unloaded)
        self.problems: dict[str, str] = dict(unloaded)
        self.checked_at = 0.0
        self._ended = threading.Event()

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the models that answer."""
        answering = (name for name in self._models if name not in self.problems)
        return {name: self._models[name].version for name in answering}

    def check(self) -> None:
        """Check every model now."""
        found = dict(self._unloaded)
        for name, served in self._models.items():
            if why := _check(name, served):
                found[name] = why
        self.problems, self.checked_at = found, time.time()

    def start(self) -> None:
        """Check every model now, and repeatedly in a thread until `stop`."""
        self.check()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            apart(self.check)

    def require(self, name: str) -> None:
        """Pass if a model answers.

        Raises:
            UnavailableError: it does not.
        """
        if name in self.problems:
            others = ", ".join(self.versions) or "none"
            raise UnavailableError(
                f"{name} does not answer now ({self.problems[name]}); models that do: {others}"
            )


def _check(name: str, served: Checked) -> str:
    try:
        return served.check()
    except Exception as error:
        logging.getLogger(__name__).exception("%s version %s", name, served.version)
        return f"{type(error).__name__} when asked"


def add_routes(app: FastAPI, watch: Watch) -> None:
    """Serve `/livez`, `/readyz` and `/healthz`."""

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        """Liveness of the service: always this answer."""
        return ALIVE

    unready: dict[int | str, dict[str, Any]] = {
        503: {"model": Problem, "description": "No model answers"}
    }

    @app.get("/readyz", responses=unready)
    @app.get("/healthz", responses=unready)
    async def readyz() -> Health:
        """Readiness: models that answer, as last checked; 200 while any of them does."""
        if not watch.versions:
            raise UnavailableError(f"no model answers: {watch.problems or 'none is served'}")
        return Health(
            models=watch.versions, problems=watch.problems, checked_s=time.time() - watch.checked_at
        )
