"""Ingest of real image pairs into a shard dataset, from event lists and images.

What cannot be used becomes a row of `rejects.parquet`. Shapes: B tiles, H and W rows and columns.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import torch

from wolter import config as configs
from wolter.cluster import connected
from wolter.data.row_writer import RowWriter, folder_of, list_files
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.files import make_folder
from wolter.images.headers import FileKind, Maps, classify
from wolter.images.pair_tiles import Tiling, no_pair, pair_table
from wolter.images.pairs import Cutting, Pair, pair_of_images, pairs_of_events
from wolter.images.schema import ImageSpec
from wolter.xray.imaging.binning import grid_of
from wolter.xray.imaging.events import read_events
from wolter.xray.instruments.psf import Psf
from wolter.xray.ogip import tables as ogip

ROWS_PER_SHARD = 384


@dataclass(frozen=True)
class ImageIngestConfig:
    """Configuration of the ingest of image pairs.

    Attributes:
        exposure_s: exposure of the inputs that are cut from event lists, s.
        target_exposure_s: of their targets, s; None: all the rest of the observation.
        most: pairs of an event list at most.
        band_kev: energies of the photons; images that tell no band are taken to be in it.
        coordinates: coordinates of the images of event lists.
        pixel_arcsec: side of an input pixel; images must have it.
        scale: target pixels along a side of an input pixel; images give 1.
        exposure_map, mask: a FITS image for all, or a folder of them, found by OBS_ID.
        tile: rows and columns of a record.
        overlap: least pixels that neighbouring tiles share.
    """

    exposure_s: float = 20_000.0
    target_exposure_s: float | None = None
    most: int = 1
    band_kev: tuple[float, float] = (0.5, 2.0)
    coordinates: Literal["detector", "sky"] = "detector"
    pixel_arcsec: float = 4.0
    scale: int = 1
    exposure_map: str | None = None
    mask: str | None = None
    tile: int = 128
    overlap: int = 32

    def __post_init__(self) -> None:
        """Check the values that need no file."""
        for name in ("exposure_s", "target_exposure_s", "pixel_arcsec"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} = {value}: give a number above 0")
        if not 0 < self.band_kev[0] < self.band_kev[1]:
            raise InputError(f"band_kev = {self.band_kev}: give 0 < low < high, in keV")
        if self.scale not in (1, 2):
            raise InputError(f"scale = {self.scale}: give 1 to denoise or 2 to super-resolve")
        if self.most < 1:
            raise InputError(f"most = {self.most}: give at least one pair of an observation")
        if self.tile < 8:
            raise InputError(f"tile = {self.tile}: give at least 8 pixels")
        if not 0 <= self.overlap < self.tile:
            raise InputError(f"overlap = {self.overlap}: give 0 or more, less than the tile")

    @property
    def tiling(self) -> Tiling:
        """Tiling of pairs into records."""
        return Tiling(self.tile, self.overlap, self.scale)

    @property
    def cutting(self) -> Cutting:
        """Time slicing of event lists."""
        names = ("exposure_s", "target_exposure_s", "most", "coordinates", "pixel_arcsec", "scale")
        return Cutting(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class IngestedImages:
    """Summary of an ingest: rows, rejects, other files.

    Attributes:
        dataset: dataset of the pairs' tiles.
        pairs: pairs of images.
        used: files that pairs were made of.
        others: files that are no images of photons.
        rejects: file and reason of each that gave no pair.
    """

    dataset: ShardDataset
    pairs: int
    used: int
    others: int
    rejects: tuple[tuple[str, str], ...]


@dataclass
class _Work:
    """Files to make pairs of: one event list, or a short image and the long one."""

    short: str
    long: str
    source: str
    parent: str


def ingest_image_dataset(
    sources: Sequence[Path],
    out: Path,
    config: ImageIngestConfig | None = None,
    on_files: Callable[[int, int], None] | None = None,
) -> IngestedImages:
    """Ingest every event list and every pair of images into a shard dataset, with Ray Data.

    Images of one observation and instrument make pairs of each with the longest of them. All pairs
    of an observation have its source id. Each file that should have given a pair and gives none
    becomes a row of `rejects.parquet` with its path and reason; all other files are counted.

    Args:
        sources: FITS files, and folders that are searched throughout.
        out: folder of the dataset.
        config: how to make pairs.
        on_files: called after each file or pair with 1 and the number of them.

    Raises:
        InputError: there are no files, a map is missing, or the output folder is not writable.
    """
    import ray

    config = config or ImageIngestConfig()
    files = list_files(sources, "event lists or images (FITS)")
    maps = Maps.of(config.exposure_map, config.mask)
    make_folder(out)
    writer = RowWriter(out, ROWS_PER_SHARD)
    made = _Made()
    with connected():
        # The rows of a shard must not depend on which task ends first.
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        named = [{"file": str(file)} for file in files if str(file) not in maps.files]
        looks = [
            row
            for table in _map(named, _classify_block, config, maps, str(folder_of(files)))
            for row in table.to_pylist()
        ]
        work, alone = _work(looks)
        writer.rejects += [(row["file"], row["reason"]) for row in looks if row["reason"]] + alone
        for table in _map([asdict(each) for each in work], _pair_block, config, maps):
            made.add(table)
            writer.add(table)
            if on_files is not None:
                on_files(1, len(work))
    # A long image that no short one makes a pair with is of no use itself.
    for each in work:
        if each.long not in made.files | {file for file, _ in writer.rejects}:
            writer.rejects.append((each.long, f"no image makes a pair with it; see {each.short}"))
    dataset = writer.finish("images", made.spec(config), configs.to_dict(config))
    others = len(files) - len(made.files) - len(writer.rejects)
    return IngestedImages(dataset, made.pairs, len(made.files), others, tuple(writer.rejects))


def _map(
    rows: list[dict[str, str]],
    task: Callable[..., pa.Table],
    config: ImageIngestConfig,
    *more: Maps | str,
) -> Iterable[pa.Table]:
    """Tables that a Ray Data task makes of rows, each of one row, in order."""
    import ray

    if not rows:
        return
    data = ray.data.from_arrow(pa.Table.from_pylist(rows)).repartition(len(rows))
    made = data.map_batches(task, fn_args=(configs.to_dict(config), *more), batch_size=1)
    yield from made.iter_batches(batch_format="pyarrow", batch_size=None)


def _classify_block(
    block: dict[str, Any], config: dict[str, Any], maps: Maps, archive: str
) -> pa.Table:
    """Ray Data task: what the files of a block are."""
    settings = configs.from_dict(ImageIngestConfig, config)
    seen = [
        classify(Path(file), maps, settings.pixel_arcsec, settings.band_kev, Path(archive))
        for file in block["file"]
    ]
    rows = [{"file": file, **asdict(each)} for file, each in zip(block["file"], seen, strict=True)]
    return pa.Table.from_pylist([{**row, "kind": row["kind"].value} for row in rows])


def _work(looks: list[dict[str, Any]]) -> tuple[list[_Work], list[tuple[str, str]]]:
    """Pairs to make, and images without a partner, with the reason."""
    good = [row for row in looks if not row["reason"]]
    parents: dict[str, str] = {}  # files of one observation may name the object differently
    for row in good:
        parents.setdefault(row["source"], row["parent"])

    def of(short: dict[str, Any], long: dict[str, Any]) -> _Work:
        source = short["source"]
        return _Work(short["file"], long["file"], source, parents[source])

    work = [of(row, row) for row in good if row["kind"] == FileKind.EVENTS.value]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in good:
        if row["kind"] == FileKind.IMAGE.value:
            groups.setdefault(row["group"], []).append(row)
    alone = []
    for rows in groups.values():
        *short, longest = sorted(rows, key=lambda row: (row["exposure_s"], row["file"]))
        work += [of(row, longest) for row in short]
        if not short:
            why = "the only image of its observation and instrument; give a longer or shorter one"
            alone.append((longest["file"], why))
    return work, alone


def _pair_block(block: dict[str, Any], config: dict[str, Any], maps: Maps) -> pa.Table:
    """Ray Data task: tiles of the pairs of a block, or a row with the reason why there are none."""
    torch.set_num_threads(1)  # one task a core
    settings = configs.from_dict(ImageIngestConfig, config)
    tiling, tables = settings.tiling, []
    columns = (block[name] for name in ("short", "long", "source", "parent"))
    for short, long, source, parent in zip(*columns, strict=True):
        words = {"source_id": source, "parent": parent}
        try:
            pairs = make_pairs(Path(short), Path(long), settings, maps)
            tables += [pair_table(pair, i, tiling, words) for i, pair in enumerate(pairs)]
        except InputError as error:
            tables.append(no_pair(short, str(error), tiling, words))
    return pa.concat_tables(tables)


def make_pairs(short: Path, long: Path, config: ImageIngestConfig, maps: Maps) -> list[Pair]:
    """Pairs of a short and a long image, or of an event list that is named twice.

    Raises:
        InputError: the files are damaged, or do not make a pair.
    """
    if short == long:
        events = read_events(short, config.band_kev)
        grid = grid_of(events, config.coordinates, config.pixel_arcsec)
        observation = ogip.text(events.header, "OBS_ID")
        spread_HW, mask_HW = maps.spread(observation, short, grid.header(), grid.shape)
        return pairs_of_events(events, config.cutting, spread_HW, mask_HW)
    if config.scale != 1:
        raise InputError(
            f"{short}: images give targets of their own pixels; use --scale 1, or event lists"
        )
    one, other = (maps.read(file, config.pixel_arcsec) for file in (short, long))
    return [pair_of_images(one, other)]


@dataclass
class _Made:
    """Collected facts of the pairs: files, exposures, instruments."""

    files: set[str] = field(default_factory=set)
    pairs: int = 0
    inputs_s: set[float] = field(default_factory=set)
    targets_s: set[float] = field(default_factory=set)
    instruments: set[str] = field(default_factory=set)

    def add(self, table: pa.Table) -> None:
        """Take in the tiles of one file or pair."""
        columns = ["file", "target_file", "pair", "exposure_s", "target_exposure_s", "instrument"]
        kept = table.filter(pc.equal(table["reason"], "")).select(columns)
        for row in kept.group_by(columns).aggregate([]).to_pylist():
            self.pairs += 1
            self.files |= {row["file"], row["target_file"]}
            self.inputs_s.add(row["exposure_s"])
            self.targets_s.add(row["target_exposure_s"])
            self.instruments.add(row["instrument"])

    def spec(self, config: ImageIngestConfig) -> ImageSpec:
        """Description of the pairs for model families."""
        width = Psf().fwhm(0, math.sqrt(config.band_kev[0] * config.band_kev[1]))
        return ImageSpec(
            shape=(config.tile, config.tile),
            scale=config.scale,
            pixel_arcsec=config.pixel_arcsec,
            band_kev=config.band_kev,
            exposure_s=(min(self.inputs_s), max(self.inputs_s)) if self.inputs_s else None,
            target_exposure_s=next(iter(self.targets_s)) if len(self.targets_s) == 1 else None,
            target_background=True,
            instrument=next(iter(self.instruments)) if len(self.instruments) == 1 else "",
            psf_fwhm_arcsec=(width, width),
        )
