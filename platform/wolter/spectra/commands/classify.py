"""`wolter classify`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wolter.data.tables import check_table, write_rejects, write_table
from wolter.options import print_rejects
from wolter.spectra.catalogue_rows.classifier import ClassifierConfig
from wolter.spectra.catalogue_rows.columns import ReadRows, read_rows


@dataclass(frozen=True)
class Classify:
    """Classify rows of an X-ray catalogue from band fluxes, slope and variability.

    The classifier is trained in seconds on labelled rows. Columns are found by their names in the
    Chandra Source Catalog. Each source gets class probabilities, a class, the evidence of each
    group of features, and flags. Rows that cannot be used go to OUT's stem + .rejects.parquet.

    Attributes:
        rows: table of sources as .csv, .parquet, .vot or .fits; fluxes in erg/s/cm^2.
        train: table of labelled sources.
        out: table to write; .parquet, .csv, .vot or .fits choose the format.
        galactic_latitude: use the absolute Galactic latitude; labelled samples are biased in
            position.
        strength: how far class shares are divided out of decisions, 0 to 1; None: chosen by
            cross-validation of the training rows.
        column: NAME=COLUMN of a column with another name, given again for each.
        seed: seed of the classifier.
    """

    rows: tyro.conf.Positional[Path]
    train: Path
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    galactic_latitude: bool = False
    strength: float | None = ClassifierConfig.strength
    column: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    seed: int = 0

    def run(self) -> int:
        """Train, classify, and account for every row."""
        from wolter.spectra.catalogue_rows.classify import classify

        rejects_file = check_table(self.out, (self.rows, self.train))
        config = ClassifierConfig(strength=self.strength, seed=self.seed)
        labelled = read_rows(
            self.train, self.column, labelled=True, positions=self.galactic_latitude
        )
        read = read_rows(self.rows, self.column, positions=self.galactic_latitude)
        table = classify(read.rows, labelled.rows, config, self.galactic_latitude)
        write_table(table, self.out)
        write_rejects(read.rejects, rejects_file)
        tell(self.train, labelled)
        tell(self.rows, read)
        print(f"{len(table)} sources: {self.out}")
        if read.rejects:
            print(f"{len(read.rejects)} rejected: {rejects_file}")
        return 0


def tell(path: Path, read: ReadRows) -> None:
    """Print which optional columns a table lacks, and the first rows that were rejected."""
    if read.absent:
        print(f"{path}: no column for {', '.join(read.absent)}: taken as missing")
    print_rejects(read.rejects, path)


COMMAND = Classify
