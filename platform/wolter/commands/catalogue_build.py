"""`wolter catalogue build`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wolter.catalogue.build import BuildConfig, Built, build
from wolter.commands.catalogue_use import use
from wolter.data.shards import REJECTS
from wolter.options import print_rejects
from wolter.progress import bar


@dataclass(frozen=True)
class CatalogueBuild:
    """Build a release of the catalogue: score records, group them into sources, write all files.

    Estimates and pictures are kept by record and version of the model: a second build makes only
    what is new. A release is never changed; it answers queries once it is the current one.

    Attributes:
        sources: folders of datasets, such as `wolter ingest` writes.
        name: name of the release, on every row.
        about: what it holds, in a sentence.
        model: FAMILY or FAMILY@VERSION of a model to publish, in place of the champions of its
            like (of rows, or of pictures); may be given several times.
        positions: table (.parquet, .csv, .vot, .fits) with ra, dec (deg) and file or source_id, and
            if known pos_err (arcsec), source, identifications (CATALOGUE:NAME; ...).
        upper_limits: parquet file with rows of the table upper_limit; without a column rate_upper
            the limits are those of counts, background and exposure_s.
        match_radius: detections so near each other are of one source, arcsec.
        scatter: seed of random places on the sky for simulated records.
        no_check: leave out the check of goodness of fit, which takes up to a second a record.
        no_quick_looks: leave out quick looks, which take about 120 bytes a detection, and pictures.
        no_pictures: leave out pictures of sources, which take seconds a record that is shown.
        use: let the release answer, at once.
        workers: scoring tasks at a time; 0: one a core.
    """

    sources: tyro.conf.Positional[tuple[Path, ...]]
    name: str
    about: str = ""
    model: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    positions: Path | None = None
    upper_limits: Path | None = None
    match_radius: float = 5.0
    scatter: int | None = None
    no_check: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    no_quick_looks: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    no_pictures: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    use: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    workers: int = 0

    def run(self) -> int:
        """Build, and account for every record."""
        config = BuildConfig(
            name=self.name,
            about=self.about,
            models=self.model,
            positions=self.positions,
            upper_limits=self.upper_limits,
            match_radius=self.match_radius,
            scatter=self.scatter,
            check=not self.no_check,
            quick_looks=not self.no_quick_looks,
            pictures=not self.no_pictures,
        )
        with bar("scoring") as advance:
            built = build(self.sources, config, workers=self.workers or None, on_shard=advance)
        _print(built)
        if self.use:
            use(self.name)
        else:
            print(f"`wolter catalogue use {self.name}` lets it answer queries")
        return 0


def _print(built: Built) -> None:
    rows = built.about.rows
    simulated = " (simulated)" if built.about.simulated else ""
    print(f"{rows['source']} sources, {rows['detection']} detections{simulated}: {built.path}")
    for model, n in built.estimates.items():
        version = built.about.models[model]
        print(f"  {model} {version}: {n} estimates, {built.usable[model]} usable")
    print(f"{built.new} estimates are new, the others were kept from earlier builds")
    if built.shown:
        print(
            f"{built.pictured} of {rows['source']} sources have pictures, {built.pictures} in all; "
            f"{built.new_pictures} records were pictured anew"
        )
    for model, data, why in built.unread:
        print(f"note: {model} does not read {data}: {why}")
    if built.rejects:
        print(f"{len(built.rejects)} rejected:")
        print_rejects(built.rejects, built.path / REJECTS)


COMMAND = CatalogueBuild
