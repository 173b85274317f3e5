"""`wolter catalogue export`."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import tyro

from wolter.catalogue import hats, release
from wolter.catalogue.voparquet import write_voparquet
from wolter.data.out_paths import check_out
from wolter.errors import InputError


@dataclass(frozen=True)
class CatalogueExport:
    """Copy a table of a release to a parquet file with VOTable metadata, or its HATS collection.

    Attributes:
        out: file that ends in .parquet; or folder, which must not exist, for the collection.
        name: name of the release; the current one where none is given.
        table: table of the release.
    """

    out: tyro.conf.Positional[Path]
    name: str = ""
    table: str = "source"

    def run(self) -> int:
        """Export it."""
        path = release.find(self.name) if self.name else release.current()
        if path is None:
            raise InputError("no release is current; name one with --name")
        if self.out.suffix != ".parquet":
            if self.out.exists():
                raise InputError(f"{self.out}: exists; give a folder that is new, or FILE.parquet")
            shutil.copytree(path / hats.FOLDER, self.out)
            print(f"HATS collection of {path.name}: {self.out}")
            return 0
        about = release.load(path)
        names = [table.name for table in about.tables]
        if self.table not in names:
            raise InputError(f"--table {self.table}: choose one of {', '.join(names)}")
        check_out(self.out)
        rows = self._rows(path)
        write_voparquet(self.out, about, about.table(self.table), rows)
        print(f"{len(rows)} rows of {self.table} of {path.name}: {self.out}")
        return 0

    def _rows(self, path: Path) -> pa.Table:
        with duckdb.connect(str(path / release.DATABASE), read_only=True) as database:
            found: pa.Table = database.sql(f'SELECT * FROM "{self.table}"').to_arrow_table()
        return found


COMMAND = CatalogueExport
