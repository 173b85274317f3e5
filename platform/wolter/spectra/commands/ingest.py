"""`wolter ingest spectra`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from wolter.data.shards import REJECTS
from wolter.home import home
from wolter.options import print_rejects
from wolter.progress import bar
from wolter.spectra.grid import GridName
from wolter.spectra.ingest import IngestConfig, ingest_dataset
from wolter.xray.instruments.instrument import DEFAULT


@dataclass(frozen=True)
class IngestSpectra:
    """Read archive spectra of any OGIP instrument into a shard dataset, with Ray Data.

    Each spectrum is read with the response and background that its header names; those of the
    Chandra Source Catalog also with the files beside them that are named like them. A file that
    cannot be read becomes a row of rejects.parquet with the reason, and the job goes on.

    Attributes:
        sources: PHA files, and folders to search throughout.
        out: folder of the dataset.
        rmf: RMF to use for every spectrum.
        arf: ARF to use for every spectrum.
        background: background spectrum to use for every spectrum.
        response: files, or embedded for the response of the instrument that needs no files.
        instrument: name of the instrument whose band the energy grid covers, and whose response is
            the embedded one.
        grid: band for the channels that most models read, within the instrument's band; acis for
            whole channels of ACIS in 0.5-8 keV, which models of Chandra spectra read.
        list_other: list each file that is no spectrum, with its kind, as others.parquet does.
    """

    sources: tyro.conf.Positional[tuple[Path, ...]]
    out: Path = field(default_factory=lambda: home() / "datasets" / "observed")
    rmf: str | None = None
    arf: str | None = None
    background: str | None = None
    response: Literal["files", "embedded"] = "files"
    instrument: str = DEFAULT
    grid: GridName = "band"
    list_other: bool = False

    def run(self) -> int:
        """Ingest, and account for every file."""
        config = IngestConfig(
            rmf=self.rmf,
            arf=self.arf,
            background=self.background,
            response=self.response,
            instrument=self.instrument,
            grid=self.grid,
        )
        with bar("reading") as advance:
            result = ingest_dataset(self.sources, self.out, config, on_files=advance)
        print(
            f"{result.read} spectra read, {len(result.rejects)} rejected, "
            f"{result.backgrounds} backgrounds, {_other_files(result.others)}: {self.out}"
        )
        print_rejects(result.rejects, self.out / REJECTS)
        if self.list_other:
            for file, what in result.others:
                print(f"  other {file}: {what}")
        return 0


def _other_files(others: Sequence[tuple[str, str]]) -> str:
    """Number of files that were passed over, by what they are."""
    kinds = Counter(what for _, what in others)
    listed = ", ".join(f"{n} {what}" for what, n in kinds.most_common())
    return f"{len(others)} other files" + (f" ({listed})" if kinds else "")


COMMAND = IngestSpectra
