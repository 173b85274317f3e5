"""`wolter ingest mmu`."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from wolter.data.shards import REJECTS
from wolter.home import home
from wolter.options import print_rejects
from wolter.progress import bar
from wolter.spectra.mmu.ingest import MmuConfig, ingest_mmu
from wolter.spectra.mmu.records import LOST


@dataclass(frozen=True)
class IngestMmu:
    """Read the MultimodalUniverse's Chandra spectra into a shard dataset, with Ray Data.

    Sources are HATS (a folder of parquet files) or HDF5 (needs the extra `mmu`). The rows hold
    background-subtracted rates of groups of channels: the counts of each group, the exposure and
    the background follow from rates and errors; the response is lost, and said to be. A row that
    cannot be read goes to rejects.parquet with the reason, and the job goes on.

    Attributes:
        sources: parquet and HDF5 files, and folders to search throughout.
        out: folder of the dataset.
        significance: take rows with at least this flux_significance_b; 0 for all rows.
    """

    sources: tyro.conf.Positional[tuple[Path, ...]]
    out: Path = field(default_factory=lambda: home() / "datasets" / "mmu")
    significance: float = MmuConfig.significance

    def run(self) -> int:
        """Ingest, account for every row, and say what the rows do not hold."""
        with bar("reading") as advance:
            result = ingest_mmu(self.sources, self.out, MmuConfig(self.significance), advance)
        print(
            f"{result.read} spectra read, {len(result.rejects)} rejected, "
            f"{result.insignificant} below significance {self.significance:g}, "
            f"{result.other_files} other files: {self.out}"
        )
        if few := result.errors.get("gaussian", 0):
            print(f"  {few} with Gaussian errors, all others with Gehrels'")
        print("  not in these rows:")
        for what in LOST:
            print(f"  - {what}")
        print_rejects(result.rejects, self.out / REJECTS)
        return 0


COMMAND = IngestMmu
