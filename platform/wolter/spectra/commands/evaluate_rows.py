"""`wolter evaluate rows`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wolter.data.integrity import sha256_of
from wolter.data.out_paths import check_folder, check_out
from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.home import home
from wolter.progress import bar
from wolter.report.table import to_rich
from wolter.report.write import REPORT, write
from wolter.spectra.catalogue_rows.classifier import ClassifierConfig
from wolter.spectra.catalogue_rows.columns import read_rows
from wolter.spectra.commands.classify import tell

TABLE_WIDTH = 150  # columns that the tables need; narrower terminals wrap


@dataclass(frozen=True)
class EvaluateRows:
    """Evaluate the classifier of catalogue rows: cross-validation, tables, figures, one HTML page.

    Scores by stratified folds, with Galactic latitude in a row of its own, by folds that part no
    field of sky, by range of flux, and on another labelled table where one is given.

    Attributes:
        labelled: table of labelled sources as .csv, .parquet, .vot or .fits.
        test: table of labelled sources of another selection, to test on after training on all.
        compare: table of another classifier's probabilities, P_<class> by name, for a paired
            comparison.
        json: also write the results to this file.
        out: folder of the report.
        folds: folds of each cross-validation.
        repeats: repeats with other folds and seeds.
        seed: first seed.
        strength: how far class shares are divided out of decisions, 0 to 1; None: chosen by
            cross-validation of the training rows.
        column: NAME=COLUMN of a column with another name, given again for each.
    """

    labelled: tyro.conf.Positional[Path]
    test: Path | None = None
    compare: Path | None = None
    json: Path | None = None
    out: Path | None = None
    folds: int = 10
    repeats: int = 3
    seed: int = 0
    strength: float | None = ClassifierConfig.strength
    column: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()

    def run(self) -> int:
        """Evaluate, and write the report."""
        from wolter.spectra.catalogue_rows.evaluation import evaluate, fits_of
        from wolter.spectra.catalogue_rows.report import RowReport

        if self.repeats < 1:
            raise InputError(f"--repeats {self.repeats}: give at least one")
        folder = check_folder(self.out or home() / "reports" / "rows")
        inputs = (self.labelled, self.test, self.compare)
        if self.json is not None:
            check_out(self.json, inputs)
        config = ClassifierConfig(strength=self.strength, seed=self.seed)
        read = read_rows(self.labelled, self.column, labelled=True)
        other = None if self.test is None else read_rows(self.test, self.column, labelled=True)
        test = None if other is None else other.rows
        with bar("training", fits_of(read.rows, test, self.folds, self.repeats)) as advance:
            result = evaluate(
                read.rows,
                config,
                self.folds,
                self.repeats,
                self.seed,
                self.compare,
                test,
                advance,
            )
        facts = {
            "name": self.labelled.name,
            "rows": len(read.rows),
            "rejected": len(read.rejects),
            "absent_columns": list(read.absent),
            "sha256": sha256_of(self.labelled),
        }
        report = RowReport(result, facts)
        write(report, folder)
        if self.json is not None:
            write_atomically(self.json, f"{json.dumps(report.to_json(), indent=2)}\n".encode())
        console = Console(width=max(Console().width, TABLE_WIDTH))
        for each in report.tables:
            console.print(to_rich(each))
        for remark in report.remarks:
            print(f"note: {remark}")
        tell(self.labelled, read)
        if self.test is not None and other is not None:
            tell(self.test, other)
        print(f"report: {folder / REPORT}")
        return 0


COMMAND = EvaluateRows
