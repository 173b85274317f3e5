"""`wolter demo`."""

import contextlib
import dataclasses
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import torch
from rich.console import Console
from rich.table import Table

from wolter.cluster import connected
from wolter.commands.evaluate import Evaluate
from wolter.home import home
from wolter.progress import bar
from wolter.registry.mlflow_store import promote
from wolter.serve import application
from wolter.serve.config import ServeConfig
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig
from wolter.train.loop import Epoch, TrainConfig
from wolter.train.runner import train
from wolter.xray.emission import components
from wolter.xray.instruments import instrument as instruments
from wolter.xray.spectral.fakeit import fakeit
from wolter.xray.spectral.observation import write_spectrum

TRUTH = {  # of the spectrum that is asked about
    "nh": 0.3,
    "slope": 1.8,
    "pow_norm": 1.5e-3,
    "line_energy": 6.4,
    "line_norm": 2.5e-5,
    "kt": 0.16,
    "bb_norm": 2.0e-5,
}


@dataclass(frozen=True)
class Demo:
    """The whole way in minutes: simulate, train on Ray, evaluate, register, serve, and answer.

    Attributes:
        n: spectra to simulate.
        epochs: of training.
        instrument: name of the instrument, whose embedded response is used.
        port: of the server; 0: any free one.
        keep: go on serving until interrupted; by default where the output is a terminal.
        folder: of the data set and the asked spectrum.
    """

    n: int = 40_000
    epochs: int = 16
    instrument: str = instruments.DEFAULT
    port: int = 0
    keep: bool = field(default_factory=sys.stdout.isatty)
    folder: Path = field(default_factory=lambda: home() / "demo")

    def run(self) -> int:
        """Run every step, saying what each gives."""
        title = instruments.load(self.instrument).title
        data = self.folder / f"spectra-{self.instrument}-{self.n}"
        with connected():
            print(f"1/5 simulating {self.n} {title} spectra of 25 ks into {data}")
            with bar("simulating", self.n) as advance:
                config = SimulateConfig(instrument=self.instrument)
                simulate_dataset(config, self.n, data, on_shard=advance)
            print(f"2/5 training deepspectra for {self.epochs} epochs with Ray Train")
            run_id = self._train(data)
            print("3/5 evaluating on the test split, beside the published figures")
            Evaluate(data=data, version=run_id).run()
            version = promote("deepspectra", run_id)
            print(f"4/5 registered: deepspectra version {version} is the champion")
            url = application.start(ServeConfig(port=self.port))
            print(f"5/5 served at {url}; asking about one simulated spectrum:")
            pha, background = self._fake_spectrum()
            embedded = f"response=embedded&instrument={self.instrument}"
            query = f"{url}/v1/spectra/parameters?{embedded}"
            print(f"    curl -F pha=@{pha} -F background=@{background} '{query}'")
            _show(_post(query, {"pha": pha, "background": background}))
            print(f"page: {url}/docs")
            if self.keep:
                print("serving until interrupted (Ctrl-C)")
                _until_interrupted()
            application.stop()
        return 0

    def _train(self, data: Path) -> str:
        with bar("training", self.epochs) as advance:

            def show(epoch: Epoch) -> None:
                advance(1)
                print(f"    epoch {epoch.number}: mean MFE {epoch.validation['mfe_percent']:.1f} %")

            config = TrainConfig(epochs=self.epochs)
            return train("deepspectra", data, train=config, on_epoch=show).run_id

    def _fake_spectrum(self) -> tuple[Path, Path]:
        """Write one spectrum of known parameters and its background as PHA files."""
        generator = torch.Generator().manual_seed(7)
        instrument = instruments.load(self.instrument)
        response = instrument.response()
        model = components.parse(SimulateConfig.model).on(response.energy_edges_E1)
        rate_MC = instrument.draw_backgrounds(response, 1, generator)
        source, region = fakeit(response, model(TRUTH)[0], 25e3, generator, rate_MC[0], 0.25)
        assert region is not None
        pha, background = self.folder / "source.pha", self.folder / "background.pha"
        write_spectrum(background, region, "background", overwrite=True)
        named = dataclasses.replace(source, backfile=background.name, date=instrument.plain_date)
        write_spectrum(pha, named, overwrite=True)
        return pha, background


def _post(url: str, files: dict[str, Path]) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        opened = {name: stack.enter_context(path.open("rb")) for name, path in files.items()}
        response = requests.post(url, files=opened, timeout=60)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def _show(answer: dict[str, Any]) -> None:
    """Print the answer beside the truth."""
    table = Table("parameter", "true", "answer", "unit")
    for name, estimate in answer["spectra"][0]["parameters"].items():
        table.add_row(name, f"{TRUTH[name]:.4g}", f"{estimate['value']:.4g}", estimate["unit"])
    Console().print(table)
    print(f"{answer['model_name']} version {answer['model_version']}")


def _until_interrupted() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


COMMAND = Demo
