"""Replicas of the applications, as Ray Serve starts them.

A replica of models holds a `Service`, which is replaced as a whole when a model changes: requests
that were begun end with the old one.
"""

import asyncio
import importlib
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wolter import config as configs
from wolter import local_ray, priority
from wolter.memory import give_back_when_idle, keep_freed
from wolter.serve import board
from wolter.serve.board import Pulse
from wolter.serve.front import Front, FrontConfig, Swapped
from wolter.serve.jobs.model_runs import ModelRuns
from wolter.serve.jobs.store import JobStore
from wolter.serve.timing import PULSE_S
from wolter.threads import apart

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from wolter.serve.dear import Sent
    from wolter.serve.service import Service


class Site:
    """A replica of an application that a function makes.

    Args:
        name: of the application.
        prefix: of its paths.
        builder: "module:function".
        arguments: of the function.
        front: dictionary of a `FrontConfig`.
    """

    def __init__(
        self,
        name: str,
        prefix: str,
        builder: str,
        arguments: Mapping[str, Any],
        front: dict[str, Any],
    ) -> None:
        local_ray.close_replica()
        module, _, function = builder.partition(":")
        self.site = getattr(importlib.import_module(module), function)(**arguments)
        self.prefix = prefix
        self.front = Front(self.site, name, prefix, configs.from_dict(FrontConfig, front))
        self.pulse = Pulse(name, self._told, self._openapi, self.front.meters.name)

    def __serve_build_asgi_app__(self) -> "ASGIApp":
        """Called by Ray Serve for the application that answers HTTP."""
        self.pulse.start()
        return self.front

    def _told(self) -> dict[str, Any]:
        return {
            "prefix": self.prefix.rstrip("/"),
            "models": [],
            "versions": {},
            "problems": {},
            "metrics": self.front.meters.text(),
        }

    def _openapi(self) -> Mapping[str, Any]:
        if self.prefix == "/":
            return {"paths": {}}  # the page's own
        document: Mapping[str, Any] = self.site.openapi()
        return document

    def __del__(self) -> None:
        """Leave the board."""
        self.pulse.stop()


class _OfModels(ABC):
    """What replicas of models share: their service, and how it is replaced."""

    def __init__(self, task: str, config: dict[str, Any], threads: int) -> None:
        import torch

        from wolter.serve.config import ServeConfig
        from wolter.serve.requests import UploadReader

        keep_freed()
        local_ray.close_replica()
        priority.lower(priority.COMPUTES)  # the page and cheap queries answer whatever the load
        torch.set_num_threads(threads)
        self.task = task
        self.limits = configs.from_dict(ServeConfig, config)
        self.uploads = UploadReader(self.limits, [task])
        self.ended = threading.Event()
        threading.Thread(target=give_back_when_idle, args=[self.ended], daemon=True).start()
        self.service: Service | None = None
        self._models: list[dict[str, Any]] = []

    async def reconfigure(self, given: dict[str, Any]) -> None:
        """Take the models of the start, or those on the board; called by Ray Serve."""
        await asyncio.to_thread(apart, self._replace, self._chosen() or given["models"])
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        """Take the models on the board whenever they change."""
        while not self.ended.wait(PULSE_S):
            try:
                if chosen := self._chosen():
                    apart(self._replace, chosen)
            except Exception:  # those that answer stay
                logging.getLogger(__name__).exception("%s: no other models", self.task)

    def _chosen(self) -> list[dict[str, Any]]:
        """Models of the task on the board; none where it has none."""
        import ray

        try:
            told = ray.get(board.find().chosen.remote(), timeout=10)
        except (ValueError, ray.exceptions.RayError):  # no board now
            return []
        return [each for each in told if _task(each) == self.task]

    def _replace(self, models: list[dict[str, Any]]) -> None:
        if models == self._models:
            return
        from wolter.serve.models import ServedRef

        chosen = [configs.from_dict(ServedRef, each) for each in models]
        before, self.service = self.service, self._load(chosen)
        self.take(self.service)
        self._models = models
        if before is not None:
            before.watch.stop()

    def _load(self, chosen: list[Any]) -> "Service":
        from ray import serve

        from wolter.answering.batches import MOST
        from wolter.serve import champions
        from wolter.serve.service import Service
        from wolter.serve.versions import Versions

        join = serve.batch(max_batch_size=MOST, batch_wait_timeout_s=0.0, batch_size_fn=_records)
        service = Service.load(chosen, self.limits, join, before=self.service, uploads=self.uploads)
        service.start()
        locate = None if self.limits.models else champions.locate  # chosen models have no others
        return replace(service, versions=Versions(locate, join))

    @abstractmethod
    def take(self, service: "Service") -> None:
        """Answer from a service from now on."""

    def __del__(self) -> None:
        """End threads and processes."""
        self.ended.set()
        self.uploads.pool.stop()
        if self.service is not None:
            self.service.watch.stop()


class Models(_OfModels):
    """A replica that answers HTTP with the models of a task.

    Args:
        name: of the application.
        prefix: of its paths.
        task: of the models.
        config: dictionary of a `ServeConfig`.
        threads: that a network may use.
        front: dictionary of a `FrontConfig`.
        dear: deployment of `Dear`, which gets the requests that take seconds; None for none.
        jobs: folder of the requests that take minutes; empty for none.
    """

    def __init__(
        self,
        name: str,
        prefix: str,
        task: str,
        config: dict[str, Any],
        threads: int,
        front: dict[str, Any],
        dear: Any = None,
        jobs: str = "",
    ) -> None:
        super().__init__(task, config, threads)
        self.prefix, self.dear, self.threads = prefix, dear, threads
        self.jobs = JobStore.of(self.limits, Path(jobs)) if jobs else None
        self.runs: ModelRuns | None = None
        self.answers = Swapped()
        self.front = Front(self.answers, name, prefix, configs.from_dict(FrontConfig, front))
        self.pulse = Pulse(name, self._told, self._openapi, self.front.meters.name)

    def __serve_build_asgi_app__(self) -> "ASGIApp":
        """Called by Ray Serve for the application that answers HTTP."""
        return self.front

    async def reconfigure(self, given: dict[str, Any]) -> None:
        """Take the models, and then jobs; called by Ray Serve."""
        await super().reconfigure(given)
        if self.jobs is not None and self.runs is None:
            self.runs = ModelRuns(self.jobs, self.task, self._ref, self.limits, self.threads)
            self.runs.start()

    async def _ref(self, name: str, version: str) -> Any:
        assert self.service is not None
        return await self.service.ref(name, version)

    def take(self, service: "Service") -> None:
        """Answer from a service from now on."""
        from wolter.serve.api import build_app
        from wolter.serve.dear import ToDeployment

        first = self.answers.app is None
        if self.dear is not None:
            service = replace(service, dear=ToDeployment(self.dear))
        self.answers.app = build_app(replace(service, jobs=self.jobs))
        if first:
            self.pulse.start()

    def _told(self) -> dict[str, Any]:
        service = self.service
        assert service is not None
        return {
            "prefix": self.prefix,
            "models": service.told(),
            "versions": service.watch.versions,
            "problems": service.watch.problems,
            "checked_at": service.watch.checked_at,
            "metrics": self.front.meters.text(),
        }

    def _openapi(self) -> Mapping[str, Any]:
        document: Mapping[str, Any] = self.answers.app.openapi()
        return document

    def __del__(self) -> None:
        """Leave the board, and end threads and processes."""
        self.pulse.stop()
        if self.runs is not None:
            self.runs.leave()
        super().__del__()


class Dear(_OfModels):
    """A replica for the requests that take seconds; see `wolter.serve.dear`."""

    def take(self, service: "Service") -> None:
        """Answer from a service from now on."""
        from wolter.serve.dear import DearLane

        self.lane = DearLane(service)

    async def answer(self, sent: "Sent") -> Any:
        """Answer a request; see `wolter.serve.dear.DearLane.answer`."""
        return await self.lane.answer(sent)


def _task(model: dict[str, Any]) -> str:
    from wolter.serve.models import ServedRef

    return configs.from_dict(ServedRef, model).task


def _records(batches: list[Any]) -> int:
    return sum(len(batch) for batch in batches)
