"""All that a replica answers from: its models, how they are, and what reads uploads."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.serve.config import ServeConfig
from wolter.serve.health import Watch
from wolter.serve.images import ServedImages
from wolter.serve.models import DEFAULT_FAMILIES, Join, ServedModel, ServedRef
from wolter.serve.requests import UploadReader

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """What a replica answers from.

    Attributes:
        config: limits.
        models: of spectra, by name.
        images: models of images, by name.
        uploads: what reads files.
        watch: which of the models answer.
    """

    config: ServeConfig
    models: dict[str, ServedModel]
    images: dict[str, ServedImages]
    uploads: UploadReader
    watch: Watch
    _lone: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), repr=False)

    @classmethod
    def load(
        cls, chosen: Sequence[ServedRef], config: ServeConfig, join: Join | None = None
    ) -> "Service":
        """Load models; one that cannot be loaded leaves the others to answer.

        Args:
            chosen: the models.
            config: limits.
            join: see `wolter.serve.models.ServedModel`.
        """
        models: dict[str, ServedModel] = {}
        images: dict[str, ServedImages] = {}
        unloaded = {}
        for each in chosen:
            try:
                if each.problem:
                    raise InputError(each.problem)
                model = load_model(Path(each.folder))
                if each.kind == "spectra":
                    models[each.name] = ServedModel(model, each.version, join)
                else:
                    images[each.name] = ServedImages(model, each.version)
            except Exception as error:
                logging.getLogger(__name__).exception("%s version %s", each.name, each.version)
                unloaded[each.name] = _reason(error)
        watch = Watch({**models, **images}, unloaded)
        return cls(config, models, images, UploadReader(config), watch)

    def start(self) -> None:
        """Check the models, and start what reads uploads."""
        self.uploads.pool.start()
        self.watch.start()

    def stop(self) -> None:
        """End the threads and processes."""
        self.watch.stop()
        self.uploads.pool.stop()

    async def alone(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do bulky work in a thread, one request's at a time: it fills memory, not the cores."""
        return await asyncio.get_running_loop().run_in_executor(self._lone, work, *arguments)

    @property
    def default(self) -> str:
        """The family that answers for spectra where none is asked for."""
        known = {**self.models, **self.watch.problems}
        chosen = next((name for name in DEFAULT_FAMILIES if name in known), None)
        return chosen or next(iter(self.models), "")

    def spectra(self, family: str | None) -> ServedModel:
        """The model of a family, or the default one.

        Raises:
            InputError: no such model is served.
            UnavailableError: it does not answer now.
        """
        name = family or self.default
        self.watch.require(name)
        if name not in self.models:
            raise InputError(
                f"family: {name[:50]!r} is not served; choose one of "
                f"{', '.join(self.models) or '(none)'}"
            )
        return self.models[name]

    def enhancer(self, name: str) -> ServedImages:
        """A model of images; see `spectra`."""
        self.watch.require(name)
        if name not in self.images:
            raise InputError(
                f"task: no {name} is served; choose one of {', '.join(self.images) or '(none)'}"
            )
        return self.images[name]


def _reason(error: Exception) -> str:
    """Why a model cannot be loaded, without the folders of this machine."""
    if isinstance(error, InputError):
        first, _, rest = str(error).partition(": ")
        return rest if "/" in first and rest else str(error)
    return type(error).__name__
