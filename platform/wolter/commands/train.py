"""`wolter train`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
import tyro

from wolter import config as configs
from wolter import family as families
from wolter import task as tasks
from wolter.commands.family_options import named_family, preset_of, value_of
from wolter.data.shards import open_dataset
from wolter.family import Family
from wolter.progress import bar
from wolter.registry import pretrained
from wolter.registry.mlflow_client import shown_uri
from wolter.registry.mlflow_store import promote
from wolter.train.loop import Epoch, TrainConfig, default_config
from wolter.train.runner import ScaleConfig, train

Command = TypeVar("Command")


@dataclass(frozen=True)
class Train:
    """Train a model family on a dataset with Ray Train, tracked in MLflow; prints the run id.

    Attributes:
        family: name of the family.
        model: config of the family.
        data: folder of the dataset; without it the default one of the records that the family
            reads, simulated first if missing.
        preset: a named config of the family to start from, such as that of a published network.
        start: initial weights, with their config and normalisation: pretrained, champion, a run id
            or version of the model, or a checkpoint folder; empty starts from random weights.
        observed: folder of a dataset of observed records to mix into every batch; its labels are
            used where `wolter label` gave them.
        train: epochs, batches, learning rate.
        scale: workers and GPUs.
        experiment: MLflow experiment.
        promote: make the run the champion of its family when it ends.
    """

    family: tyro.conf.Positional[str]
    model: Any = None
    data: Path | None = None
    preset: str = ""
    start: Annotated[str, tyro.conf.arg(name="from")] = ""
    observed: Path | None = None
    train: TrainConfig = field(default_factory=TrainConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    experiment: str = ""
    promote: bool = False

    def _config(self) -> dict[str, Any]:
        """Config values that differ from the family's defaults: they override initial weights."""
        given, usual = (configs.to_dict(each) for each in (self.model, type(self.model)()))
        return {key: value for key, value in given.items() if value != usual[key]}

    def _device(self) -> str:
        """Expected device of the workers."""
        if os.environ.get("RAY_ADDRESS", "local") != "local":
            return "as the cluster has it"
        enough = torch.cuda.device_count() >= self.scale.workers
        return "cuda" if enough and self.scale.use_gpu != "no" else "cpu"

    def run(self) -> int:
        """Train, register, and promote if asked to."""
        family = families.load(self.family)
        data = self.data or tasks.load(family.task).default_data()
        dataset = open_dataset(data)
        name = family.model_name(dataset.spec)
        print(
            f"training {name} on {dataset.path}: {dataset.manifest.rows} records, "
            f"workers {self.scale.workers}, device {self._device()}, MLflow at {shown_uri()}"
        )
        start = pretrained.locate(name, self.start) if self.start else None
        metrics = families.load(self.family).metrics
        shown = ("loss", *(metric.name for metric in metrics if metric.headline))
        with bar(f"training {self.family}", self.train.epochs) as advance:
            done = 0.0

            def step(now: float) -> None:
                nonlocal done
                advance(max(0.0, now - done))  # what was written first may be read last
                done = max(done, now)

            def show(epoch: Epoch) -> None:
                step(float(epoch.number))
                values = {**epoch.train, **epoch.validation}
                text = "  ".join(f"{k} {values[k]:.4g}" for k in shown if k in values)
                rate = epoch.rows / epoch.seconds
                print(f"epoch {epoch.number}/{self.train.epochs}  {text}  {rate:.0f} samples/s")

            result = train(
                self.family,
                data,
                config=self._config(),
                train=self.train,
                scale=self.scale,
                start=start,
                observed=self.observed,
                experiment=self.experiment,
                on_epoch=show,
                on_step=step,
                on_start=lambda run: print(f"run {run}"),
            )
        print(f"run {result.run_id}  {result.model_name} version {result.model_version}")
        if self.promote:
            promote(result.model_name, result.run_id)
            print(f"{result.model_name} version {result.model_version} is the champion")
        return 0


def command(arguments: Sequence[str]) -> type[Train]:
    """The command with the options of the family that the arguments name.

    Raises:
        InputError: there is no such family or preset.
    """
    return with_family(Train, arguments, default_config)


def with_family(
    base: type[Command], arguments: Sequence[str], usual: Callable[[Family], TrainConfig]
) -> type[Command]:
    """A command with the config of the family that its arguments name, and how it is trained.

    Args:
        base: the command, which reads `model` and `train`.
        arguments: arguments of the command line.
        usual: how a family is trained unless told otherwise.

    Raises:
        InputError: there is no such family or preset.
    """
    family = named_family(arguments)
    if family is None:
        return base
    config = partial(preset_of, family, value_of(arguments, "--preset"))
    return make_dataclass(
        base.__name__,
        [
            ("model", family.config, field(default_factory=config)),
            ("train", TrainConfig, field(default_factory=partial(usual, family))),
            ("experiment", str, field(default=family.kind)),
        ],
        bases=(base,),
        namespace={"__doc__": base.__doc__},
        frozen=True,
    )
