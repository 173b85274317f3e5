"""Published runs: datasets to simulate, steps of training, and what is made of the result.

A recipe is a function that returns a `Recipe` with every value that differs from a default. Run
again, it goes on where it stopped: shards that are there and verified are kept, and steps that are
done are not repeated.
"""

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wolter import config as configs
from wolter import family as families
from wolter.cli import main
from wolter.files import make_folder, write_atomically
from wolter.home import home
from wolter.images.simulate import simulate_image_dataset
from wolter.images.simulator import ImageSimulateConfig
from wolter.registry.mlflow_store import promote
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.write import population_dataset
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig
from wolter.train.loop import Epoch, TrainConfig, default_config
from wolter.train.runner import train


@dataclass(frozen=True)
class Dataset:
    """A simulated dataset.

    Attributes:
        name: of its folder in `$WOLTER_HOME/datasets`.
        config: what to simulate.
        n: spectra, sources, or fields of images.
        seed: of all draws.
    """

    name: str
    config: SimulateConfig | ImageSimulateConfig | PopulationConfig
    n: int
    seed: int

    @property
    def folder(self) -> Path:
        """Folder of the dataset."""
        return home() / "datasets" / self.name

    def simulate(self) -> Path:
        """Simulate what is missing of it; return its folder."""
        print(f"simulating {self.n} of {self.name}", flush=True)
        if isinstance(self.config, SimulateConfig):
            simulate_dataset(self.config, self.n, self.folder, self.seed)
        elif isinstance(self.config, PopulationConfig):
            population_dataset(self.config, self.n, self.folder, self.seed)
        else:
            simulate_image_dataset(self.config, self.n, self.folder, self.seed)
        return self.folder


@dataclass(frozen=True)
class Step:
    """One training run.

    Attributes:
        dataset: to train on.
        train: how to train.
        model: keys of the family's config that differ from its defaults; those of the first step
            hold for all.
    """

    dataset: Dataset
    train: TrainConfig
    model: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """Recipe of one published model.

    Attributes:
        name: of the recipe, under which it goes on.
        family: name of the family.
        steps: training runs, each from the weights of the one before.
    """

    name: str
    family: str
    steps: tuple[Step, ...]

    def make(self) -> str:
        """Train what is not trained yet; make the last run the champion, and return its model."""
        found: dict[str, Any] = {}
        for number, step in enumerate(self.steps):
            found = self._run(number, step, found.get("checkpoint"))
        promote(found["model"], found["run_id"])
        print(f"{found['model']}: run {found['run_id']} is the champion", flush=True)
        return str(found["model"])

    def _run(self, number: int, step: Step, start: str | None) -> dict[str, Any]:
        """Run, model and checkpoint of a step, from the file that notes it or from training."""
        note, told = home() / "recipes" / self.name / f"{number}.json", configs.to_dict(step)
        if note.is_file():
            found: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
            if found["step"] == told and Path(found["checkpoint"]).is_dir():
                return found
        folder = step.dataset.simulate()

        def show(epoch: Epoch) -> None:
            values = {"loss": epoch.train["loss"], **epoch.validation}
            text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            print(f"{self.name} {number}  epoch {epoch.number}  {text}", flush=True)

        result = train(
            self.family,
            folder,
            config=step.model,
            train=step.train,
            start=None if start is None else Path(start),
            on_epoch=show,
        )
        found = {
            "step": told,
            "run_id": result.run_id,
            "model": result.model_name,
            "checkpoint": str(result.checkpoint),
        }
        make_folder(note.parent)
        write_atomically(note, f"{json.dumps(found, indent=2)}\n".encode())
        return found


def how(family: str, **changes: Any) -> TrainConfig:
    """Training settings: the family's defaults, with changes."""
    return replace(default_config(families.load(family)), **changes)


def command(*words: Any) -> None:
    """Run a command of wolter.

    Raises:
        SystemExit: it failed.
    """
    if code := main([str(word) for word in words]):
        raise SystemExit(code)


def observed_response() -> dict[str, Any]:
    """Response and background of NGC 7793 ULX-4 (EPIC-pn), as fields of `SimulateConfig`."""
    data = Path(os.environ.get("WOLTER_REFERENCE_DATA", "../shared/data"))
    folder = data / "xmm" / "ngc7793_ulx4"
    return {
        "rmf": str(folder / "PN.rmf"),
        "arf": str(folder / "PN.arf"),
        "backgrounds": (str(folder / "PNbackground_spectrum.fits"),),
        "source_backscal": 2_010_100.0,
    }


def standard() -> Dataset:
    """The standard test set: 200,000 spectra of 25 ks through one observed response."""
    return Dataset("standard", SimulateConfig(**observed_response()), n=200_000, seed=1)
