"""Watch of the registry's champions: an actor that checks new ones and puts them on the board."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wolter import config as configs
from wolter.errors import InputError, UnavailableError
from wolter.serve import board
from wolter.serve.config import ServeConfig

NAME, REGISTRY = "wolter-champions", "registry"
EVERY_S = 2.0  # between two looks at a local registry
REMOTE_S = 60.0  # between two looks at another one
REVIEW_S = 600.0  # longest time of a review
_STATE = ("WOLTER_HOME", "MLFLOW_TRACKING_URI")  # where the registry is


class Champions:
    """Actor that looks at the registry until it ends.

    Args:
        config: dictionary of the server's `ServeConfig`.
        models: dictionaries of the `ServedRef`s that answer.
        state: environment by which the registry is found.
        seen: what `stamp` told before these models were chosen.
    """

    def __init__(
        self,
        config: dict[str, Any],
        models: list[dict[str, Any]],
        state: dict[str, str],
        seen: tuple[float, ...],
    ) -> None:
        self.config, self.models, self.state = config, models, state
        self._notes: dict[str, str] = {}
        self._said = ""
        import ray

        # One that Ray has started again looks at once, as others answer than at the start.
        self._again = bool(ray.get_runtime_context().was_current_actor_reconstructed)
        self._seen: tuple[float, ...] = () if self._again else seen
        threading.Thread(target=self._run, daemon=True).start()

    def look(self) -> list[dict[str, Any]]:
        """Look at the registry now; the models that answer from now on."""
        told = self._review()
        for name in self._notes.keys() - told["notes"].keys():
            board.find().note.remote(name, "")
        self._notes = told["notes"]
        self.models = told["models"]
        return self.models

    def locate(self, name: str, version: str) -> tuple[str, str]:
        """Folder of a version of a model, and why there is none."""
        from wolter.registry import pretrained

        os.environ |= self.state
        try:
            return str(pretrained.find(name, version)[0].absolute()), ""
        except InputError as error:
            return "", str(error)

    def _run(self) -> None:
        pause_s = EVERY_S  # calls of Ray that start before the constructor has returned never end
        while True:
            time.sleep(pause_s)
            pause_s = EVERY_S if self._once() else 10 * EVERY_S

    def _once(self) -> bool:
        """Look where something may have changed; where that fails, say so on the board."""
        try:
            if self._again:
                self._remember()
            if (now := _stamp(self.state)) != self._seen:
                self.look()
                self._seen = now
            board.find().choose.remote(self.models)  # one that is new has forgotten them
            for name, line in self._notes.items():
                board.find().note.remote(name, line)
            self._say("")
        except Exception as error:
            logging.getLogger(__name__).exception("champions cannot be looked at")
            self._say(f"new champions cannot be checked: {_why(error)}; those before answer on")
            return False
        return True

    def _remember(self) -> None:
        """Take what answers now, and what is said of it, from the board."""
        import ray

        now = board.find()
        models, (_, notes) = ray.get([now.chosen.remote(), now.all.remote()], timeout=60)
        self.models = models or self.models
        self._said = notes.pop(REGISTRY, "")
        self._notes = notes
        self._again = False

    def _say(self, line: str) -> None:
        """Keep a line about the registry on the board; empty forgets it."""
        if not line and not self._said:
            return
        with contextlib.suppress(ValueError):  # no board now
            board.find().note.remote(REGISTRY, line)  # again, as one that is new has forgotten it
            self._said = line

    def _review(self) -> dict[str, Any]:
        """Answer of `wolter.serve.review`, in a process of its own."""
        line = json.dumps({"config": self.config, "current": self.models}) + "\n"
        done = subprocess.run(
            [sys.executable, "-m", "wolter.serve.review"],
            input=line,
            stdout=subprocess.PIPE,
            text=True,
            timeout=REVIEW_S,
            env={**os.environ, **self.state},
            check=True,
        )
        told: dict[str, Any] = json.loads(done.stdout)
        return told


def stamp() -> tuple[float, ...]:
    """Tells whether the registry may have changed; for `start`, before models are chosen."""
    return _stamp(_state())


def start(config: ServeConfig, models: Sequence[Any], seen: tuple[float, ...]) -> Any:
    """The actor, which lives as long as the server.

    Args:
        config: of the server.
        models: those that answer.
        seen: `stamp` before they were chosen: a champion of since then is looked at.
    """
    import ray

    actor: Any = ray.remote(Champions)
    options = {"name": NAME, "namespace": board.NAMESPACE, "lifetime": "detached", "num_cpus": 0}
    return actor.options(**options, max_restarts=-1).remote(
        configs.to_dict(config), [configs.to_dict(each) for each in models], _state(), seen
    )


async def locate(name: str, version: str) -> str:
    """Folder of a version of a model, as the actor finds it; for replicas.

    Raises:
        InputError: there is none.
        UnavailableError: the actor is not there yet.
    """
    import ray

    try:
        actor = ray.get_actor(NAME, namespace=board.NAMESPACE)
    except ValueError as error:
        raise UnavailableError(
            f"version: the registry is not asked for versions of {name} yet; try again in some "
            "seconds, or leave it out"
        ) from error
    folder, why = await actor.locate.remote(name, version)
    if why:
        raise InputError(f"version: {why.partition(';')[0]}; ask for another one, or for none")
    return str(folder)


def stop() -> None:
    """End the actor."""
    import ray

    with contextlib.suppress(ValueError):
        ray.kill(ray.get_actor(NAME, namespace=board.NAMESPACE))


def _why(error: Exception) -> str:
    """Why a look at the registry failed, in a line."""
    if isinstance(error, subprocess.CalledProcessError):
        code = error.returncode
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"their check ended with {ended}, see the server's log"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"their check takes more than {REVIEW_S:g} s"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _state() -> dict[str, str]:
    """Environment by which another process finds the registry of this one."""
    state = {name: os.environ[name] for name in _STATE if name in os.environ}
    state.setdefault("WOLTER_HOME", ".wolter")
    state["WOLTER_HOME"] = str(Path(state["WOLTER_HOME"]).absolute())
    return state


def _stamp(state: dict[str, str]) -> tuple[float, ...]:
    """Changes where the registry may have changed."""
    if "MLFLOW_TRACKING_URI" in state:
        return (time.monotonic() // REMOTE_S,)
    database = Path(state["WOLTER_HOME"]) / "mlflow.db"
    files = (database, database.with_name("mlflow.db-wal"))
    return tuple(file.stat().st_mtime if file.exists() else 0.0 for file in files)
