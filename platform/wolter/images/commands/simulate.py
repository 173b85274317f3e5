"""`wolter simulate images`."""

from dataclasses import dataclass, field
from pathlib import Path

from wolter.home import default_dataset
from wolter.images.simulate import simulate_image_dataset
from wolter.images.simulator import ImageSimulateConfig, tile_corners
from wolter.options import numbers
from wolter.progress import bar


@dataclass(frozen=True)
class SimulateImages:
    """Simulate pairs of images into a shard dataset, with Ray Data.

    Every field is a scene among AGN of the log N - log S, seen twice: as the input, and as a
    target of longer exposure that shares no photon with it. Both come with noise-free counts.

    Attributes:
        n: number of fields; each is cut into tiles, one record each.
        out: folder of the dataset; finished shards of an interrupted run are kept.
        seed: seed of all draws.
        exposure: exposure of the input in seconds, or LOW,HIGH for a log-uniform range.
        target_exposure: exposure of the target, s.
        scale: target pixels along a side of an input pixel: 2 super-resolves, 1 denoises.
        target_background: keep background and out-of-time events in the target.
        scene: kinds of scene: agn, bright, pairs, cluster, remnant, galaxy, web,
            clumps.
        map: FITS images to use as scenes too, e.g. projections of hydrodynamic simulations.
        band: energies LOW,HIGH in keV.
        instrument: name of the instrument; only EPIC-pn's camera is known.
        filter: filter of the instrument: thin, medium or thick of EPIC-pn; empty for its first.
        tile: rows and columns of a record, 4 arcsec each; 0: whole frames of 416.
        overlap: smallest overlap of neighbouring tiles, pixels.
        workers: processes, one core each; 0: one for every core.
    """

    n: int = 200
    out: Path = field(default_factory=lambda: default_dataset("images"))
    seed: int = 0
    exposure: str = "5000,100000"
    target_exposure: float = ImageSimulateConfig.target_exposure_s
    scale: int = ImageSimulateConfig.scale
    target_background: bool = False
    scene: tuple[str, ...] = ImageSimulateConfig.scenes
    map: tuple[str, ...] = ()
    band: str = "0.5,2"
    instrument: str = ImageSimulateConfig.instrument
    filter: str = ""
    tile: int = ImageSimulateConfig.tile
    overlap: int = ImageSimulateConfig.overlap
    workers: int = 0

    def config(self) -> ImageSimulateConfig:
        """Configuration of a simulation."""
        return ImageSimulateConfig(
            scenes=self.scene,
            maps=self.map,
            exposure_s=numbers("exposure", self.exposure, "25000 or 5000,100000"),
            target_exposure_s=self.target_exposure,
            scale=self.scale,
            target_background=self.target_background,
            band_kev=numbers("band", self.band, "0.5,2"),
            instrument=self.instrument,
            filter=self.filter,
            tile=self.tile,
            overlap=self.overlap,
        )

    def run(self) -> int:
        """Simulate, and say what was written."""
        config = self.config()
        with bar("simulating", self.n * len(tile_corners(config))) as advance:
            dataset = simulate_image_dataset(
                config, self.n, self.out, self.seed, self.workers or None, advance
            )
        print(
            f"{dataset.manifest.rows} records of {self.n} fields in {len(dataset.files)} shards: "
            f"{dataset.path}"
        )
        return 0


COMMAND = SimulateImages
