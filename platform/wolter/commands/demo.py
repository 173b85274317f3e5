"""`wolter demo`."""

import contextlib
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import requests
import tyro

from wolter import family as families
from wolter import task as tasks
from wolter.cluster import connected
from wolter.commands.evaluate import Evaluate
from wolter.errors import InputError
from wolter.home import home
from wolter.progress import bar
from wolter.registry.mlflow_store import promote
from wolter.serve import application, environment
from wolter.serve.config import ServeConfig
from wolter.task import Demonstration
from wolter.train.loop import Epoch, TrainConfig
from wolter.train.runner import train

FLAT = tyro.conf.arg(name="")  # options without a prefix


@dataclass(frozen=True)
class Demo:
    """Demonstration in minutes: simulate, train on Ray, evaluate, register, serve, and answer.

    Attributes:
        n: records to simulate.
        epochs: training epochs.
        steps: options of the wing's demonstration.
        port: port of the server; 0 takes a free one.
        keep: go on serving until interrupted; by default where the output is a terminal.
        folder: folder of the dataset and of the example files.
    """

    steps: Annotated[Demonstration, FLAT]
    n: int = 40_000
    epochs: int = 16
    port: int = 0
    keep: bool = field(default_factory=lambda: sys.stdout.isatty())
    folder: Path = field(default_factory=lambda: home() / "demo")

    def run(self) -> int:
        """Run every step, saying what each gives."""
        family = self.steps.family
        environment.prepare()
        with connected():
            print(f"1/5 simulating {self.n} {self.steps.title} into {self.folder}")
            with bar("simulating", self.n) as advance:
                data = self.steps.simulate(self.n, self.folder, advance)
            print(f"2/5 training {family} for {self.epochs} epochs with Ray Train")
            run_id = self._train(family, data)
            print("3/5 evaluating on the test split")
            options = tasks.load(families.load(family).task).EvaluateOptions()
            Evaluate((family,), data=data, version=run_id, options=options).run()
            version = promote(family, run_id)
            print(f"4/5 registered: {family} version {version} is the champion")
            url = application.start(ServeConfig(port=self.port))
            print(f"5/5 served at {url}; asking about one simulated record:")
            query, files = self.steps.request(self.folder)
            fields = " ".join(f"-F {name}=@{file}" for name, file in files.items())
            print(f"    curl {fields} '{url}{query}'")
            answer = _post(f"{url}{query}", files)
            self.steps.show(answer)
            print(f"{answer['model_name']} version {answer['model_version']}")
            print(f"page: {url}/docs")
            if self.keep:
                print("serving until interrupted (Ctrl-C)")
                _until_interrupted()
            application.stop()
        environment.tidy()
        return 0

    def _train(self, name: str, data: Path) -> str:
        family = families.load(name)
        shown = [metric for metric in family.metrics if metric.headline]
        with bar("training", self.epochs) as advance:

            def show(epoch: Epoch) -> None:
                advance(1)
                values = ", ".join(
                    f"{m.about or m.name} {epoch.validation[m.name]:.4g} {m.unit}".rstrip()
                    for m in shown
                    if m.name in epoch.validation
                )
                print(f"    epoch {epoch.number}: {values}")

            return train(name, data, train=TrainConfig(epochs=self.epochs), on_epoch=show).run_id


def command(_arguments: Sequence[str]) -> type[Demo]:
    """The command with the options of the demonstration that a wing has.

    Raises:
        InputError: none has any.
    """
    steps = None
    for name in tasks.names():
        with contextlib.suppress(InputError):  # another package's task that cannot be imported
            steps = steps or tasks.load(name).demonstration()
    if steps is None:
        raise InputError("no task has a demonstration; install the package anew")
    return make_dataclass(
        Demo.__name__,
        [("steps", Annotated[steps, FLAT], field(default_factory=steps))],
        bases=(Demo,),
        namespace={"__doc__": Demo.__doc__},
        frozen=True,
    )


def _post(url: str, files: dict[str, Path]) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        opened = {name: stack.enter_context(path.open("rb")) for name, path in files.items()}
        response = requests.post(url, files=opened, timeout=60)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def _until_interrupted() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
