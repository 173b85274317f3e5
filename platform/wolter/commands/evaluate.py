"""`wolter evaluate`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from wolter import config as configs
from wolter import family as families
from wolter.data.batches import count_rows
from wolter.data.integrity import MANIFEST
from wolter.data.out_paths import check_folder, check_out
from wolter.data.shards import ShardDataset, open_dataset
from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.home import default_dataset, home
from wolter.images.evaluate.evaluation import ImageEvaluation
from wolter.images.evaluate.fields import SOURCES
from wolter.images.evaluate.report import evaluate_images, write_images
from wolter.progress import bar
from wolter.registry import mlflow_store, pretrained
from wolter.registry.checkpoint import Model, load_model
from wolter.report.table import to_rich
from wolter.spectra.evaluate.evaluation import Evaluation
from wolter.spectra.evaluate.report import REPORT, evaluate, write
from wolter.spectra.simulator import SimulateConfig

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
        n: judge by at most this many spectra or pairs of images; 0 for all.
        fields: families of images: also find the sources of so many whole simulated fields of
            each kind, and draw three of them; 0: none.
        exact: sample the exact posterior of so many of the spectra, and compare with it.
        assume: folder of a simulated dataset whose model and response are taken for the spectra's:
            with --exact, adds the exact posterior of who knows nothing of a shift, and refines
            posteriors as they would.
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
    fields: int = 2
    exact: int = 0
    assume: Path | None = None
    version: str = "latest"
    translator: str = ""

    def run(self) -> int:
        """Evaluate, write the report and log it."""
        if not self.families:
            raise InputError(f"name a family: {', '.join(families.names())}")
        kinds = {families.load(name).kind for name in self.families}
        dataset = open_dataset(self.data or default_dataset(min(kinds)))
        if kinds != {dataset.manifest.kind}:
            raise InputError(
                f"{dataset.path}: a dataset of {dataset.manifest.kind}, and {self.families[0]} "
                f"reads {' and '.join(sorted(kinds))}; give families of its kind"
            )
        folder = check_folder(self.out or home() / "reports" / "-".join(self.families))
        if self.json is not None:
            check_out(self.json, [dataset.path / MANIFEST])
        if self.translator and self.exact:
            raise InputError("--translator: what it gives has no likelihood; leave out --exact")
        translator = None
        if self.translator:
            translator = load_model(pretrained.locate("translator", self.translator))
        found = [pretrained.find(name, self.version) for name in self.families]
        models = [load_model(folder) for folder, _ in found]
        # Shipped weights come from no run of this registry.
        runs = {
            i: mlflow_store.run_of(name, version)
            for i, (name, (_, version)) in enumerate(zip(self.families, found, strict=True))
            if not version.startswith(pretrained.PRETRAINED)
        }
        result: Evaluation | ImageEvaluation
        if dataset.manifest.kind == "images":
            result = self._judge_images(models, dataset, [version for _, version in found])
        else:
            assumed = None if self.assume is None else _config(self.assume)
            rows = count_rows(dataset, self.split)
            sampled = min(rows, self.exact) * (1 if assumed is None else 2)
            with bar("evaluating", min(rows, self.n or rows) + sampled) as advance:
                result = evaluate(
                    models,
                    dataset,
                    self.split,
                    self.n or None,
                    versions=[version for _, version in found],
                    exact=self.exact,
                    assumed=assumed,
                    progress=advance,
                    translator=translator,
                )
        own = result.networks if isinstance(result, ImageEvaluation) else result.models
        histories = {own[i].label: mlflow_store.history(run) for i, run in runs.items()}
        facts = {"MLflow run": runs.get(0, "")}
        if isinstance(result, ImageEvaluation):
            write_images(result, folder, histories, facts)
        else:
            write(result, folder, histories, facts)
        for i, run in runs.items():
            mlflow_store.log_files(run, folder, "evaluation")
            mlflow_store.log_metrics(run, result.flat_metrics(i))
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

    def _judge_images(
        self, models: Sequence[Model], dataset: ShardDataset, versions: Sequence[str]
    ) -> ImageEvaluation:
        if self.exact or self.assume is not None or self.translator:
            raise InputError("--exact, --assume and --translator are of spectra; leave them out")
        rows = count_rows(dataset, self.split)
        fields = self.fields * len(SOURCES) * len(models)
        with bar("evaluating", min(rows, self.n or rows) + fields) as advance:
            return evaluate_images(
                models,
                dataset,
                self.split,
                self.n or None,
                versions=versions,
                n_fields=self.fields,
                progress=advance,
            )


def _config(folder: Path) -> SimulateConfig:
    config = open_dataset(folder).manifest.config
    if not config.get("prior"):
        raise InputError(
            f"{folder}: not simulated; --assume a dataset of `wolter simulate spectra`"
        )
    return configs.from_dict(SimulateConfig, config)


COMMAND = Evaluate
