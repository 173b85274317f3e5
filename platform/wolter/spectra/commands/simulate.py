"""`wolter simulate spectra`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from wolter.errors import InputError
from wolter.home import default_dataset
from wolter.options import numbers
from wolter.progress import bar
from wolter.spectra.augment import Augmentation
from wolter.spectra.grid import energy_grid
from wolter.spectra.priors import PriorOption, free_and_fixed
from wolter.spectra.response_variation import ResponseVariation
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import REFERENCE_PRIOR, SimulateConfig
from wolter.xray.instruments.instrument import load

CHANNELS = 256  # of the default grid


@dataclass(frozen=True)
class SimulateSpectra:
    """Simulate spectra into a shard dataset, with Ray Data.

    Source and background are drawn with Poisson statistics from the priors. Without files the
    embedded response of the instrument and realistic backgrounds are used.

    Attributes:
        n: number of spectra.
        out: folder of the dataset; finished shards of an interrupted run are kept.
        seed: seed of all draws.
        exposure: exposure in seconds, or LOW,HIGH for a log-uniform range.
        instrument: epic_pn, acis_s, acis_i or another that `wolter.xray.instruments` knows.
        rmf: redistribution matrix (RMF) of the instrument.
        arf: effective area (ARF) that goes with the RMF.
        background: observed background spectra (PHA).
        backscal: BACKSCAL of the source region, for observed backgrounds; 0: the background's own.
        filter: filter of the embedded response: thin, medium or thick of EPIC-pn; the year of the
            contamination of ACIS; empty for the instrument's first.
        model: emission model in XSPEC's names, e.g. "tbabs * (powerlaw + diskbb)".
        prior: NAME LOW HIGH [log|uniform|normal] of each free parameter of the model, given again
            for each; log is log-uniform, normal has LOW and HIGH 3 standard deviations from its
            mean. Models that have all parameters of the default one keep its uniform ranges.
        band: LOW,HIGH in keV of the energy grid; empty for the instrument's, 0.3-10 keV of EPIC and
            0.5-8 of ACIS, on the channels of the pretrained models.
        channels: channels of the energy grid; 0 for 256.
        components: store the noise-free components (DeepSpectra and fresh noise need them).
        variety: variation of effective area and background between the spectra.
        fixed: NAME VALUE of a parameter of the model that is not drawn, given again for each; a
            name that comes twice in a model is NAME_2 the second time.
        gain: slope and offset (eV) of the energy scale, for a miscalibrated detector: counts of
            nominal energy E are recorded at slope (E + offset).
        background_factor: factor on the rates of the backgrounds.
        augment: random deviations of each spectrum, which records do not store.
        workers: processes, one core each; 0: one for every core.
    """

    n: int = 20_000
    out: Path = field(default_factory=lambda: default_dataset("spectra"))
    seed: int = 0
    exposure: str = "25000"
    instrument: str = SimulateConfig.instrument
    rmf: str | None = None
    arf: str | None = None
    background: tuple[str, ...] = ()
    backscal: float = 0.0
    filter: str = ""
    model: str = SimulateConfig.model
    prior: Annotated[tuple[PriorOption, ...], tyro.conf.UseAppendAction] = ()
    band: str = ""
    channels: int = 0
    components: bool = True
    variety: ResponseVariation = field(default_factory=ResponseVariation)
    fixed: Annotated[tuple[tuple[str, float], ...], tyro.conf.UseAppendAction] = ()
    gain: tuple[float, float] = SimulateConfig.gain
    background_factor: float = SimulateConfig.background_factor
    augment: Augmentation = field(default_factory=Augmentation)
    workers: int = 0

    def config(self) -> SimulateConfig:
        """Configuration of a simulation."""
        prior, fixed = free_and_fixed(self.model, self.prior, self.fixed, REFERENCE_PRIOR)
        return SimulateConfig(
            model=self.model,
            prior=prior,
            energy_edges=self._grid(),
            exposure_s=numbers("exposure", self.exposure, "25000 or 5000,100000"),
            instrument=self.instrument,
            rmf=self.rmf,
            arf=self.arf,
            filter=self.filter,
            backgrounds=self.background,
            source_backscal=self.backscal,
            components=self.components,
            variety=self.variety,
            fixed=fixed,
            gain=self.gain,
            background_factor=self.background_factor,
            augment=self.augment,
        )

    def _grid(self) -> tuple[float, ...]:
        if not self.band and not self.channels:
            return ()
        low, high = load(self.instrument).band_kev
        if self.band:
            low, high = numbers("band", self.band, "0.5,8")
        if not 0 < low < high or self.channels < 0:
            raise InputError(
                f"--band {self.band} --channels {self.channels}: give 0 < LOW < HIGH, in keV"
            )
        return energy_grid(low, high, self.channels or CHANNELS)

    def run(self) -> int:
        """Simulate, and say what was written."""
        with bar("simulating", self.n) as advance:
            dataset = simulate_dataset(
                self.config(), self.n, self.out, self.seed, self.workers or None, advance
            )
        print(f"{dataset.manifest.rows} spectra in {len(dataset.files)} shards: {dataset.path}")
        return 0


COMMAND = SimulateSpectra
