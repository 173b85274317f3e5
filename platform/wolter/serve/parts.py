"""The applications of the server: one table, so that each starts, scales and fails on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wolter.catalogue import release
from wolter.serve import keys
from wolter.serve.budgets import Budgets
from wolter.serve.config import ServeConfig
from wolter.serve.front import FrontConfig
from wolter.serve.jobs import store as jobs
from wolter.serve.models import ServedRef, application
from wolter.serve.tap.config import TapConfig

PAGE = "page"
LOOKED_UP = 0.02  # price of a look-up: programs send thousands of them
_HERE = "wolter.serve"


@dataclass(frozen=True)
class Part:
    """An application of the server.

    Attributes:
        name: of the application.
        prefix: of its paths; the longest one that fits a path has it.
        waits: why its paths are not answered yet, while it starts.
        builder: "module:function" that makes a FastAPI application; empty where models answer.
        arguments: of the builder; plain values.
        task: of the models that answer; empty where a builder makes the application.
        replicas: processes.
        price: units of a client's budget that a request costs.
    """

    name: str
    prefix: str
    waits: str
    builder: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""
    replicas: int = 1
    price: float = 1.0

    def front(self, config: ServeConfig) -> FrontConfig:
        """Settings of what stands before the application."""
        budgets = Budgets(str(keys.database()), config.anonymous, config.keys_only)
        log = str(Path(config.access_log).absolute()) if config.access_log else ""
        return FrontConfig(budgets, self.price, config.cors, log)


def _built(config: ServeConfig) -> tuple[Part, ...]:
    """The applications that need no model."""
    root = {"root": release.folder()}
    asked = {"config": TapConfig(authority=config.authority)}
    opens = "the catalogue opens"
    rest, cone, tap = "catalogue.app:build_app", "catalogue.scs:build_cone_app", "tap.app:build_app"
    found = (
        Part("catalogue", "/v1/catalogue", opens, f"{_HERE}.{rest}", root, price=LOOKED_UP),
        Part("cone", "/scs", opens, f"{_HERE}.{cone}", root, price=LOOKED_UP),
        Part("adql", "/tap", opens, f"{_HERE}.{tap}", root | asked),
    )
    return tuple(replace(part, replicas=config.replicas) for part in found)


def parts(config: ServeConfig, chosen: Sequence[ServedRef]) -> tuple[Part, ...]:
    """The applications that a server runs beside the page.

    Args:
        config: of the server.
        chosen: the models that it answers with.
    """
    tasks = sorted({each.task for each in chosen if each.task})
    of_models = (
        Part(
            application(task),
            f"/v1/{task}",
            "its models are loaded",
            task=task,
            replicas=config.replicas,
        )
        for task in tasks
    )
    built = (part for part in _built(config) if config.serves(part.name))
    asked = (part for part in built if _installed(part))
    return (*of_models, *asked, *_of_jobs(tasks, config.replicas))


def makes_jobs(task: str) -> bool:
    """True if some requests to models of a task become jobs."""
    from wolter.serve.service import serving_of

    return serving_of(task).long


def _of_jobs(tasks: Sequence[str], replicas: int) -> tuple[Part, ...]:
    if not any(makes_jobs(task) for task in tasks):
        return ()
    arguments = {"folder": str(jobs.folder())}
    builder, opens = f"{_HERE}.jobs.app:build_app", "the store of the jobs opens"
    return (Part("jobs", jobs.PREFIX, opens, builder, arguments, "", replicas, LOOKED_UP),)


def page(others: Sequence[Part], config: ServeConfig) -> Part:
    """The application of all other paths."""
    waiting = {part.prefix: part.waits for part in others}
    arguments = {
        "waiting": waiting,
        "root": release.folder(),
        "authority": config.authority,
        "publisher": config.publisher,
    }
    builder = "wolter.serve.page:page_of_board"
    return Part(PAGE, "/", "", builder, arguments, replicas=config.replicas, price=LOOKED_UP)


def _installed(part: Part) -> bool:
    module = part.builder.partition(":")[0]
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
