"""`wolter ingest spectra`."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from wolter.data.ingest import IngestConfig, ingest_dataset
from wolter.data.shards import REJECTS
from wolter.home import home
from wolter.progress import bar


@dataclass(frozen=True)
class IngestSpectra:
    """Read archive spectra of any OGIP instrument into a shard dataset, with Ray Data.

    Each spectrum is read with the response and background that its header names. A file that
    cannot be read becomes a row of rejects.parquet with the reason, and the job goes on.

    Attributes:
        sources: PHA files, and folders to search throughout.
        out: folder of the dataset.
        rmf: RMF to use for every spectrum.
        arf: ARF to use for every spectrum.
        background: background spectrum to use for every spectrum.
    """

    sources: tyro.conf.Positional[tuple[Path, ...]]
    out: Path = field(default_factory=lambda: home() / "datasets" / "observed")
    rmf: str | None = None
    arf: str | None = None
    background: str | None = None

    def run(self) -> int:
        """Ingest, and account for every file."""
        config = IngestConfig(rmf=self.rmf, arf=self.arf, background=self.background)
        with bar("reading") as advance:
            result = ingest_dataset(self.sources, self.out, config, on_files=advance)
        print(
            f"{result.read} spectra read, {len(result.rejects)} rejected, "
            f"{result.backgrounds} backgrounds, {result.others} other files: {self.out}"
        )
        for file, reason in result.rejects[:10]:
            print(f"  rejected {reason if reason.startswith(file) else f'{file}: {reason}'}")
        if len(result.rejects) > 10:
            print(f"  and {len(result.rejects) - 10} more in {self.out / REJECTS}")
        return 0


COMMAND = IngestSpectra
