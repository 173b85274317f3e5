"""The models that a replica answers from."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wolter import family as families
from wolter.errors import InputError
from wolter.registry.checkpoint import Model, fingerprint, load_model
from wolter.registry.mlflow_client import shown_uri
from wolter.serve.config import ServeConfig
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.model_check import ModelCheck, check_model
from wolter.spectra.predict import estimate
from wolter.spectra.schema import SpectraBatch, SpectraSpec

Estimates = dict[str, NDArray[np.float32]]
Join = Callable[
    [Callable[[list[SpectraBatch]], Awaitable[list[Estimates]]]],
    Callable[[SpectraBatch], Awaitable[Estimates]],
]
PIECE = 256  # spectra a forward pass; a request of more is answered between those of others
DEFAULT_FAMILIES = ("posterior", "deepspectra")  # the one with intervals, where it is served
SERVED = ("spectra", "images")  # kinds of records


@dataclass(frozen=True)
class ServedRef:
    """A model to serve: name, checkpoint folder and version (empty for its fingerprint).

    `problem` tells why there is no such folder: then requests for this model alone are refused.
    """

    name: str
    folder: str
    version: str = ""
    problem: str = ""

    @property
    def kind(self) -> str:
        """Kind of the records that it reads."""
        return families.load(self.name).kind


def choose(config: ServeConfig) -> tuple[ServedRef, ...]:
    """The models to serve: those of the config, or all champions, pretrained weights among them.

    Raises:
        InputError: a family is unknown, a folder is not its checkpoint, or there is no champion.
    """
    if not config.models:
        return _champions()
    chosen = tuple(
        ServedRef(name, str(Path(folder).absolute())) for name, folder in config.models.items()
    )
    for each in chosen:
        wanted = families.load(each.name)
        model = load_model(Path(each.folder))
        found = model.family.model_name(model.card.spec)
        if wanted.kind not in SERVED:
            raise InputError(f"{each.name}: answers no requests; serve {' or '.join(SERVED)}")
        if found != each.name:
            raise InputError(f"{each.folder}: holds a model of {found}, not of {each.name}")
    return chosen


def _champions() -> tuple[ServedRef, ...]:
    from wolter.registry import mlflow_store, pretrained

    found = []
    every = [families.load(name) for name in families.names()]
    for name in (name for each in every if each.kind in SERVED for name in each.model_names):
        if mlflow_store.has_champion(name) or name in pretrained.names():
            try:
                folder, version = pretrained.find(name, mlflow_store.CHAMPION)
            except InputError as error:
                found.append(ServedRef(name, "", problem=str(error)))
            else:
                found.append(ServedRef(name, str(folder.absolute()), version))
    if not found:
        raise InputError(
            f"no family has a champion in {shown_uri()}; train one with `wolter "
            "train`, then `wolter promote` it"
        )
    return tuple(found)


class ServedModel:
    """A model that answers requests; given `join`, concurrent ones in one forward pass.

    Args:
        model: loaded.
        version: empty for its fingerprint.
        join: makes an async function of a list one of a single item (`ray.serve.batch(...)`).
    """

    def __init__(self, model: Model, version: str = "", join: Join | None = None) -> None:
        self.model = model
        self.version = version or fingerprint(model)
        self._checkers = ThreadPoolExecutor(1)  # each uses all cores
        self._estimate = self._alone if join is None else join(self._together)

    @property
    def spec(self) -> SpectraSpec:
        """The spectra that the model reads."""
        spec: SpectraSpec = self.model.card.spec
        return spec

    async def estimate(self, batch: SpectraBatch) -> Estimates:
        """What the family predicts of a batch (see `wolter.spectra.predict.estimate`)."""
        return await self._estimate(batch)

    async def check_model(self, gridded: GriddedObservation, refined: bool) -> ModelCheck:
        """Check the answer against its spectrum, one at a time (`wolter.spectra.model_check`).

        Raises:
            InputError: there is none; the response or the counts make no sense.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._checkers, self._check_model, gridded, refined)

    async def refine_within(
        self, gridded: Mapping[int, GriddedObservation], seconds: float
    ) -> dict[int, ModelCheck]:
        """Exact posteriors by index, in their order, of as many spectra as the time suffices for.

        Raises:
            InputError: see `check_model`.
        """
        found: dict[int, ModelCheck] = {}
        if seconds <= 0:
            return found
        try:
            async with asyncio.timeout(seconds):
                for i, each in gridded.items():
                    found[i] = await self.check_model(each, refined=True)
        except TimeoutError:
            logging.getLogger(__name__).info(
                "%d of %d spectra refined in %g s", len(found), len(gridded), seconds
            )
        return found

    def _check_model(self, gridded: GriddedObservation, refined: bool) -> ModelCheck:
        try:
            return check_model(self.model, gridded, refined)
        except InputError:
            raise
        except (ValueError, RuntimeError, ArithmeticError) as error:
            name = gridded.record.name
            # The model answers plain spectra: see `wolter.serve.health`.
            logging.getLogger(__name__).exception("%s cannot be checked", name)
            raise InputError(
                f"{name}: no likelihood of it ({type(error).__name__}); check its response"
            ) from error

    def check(self) -> str:
        """Why the model gives no finite parameters of a plain spectrum; empty where it does."""
        flat_BC, one_B = torch.ones(1, self.spec.n_channels), torch.ones(1)
        exposure_B = one_B * (self.spec.exposure_s or (1e4,))[0]
        values = estimate(self.model, SpectraBatch(flat_BC, flat_BC, one_B, exposure_B))
        bad = [name for name in self.spec.names if not np.isfinite(values[name]).all()]
        return f"no finite {bad[0]} of a plain spectrum" if bad else ""

    async def _alone(self, batch: SpectraBatch) -> Estimates:
        return (await self._together([batch]))[0]

    async def _together(self, batches: list[SpectraBatch]) -> list[Estimates]:
        joined = SpectraBatch.concatenate(batches)
        # In a thread: requests that arrive meanwhile make up the next batch.
        values = await asyncio.to_thread(self._in_pieces, joined)
        ends = np.cumsum([len(batch) for batch in batches])[:-1]
        pieces = {name: np.split(value, ends) for name, value in values.items()}
        return [{name: pieces[name][i] for name in values} for i in range(len(batches))]

    def _in_pieces(self, batch: SpectraBatch) -> Estimates:
        parts = [estimate(self.model, piece) for piece in batch.split(PIECE)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
