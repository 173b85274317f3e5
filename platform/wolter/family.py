"""Model families: the contract, and discovery by name.

A family is one file `models/<name>.py` with a `FAMILY`, or an entry point of another package.
Training, tuning, evaluation, prediction and serving reach it through `load(name)` alone; workers
receive the name and the config as a dictionary, never a pickled class.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor, nn

from wolter import plugins
from wolter.errors import InputError
from wolter.outputs import Metric, Output

Ability = TypeVar("Ability")
GROUP = "wolter.families"


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
        name: the file's name in `models/`, or that of an entry point.
        task: task of the models, "KIND/WHAT": a name of `wolter.task`. The record kind is a name of
            `wolter.data.record_kinds`, whose spec and batches the functions take.
        config: frozen config dataclass, every field with a default.
        build: `(config, spec) -> nn.Module`.
        normalise: `(module, batch)`: sets the module's data-derived buffers from a sample of the
            training set, once, before training.
        loss: `(module, batch) -> (scalar, parts)`; parts are logged by name.
        predict: `(module, batch) -> {output name: tensor}`, first axis B.
        outputs: `(config, spec) -> outputs`: exactly what `predict` returns of such records.
        measure: `(module, batch) -> {name: scalar}` on held-out batches; what a batch cannot tell,
            as without labels, is left out.
        metrics: metrics of `measure` to compare models by, the most important one first.
        search_space: config key -> what a search may try.
        defaults: keys of `wolter.train.loop.TrainConfig` whose defaults are others for it.
        presets: configs by name, such as those of published networks.
        variants: words that tell apart its models of other questions than the main one's, such as
            "denoise"; each has a champion of its own (see `model_name`).
        variant: `(spec) -> word`, empty for the main question.
        needs_observed: it learns from observed records beside simulated ones.
        upgrade: a config of earlier releases -> one of this release, which stays as it is.
        settle: `(module, batches)`: sets what follows from the trained weights, such as standards
            of a score, from batches of the training set, once, after the last epoch; it may take
            some of them alone. None: nothing follows.
        abilities: further abilities, as typed values that wings define; see `ability`.
    """

    name: str
    task: str
    config: type[Any]
    build: Callable[[Any, Any], nn.Module]
    normalise: Callable[[nn.Module, Any], None]
    loss: Callable[[nn.Module, Any], tuple[Tensor, dict[str, Tensor]]]
    predict: Callable[[nn.Module, Any], dict[str, Tensor]]
    outputs: Callable[[Any, Any], tuple[Output, ...]]
    measure: Callable[[nn.Module, Any], dict[str, Tensor]]
    metrics: tuple[Metric, ...]
    search_space: Mapping[str, Choice | Range]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    variant: Callable[[Any], str] | None = None
    needs_observed: bool = False
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = lambda config: config
    settle: Callable[[nn.Module, Iterator[Any]], None] | None = None
    abilities: tuple[Any, ...] = ()

    @property
    def kind(self) -> str:
        """Name of the kind of record that it reads."""
        return self.task.partition("/")[0]

    def ability(self, kind: type[Ability]) -> Ability | None:
        """Look up an ability by its type; None where the family lacks it."""
        return next((each for each in self.abilities if isinstance(each, kind)), None)

    def model_name(self, spec: Any) -> str:
        """Registry name of the family's models for such records: FAMILY or FAMILY-VARIANT."""
        word = "" if self.variant is None else self.variant(spec)
        return f"{self.name}-{word}" if word else self.name

    @property
    def model_names(self) -> tuple[str, ...]:
        """All registry names of the family's models, the main one first."""
        return (self.name, *(f"{self.name}-{word}" for word in self.variants))


def names() -> tuple[str, ...]:
    """Names of all families: public modules of `wolter.models`, and entry points of others.

    Others' packages declare theirs in the entry-point group `wolter.families`.
    """
    return tuple(sorted({*_own(), *plugins.names(GROUP)}))


def load(name: str) -> Family:
    """Import one family, by its name or that of one of its models (`Family.model_name`).

    Raises:
        InputError: no family has this name, or it cannot be imported.
    """
    own = _own()
    known = own if name in own else names()  # other packages are searched for other names alone
    named = [each for each in known if name == each or name.startswith(f"{each}-")]
    if not named:
        raise InputError(f"unknown family {name!r}; choose one of: {', '.join(names())}")
    family = _import(max(named, key=len))
    if name not in family.model_names:
        raise InputError(f"unknown model {name!r}; choose one of: {', '.join(family.model_names)}")
    return family


def _own() -> tuple[str, ...]:
    package = importlib.import_module("wolter.models")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(name for name in found if not name.startswith("_"))


def _import(name: str) -> Family:
    if name not in _own():
        return plugins.load(GROUP, name, Family)
    family = importlib.import_module(f"wolter.models.{name}").FAMILY
    assert isinstance(family, Family)
    return family
