"""`wolter ingest images`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from wolter.data.shards import REJECTS
from wolter.home import home
from wolter.images.ingest import ImageIngestConfig, ingest_image_dataset
from wolter.options import numbers, print_rejects
from wolter.progress import bar


@dataclass(frozen=True)
class IngestImages:
    """Make pairs of real images that share no photon into a shard dataset, with Ray Data.

    An event list (FITS, with its good time intervals) is cut in time: a slice is the input, and the
    rest of the observation the target. Of images of one OBS_ID the shorter ones are inputs, and the
    longest one the target, without the photons that it shares with the input. A file that gives no
    pair becomes a row of rejects.parquet with the reason, and the job goes on.

    Attributes:
        sources: FITS files, and folders to search throughout.
        out: folder of the dataset.
        exposure: good exposure of an input from an event list, s.
        target_exposure: good exposure of its target, s; 0: all the rest of the observation.
        pairs: largest number of pairs from an event list.
        band: energies LOW,HIGH in keV of the photons; assumed for images without a band.
        coordinates: coordinates of images from event lists: detector (EPIC only) or sky.
        pixel: side of an input pixel, arcsec; images must have this size.
        scale: target pixels along a side of an input pixel, of event lists.
        exposure_map: FITS image of relative exposure on the input's pixels, or a folder of exposure
            maps with an OBS_ID each; without it EPIC-pn's vignetting and gaps.
        mask: FITS image, 0 where pixels are to be left out, or a folder of masks.
        tile: rows and columns of a record.
        overlap: smallest overlap of neighbouring tiles, pixels.
    """

    sources: tyro.conf.Positional[tuple[Path, ...]]
    out: Path = field(default_factory=lambda: home() / "datasets" / "observed-images")
    exposure: float = ImageIngestConfig.exposure_s
    target_exposure: float = 0.0
    pairs: int = ImageIngestConfig.most
    band: str = "0.5,2"
    coordinates: Literal["detector", "sky"] = "detector"
    pixel: float = ImageIngestConfig.pixel_arcsec
    scale: int = ImageIngestConfig.scale
    exposure_map: str | None = None
    mask: str | None = None
    tile: int = ImageIngestConfig.tile
    overlap: int = ImageIngestConfig.overlap

    def config(self) -> ImageIngestConfig:
        """Configuration of the ingest of image pairs."""
        return ImageIngestConfig(
            exposure_s=self.exposure,
            target_exposure_s=self.target_exposure or None,
            most=self.pairs,
            band_kev=numbers("band", self.band, "0.5,2"),
            coordinates=self.coordinates,
            pixel_arcsec=self.pixel,
            scale=self.scale,
            exposure_map=self.exposure_map,
            mask=self.mask,
            tile=self.tile,
            overlap=self.overlap,
        )

    def run(self) -> int:
        """Ingest, and account for every file."""
        config = self.config()
        with bar("pairing") as advance:
            result = ingest_image_dataset(self.sources, self.out, config, on_files=advance)
        print(
            f"{result.pairs} pairs of {result.used} files in {result.dataset.manifest.rows} "
            f"records, {len(result.rejects)} rejected, {result.others} other files: {self.out}"
        )
        print_rejects(result.rejects, self.out / REJECTS)
        return 0


COMMAND = IngestImages
