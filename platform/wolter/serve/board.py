"""What replicas report of themselves, and the models that they are to answer with: an actor.

The page reads the reports. Models change through the board and not through Ray Serve's
`user_config`, as a replica that is given another one gets no requests meanwhile (Ray 2.60).
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wolter.serve.timing import PULSE_S, SILENT_S

NAME, NAMESPACE = "wolter-board", "wolter"
Told = dict[str, Any]  # of a replica: see `Report`


@dataclass(frozen=True)
class Report:
    """The last word of a replica.

    Attributes:
        models: the models that it answers with, as `/v1/models` tells them.
        versions: of the models that answer, by name.
        problems: why others do not, by name.
        metrics: in Prometheus' text format.
        openapi: its document; None where it was told before.
        at: when it was told, seconds of the epoch.
    """

    models: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    metrics: str = ""
    openapi: dict[str, Any] | None = None
    at: float = 0.0


class Board:
    """The last report of every replica, and the chosen models; run as one actor."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Told]] = {}
        self._notes: dict[str, str] = {}
        self._chosen: list[dict[str, Any]] = []

    def clear(self) -> None:
        """Forget all that an earlier server left."""
        self._told, self._notes, self._chosen = {}, {}, []

    def choose(self, models: list[dict[str, Any]]) -> None:
        """Keep the models that are to answer: dictionaries of `ServedRef`s."""
        self._chosen = models

    def chosen(self) -> list[dict[str, Any]]:
        """The models that are to answer; none where those of the start are."""
        return self._chosen

    def report(self, part: str, replica: str, told: Told) -> bool:
        """Keep a replica's report; True where its OpenAPI document is missing."""
        kept = self._told.setdefault(part, {})
        told = {**told, "at": time.time()}
        told["openapi"] = told.get("openapi") or kept.get(replica, {}).get("openapi")
        kept[replica] = told
        return told["openapi"] is None

    def leave(self, part: str, replica: str) -> None:
        """Forget a replica that ends."""
        self._told.get(part, {}).pop(replica, None)

    def note(self, name: str, line: str) -> None:
        """Keep a line about a model beside what replicas report; empty forgets it."""
        self._notes.pop(name, None)
        if line:
            self._notes[name] = line

    def all(self) -> tuple[dict[str, list[Told]], dict[str, str]]:
        """The reports of replicas that are not silent, by application, and the notes."""
        since = time.time() - SILENT_S
        found = {
            part: [told for told in replicas.values() if told["at"] > since]
            for part, replicas in self._told.items()
        }
        return found, dict(self._notes)


def start() -> Any:
    """The board's actor, which lives as long as the server; an empty one.

    One that is there is of a server that was killed: its name is not free soon enough for another.
    """
    import ray

    actor: Any = ray.remote(Board)
    options = {"name": NAME, "namespace": NAMESPACE, "lifetime": "detached", "num_cpus": 0}
    # Ray starts one that was killed again: replicas report to it, and champions are chosen again.
    started = actor.options(**options, max_restarts=-1, get_if_exists=True).remote()
    ray.get(started.clear.remote())
    return started


def find() -> Any:
    """The board's actor.

    Raises:
        ValueError: there is none.
    """
    import ray

    return ray.get_actor(NAME, namespace=NAMESPACE)


def stop() -> None:
    """End the board's actor."""
    import contextlib

    import ray

    with contextlib.suppress(ValueError):
        ray.kill(find())


class Pulse:
    """Thread that reports a replica every second.

    Args:
        part: its application.
        told: makes the report; a dictionary of the fields of `Report`.
        openapi: makes its OpenAPI document.
        named: is told the name of the replica.
    """

    def __init__(
        self,
        part: str,
        told: Callable[[], Told],
        openapi: Callable[[], Mapping[str, Any]],
        named: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._named = named
        self.part, self._told, self._openapi = part, told, openapi
        self._ended = threading.Event()
        self._replica = ""

    def start(self) -> None:
        """Report from now on."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """End the thread, and forget the replica."""
        self._ended.set()
        if self._replica:
            find().leave.remote(self.part, self._replica)

    def _run(self) -> None:
        import ray
        from ray import serve

        self._replica = serve.get_replica_context().replica_id.unique_id
        self._named(self._replica)
        board, wanted = None, True
        while not self._ended.is_set():
            try:
                board = board or find()
                told = self._told()
                if wanted:
                    told["openapi"] = dict(self._openapi())
                wanted = ray.get(board.report.remote(self.part, self._replica, told), timeout=60)
            except Exception:
                logging.getLogger(__name__).exception("%s: no report", self.part)
                board = None
            self._ended.wait(PULSE_S)
