"""Demonstration of training and serving with simulated spectra of known parameters."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from rich.console import Console
from rich.table import Table

from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig
from wolter.task import Advance
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
class SpectraDemonstration:
    """See `wolter.task.Demonstration`.

    Attributes:
        instrument: name of the instrument, whose embedded response is used.
    """

    family: ClassVar[str] = "deepspectra"
    instrument: str = instruments.DEFAULT

    @property
    def title(self) -> str:
        """Description of the simulated records."""
        return f"{instruments.load(self.instrument).title} spectra of 25 ks"

    def simulate(self, n: int, folder: Path, advance: Advance) -> Path:
        """Simulate spectra of the instrument."""
        data = folder / f"spectra-{self.instrument}-{n}"
        simulate_dataset(SimulateConfig(instrument=self.instrument), n, data, on_shard=advance)
        return data

    def request(self, folder: Path) -> tuple[str, dict[str, Path]]:
        """Write one spectrum of known parameters and its background as PHA files."""
        generator = torch.Generator().manual_seed(7)
        instrument = instruments.load(self.instrument)
        response = instrument.response()
        model = components.parse(SimulateConfig.model).on(response.energy_edges_E1)
        rate_MC = instrument.draw_backgrounds(response, 1, generator)
        source, region = fakeit(response, model(TRUTH)[0], 25e3, generator, rate_MC[0], 0.25)
        assert region is not None
        pha, background = folder / "source.pha", folder / "background.pha"
        write_spectrum(background, region, "background", overwrite=True)
        named = dataclasses.replace(source, backfile=background.name, date=instrument.plain_date)
        write_spectrum(pha, named, overwrite=True)
        asked = f"family={self.family}&response=embedded&instrument={self.instrument}"
        query = f"/v1/spectra/parameters?{asked}"
        return query, {"pha": pha, "background": background}

    def show(self, answer: dict[str, Any]) -> None:
        """Print the estimates beside the true parameters."""
        table = Table("parameter", "true", "answer", "unit")
        for name, estimate in answer["spectra"][0]["parameters"].items():
            table.add_row(name, f"{TRUTH[name]:.4g}", f"{estimate['value']:.4g}", estimate["unit"])
        Console().print(table)
