"""`wolter simulate population`."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from wolter.data.shards import REJECTS
from wolter.home import default_dataset
from wolter.progress import bar
from wolter.spectra.population.config import PopulationConfig, Thermal
from wolter.spectra.population.observing import ObservingConfig
from wolter.spectra.population.write import SemiReal, population_dataset


@dataclass(frozen=True)
class SimulatePopulation:
    """Simulate a population of Chandra sources of eight classes into a shard dataset.

    AGN, YSO, LM-STAR, HM-STAR, HMXB, LMXB, NS and CV, each with the models and priors of
    `wolter.spectra.population.classes`, are seen by ACIS-S and ACIS-I in several years and off
    axis. Records hold counts, background, response, class, physical labels and catalogue features.
    Pile-up and redshifts are left out.

    Attributes:
        n: number of sources.
        out: folder of the dataset; finished shards of an interrupted run are kept.
        seed: seed of all draws.
        mix: shares of the classes: catalogue, as among labelled Chandra sources; equal; or
            CLASS=SHARE,... such as AGN=2,CV=1.
        thermal: what stars, YSOs and CVs emit: plasma, which needs the extra `plasma`, or
            bremsstrahlung with the strongest lines.
        counts: range of the expected counts of a source.
        counts_slope: slope of their cumulative distribution, N(> counts) ~ counts^-slope.
        significance: least signal-to-noise ratio of a record; a source below it is drawn again.
            0 keeps all.
        observing: exposures, detectors, years and off-axis angles.
        like: table of real catalogue rows with their classes: class, band fluxes and counts of the
            sources follow each row, and its features are the record's. Rows that no model of their
            class can follow are rejected with the reason. Mix, counts and n do not matter then.
        repeats: sources for each row of `like`; all are in one split.
        workers: processes, one core each; 0: one for every core.
    """

    n: int = 20_000
    out: Path = field(default_factory=lambda: default_dataset("population"))
    seed: int = 0
    mix: str = PopulationConfig.mix
    thermal: Thermal = PopulationConfig.thermal
    counts: tuple[float, float] = PopulationConfig.counts
    counts_slope: float = PopulationConfig.counts_slope
    significance: float = PopulationConfig.significance
    observing: ObservingConfig = field(default_factory=ObservingConfig)
    like: Path | None = None
    repeats: int = 8
    workers: int = 0

    def config(self) -> PopulationConfig:
        """Configuration of a population."""
        return PopulationConfig(
            mix=self.mix,
            thermal=self.thermal,
            counts=self.counts,
            counts_slope=self.counts_slope,
            significance=self.significance,
            observing=self.observing,
        )

    def run(self) -> int:
        """Simulate, and say what was written."""
        if self.like is not None:
            return self._follow(self.like)
        with bar("simulating", self.n) as advance:
            dataset = population_dataset(
                self.config(), self.n, self.out, self.seed, self.workers or None, advance
            )
        print(f"{dataset.manifest.rows} sources in {len(dataset.files)} shards: {dataset.path}")
        return 0

    def _follow(self, rows: Path) -> int:
        semi_real = SemiReal(self.config(), rows, self.repeats)
        with bar("simulating", semi_real.n) as advance:
            dataset = semi_real.write(self.out, self.seed, self.workers or None, advance)
        n, lost = len(semi_real.simulator.rows), len(semi_real.rejects)
        print(
            f"{dataset.manifest.rows} spectra of {n} rows in {len(dataset.files)} shards: "
            f"{dataset.path}"
        )
        if lost:
            print(f"{lost} rows rejected, see {dataset.path / REJECTS}:")
            for reason, times in Counter(why for _, why in semi_real.rejects).most_common():
                print(f"{times:8d}  {reason}")
        return 0


COMMAND = SimulatePopulation
