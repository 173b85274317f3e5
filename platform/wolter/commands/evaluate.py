"""`wolter evaluate`."""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from wolter import family as families
from wolter.data.batches import count_rows
from wolter.data.shards import open_dataset, write_atomically
from wolter.errors import InputError
from wolter.evaluate.report import REPORT, evaluate, write
from wolter.evaluate.table import to_rich
from wolter.home import default_dataset, home
from wolter.progress import bar
from wolter.train import shipped, tracking
from wolter.train.checkpoint import load_model

TABLE_WIDTH = 150  # columns that the tables need; narrower terminals wrap


@dataclass(frozen=True)
class Evaluate:
    """Judge families on the test split: tables beside the published ones, plots, one HTML page.

    The first family is in question, and the others stand beside it. The report goes to the MLflow
    run of each.

    Attributes:
        families: names of the families; several to compare.
        data: folder of the dataset.
        json: also write the figures to this file.
        out: folder of the report.
        split: test, validation, train or all.
        n: judge by at most this many spectra; 0 for all.
        exact: sample the exact posterior of so many of the spectra, and compare with it.
        version: version, run id or alias of the models in the registry; the newest version where
            it is "latest".
        translator: carry the spectra to the simulated domain first, where DIR plays an observed
            one: version, run id, alias or checkpoint folder of the family translator.
    """

    families: tyro.conf.Positional[tuple[str, ...]] = ("deepspectra",)
    data: Path | None = None
    json: Path | None = None
    out: Path | None = None
    split: str = "test"
    n: int = 0
    exact: int = 0
    version: str = "latest"
    translator: str = ""

    def run(self) -> int:
        """Evaluate, write the report and log it."""
        for name in self.families:
            families.load(name)
        if not self.families:
            raise InputError(f"name a family: {', '.join(families.names())}")
        dataset = open_dataset(self.data or default_dataset())
        if self.translator and self.exact:
            raise InputError("--translator: what it gives has no likelihood; leave out --exact")
        translator = None
        if self.translator:
            translator = load_model(shipped.locate("translator", self.translator))
        found = [shipped.find(name, self.version) for name in self.families]
        models = [load_model(folder) for folder, _ in found]
        # Shipped weights come from no run of this registry.
        runs = {
            i: tracking.run_of(name, version)
            for i, (name, (_, version)) in enumerate(zip(self.families, found, strict=True))
            if not version.startswith(shipped.SHIPPED)
        }
        rows = count_rows(dataset, self.split)
        with bar("evaluating", min(rows, self.n or rows) + min(rows, self.exact)) as advance:
            result = evaluate(
                models,
                dataset,
                self.split,
                self.n or None,
                versions=[version for _, version in found],
                exact=self.exact,
                progress=advance,
                translator=translator,
            )
        folder = self.out or home() / "reports" / "-".join(self.families)
        labels = [model.label for model in result.models]
        histories = {labels[i]: tracking.history(run) for i, run in runs.items()}
        write(result, folder, histories, {"MLflow run": runs.get(0, "")})
        for i, run in runs.items():
            tracking.log_files(run, folder, "evaluation")
            tracking.log_metrics(run, result.flat_metrics(i))
        if self.json is not None:
            text = json.dumps(result.to_json(), indent=2) + "\n"
            write_atomically(self.json, text.encode())
        console = Console(width=max(Console().width, TABLE_WIDTH))
        for table in result.tables:
            console.print(to_rich(table))
        for remark in result.remarks:
            print(f"note: {remark}")
        print(f"report: {folder / REPORT}")
        return 0


COMMAND = Evaluate
