"""The contract of a model family, and how the platform finds one by name.

A family is one file `models/<name>.py` with a `FAMILY`. Training, tuning, evaluation, prediction
and serving reach it through `load(name)` alone; workers receive the name and the config as a
dictionary, never a pickled class.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from wolter.errors import InputError
from wolter.spectra.schema import SpectraBatch


@dataclass(frozen=True)
class Choice:
    """A search over listed values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A search between two numbers; `log` spaces it by factors."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Attributes:
        name: the file's name in `models/`.
        kind: the record kind it reads: a key of `wolter.data.record_kinds.RECORDS`, whose spec and
            batches the functions take.
        config: its frozen config dataclass, every field with a default.
        build: `(config, spec) -> nn.Module`.
        normalise: `(module, batch)`: sets the module's data-derived buffers from a sample of the
            training set, once, before training.
        loss: `(module, batch) -> (scalar, parts)`; parts are logged by name.
        metrics: `(module, batch) -> {name: scalar}` on held-out batches.
        predict: `(module, batch) -> {name: tensor}`, first axis B. Spectra families return every
            parameter by its name (the RMSE-optimal estimate) and `<name>_mfe` (the MFE-optimal
            one), and `anomaly`, how unlike the training spectra a spectrum is, in sigmas (NaN
            where that was not learnt); a decomposing family adds `components` (B, K, C). A family
            of posteriors adds the limits of `wolter.xray.stats.summary.summarise`, `samples` (B, S,
            P) and their `log_density` (B, S) in normal quantiles of the prior
            (`wolter.xray.stats.sampling.UniformPrior`).
        search_space: config key -> what a search may try.
        translate: `(module, batch) -> batch`: observed spectra as the simulated domain has them,
            for other families to read. Only translators have it: they learn from observed spectra
            beside simulated ones, and their `predict` translates first.
        training: keys of `wolter.train.loop.TrainConfig` whose defaults are others for it.
        presets: configs by name, such as those of published networks.
        reach: `(module) -> pixels`: how far from a pixel of the input the answer for it still
            depends on others. Families of images that can work in tiles have it.
        variants: words that tell apart its models of other questions than the main one's, such as
            "denoise"; each has a champion of its own (see `model_name`).
        variant: `(spec) -> word`, empty for the main question.
    """

    name: str
    kind: str
    config: type[Any]
    build: Callable[[Any, Any], nn.Module]
    normalise: Callable[[nn.Module, Any], None]
    loss: Callable[[nn.Module, Any], tuple[Tensor, dict[str, Tensor]]]
    metrics: Callable[[nn.Module, Any], dict[str, Tensor]]
    predict: Callable[[nn.Module, Any], dict[str, Tensor]]
    search_space: Mapping[str, Choice | Range]
    translate: Callable[[nn.Module, SpectraBatch], SpectraBatch] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Any] = field(default_factory=dict)
    reach: Callable[[nn.Module], int] | None = None
    variants: tuple[str, ...] = ()
    variant: Callable[[Any], str] | None = None

    def model_name(self, spec: Any) -> str:
        """Name of its models for such records: the family's, or FAMILY-VARIANT."""
        word = "" if self.variant is None else self.variant(spec)
        return f"{self.name}-{word}" if word else self.name

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names that its models may have, the main one first."""
        return (self.name, *(f"{self.name}-{word}" for word in self.variants))


def names() -> tuple[str, ...]:
    """Names of all families: the public modules of `wolter.models`."""
    package = importlib.import_module("wolter.models")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def load(name: str) -> Family:
    """Import one family, by its name or that of one of its models (`Family.model_name`).

    Raises:
        InputError: no family has this name.
    """
    own = name.partition("-")[0]
    if own not in names():
        raise InputError(f"unknown family {name!r}; choose one of: {', '.join(names())}")
    family = importlib.import_module(f"wolter.models.{own}").FAMILY
    assert isinstance(family, Family)
    if name not in family.model_names:
        raise InputError(f"unknown model {name!r}; choose one of: {', '.join(family.model_names)}")
    return family


@torch.inference_mode()
def translated(family: Family, module: nn.Module, batch: SpectraBatch) -> SpectraBatch:
    """Observed spectra as a translator carries them to the simulated domain, on their device.

    Raises:
        InputError: the family does not translate.
    """
    if family.translate is None:
        raise InputError(f"{family.name} does not translate spectra; choose a translator")
    device = next(module.parameters()).device
    return family.translate(module.eval(), batch.to(device)).to(batch.counts_BC.device)
