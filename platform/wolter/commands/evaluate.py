"""`wolter evaluate`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from wolter import family as families
from wolter import task as tasks
from wolter.commands.family_options import named_family
from wolter.data.integrity import MANIFEST
from wolter.data.out_paths import check_folder, check_out
from wolter.data.shards import ShardDataset, open_dataset
from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.home import default_dataset, home
from wolter.registry import mlflow_store, pretrained
from wolter.registry.checkpoint import load_model
from wolter.report.page import Figure
from wolter.report.table import to_rich
from wolter.report.write import REPORT, Report, write
from wolter.task import NoOptions, Task

TABLE_WIDTH = 150  # columns that the tables need; narrower terminals wrap
FLAT = tyro.conf.arg(name="")  # options without a prefix


@dataclass(frozen=True)
class Evaluate:
    """Evaluate families on the test split: tables, figures, one HTML page.

    The first family is the subject, the others are for comparison. The report is logged with the
    MLflow run of each.

    Attributes:
        families: names of the families; several to compare, FAMILY@VERSION for one of its models.
        data: folder of the dataset.
        json: also write the results to this file.
        out: folder of the report.
        split: test, validation, train or all.
        n: evaluate on at most this many records; 0 for all.
        version: version, run id or alias of the models in the registry, of those that name none;
            the newest version where it is "latest".
        options: how to evaluate.
    """

    families: tyro.conf.Positional[tuple[str, ...]]
    data: Path | None = None
    json: Path | None = None
    out: Path | None = None
    split: str = "test"
    n: int = 0
    version: str = "latest"
    options: Annotated[Any, FLAT] = field(default_factory=NoOptions)

    def run(self) -> int:
        """Evaluate, write the report and log it."""
        task, dataset = self._task_and_dataset()
        folder = check_folder(self.out or home() / "reports" / "-".join(self.families))
        if self.json is not None:
            check_out(self.json, [dataset.path / MANIFEST])
        found = [pretrained.find(name, version) for name, version in self._named()]
        models = [load_model(folder) for folder, _ in found]
        versions = [version for _, version in found]
        report = task.evaluate(models, versions, dataset, self.split, self.n or None, self.options)
        runs = self._runs(versions)
        training = {report.labels[i]: self._curves(i, run) for i, run in runs.items()}
        write(report, folder, training, {"MLflow run": runs.get(0, "")})
        for i, run in runs.items():
            mlflow_store.log_files(run, folder, "evaluation")
            mlflow_store.log_metrics(run, report.flat_metrics(i))
        if self.json is not None:
            text = json.dumps(report.to_json(), indent=2) + "\n"
            write_atomically(self.json, text.encode())
        _print(report)
        print(f"report: {folder / REPORT}")
        return 0

    def _named(self) -> list[tuple[str, str]]:
        """Family and version of each name."""
        parts = [name.partition("@") for name in self.families]
        return [(name, version or self.version) for name, _, version in parts]

    def _task_and_dataset(self) -> tuple[Task, ShardDataset]:
        if not self.families:
            raise InputError(f"name a family: {', '.join(families.names())}")
        loaded = [families.load(name) for name, _ in self._named()]
        kind = loaded[0].kind
        dataset = open_dataset(self.data or default_dataset(kind))
        for family in loaded:
            if family.kind != dataset.manifest.kind:
                raise InputError(
                    f"{dataset.path}: a dataset of {dataset.manifest.kind}, and {family.name} "
                    f"reads {family.kind}; give families of its kind"
                )
            if family.task != loaded[0].task:
                raise InputError(
                    f"{family.name} is for {family.task}, {loaded[0].name} for {loaded[0].task}; "
                    "evaluate them one at a time"
                )
        return tasks.load(loaded[0].task), dataset

    def _runs(self, versions: Sequence[str]) -> Mapping[int, str]:
        """MLflow runs of the models; pretrained weights come from none of this registry."""
        return {
            i: mlflow_store.run_of(name, version)
            for i, ((name, _), version) in enumerate(zip(self._named(), versions, strict=True))
            if not version.startswith(pretrained.PRETRAINED)
        }

    def _curves(self, number: int, run: str) -> Figure:
        """Training curves of a model."""
        from wolter.report import style
        from wolter.report.training_curves import CAPTION, training_curves

        name = self._named()[number][0]
        drawing = training_curves(
            mlflow_store.history(run), families.load(name).metrics, f"{name}: training"
        )
        return Figure(f"{name}: training", CAPTION, style.to_png(drawing))


def _print(report: Report) -> None:
    console = Console(width=max(Console().width, TABLE_WIDTH))
    for table in report.tables:
        console.print(to_rich(table))
    for remark in report.remarks:
        print(f"note: {remark}")


def command(arguments: Sequence[str]) -> type[Evaluate]:
    """The command with the options of the task of the first family that the arguments name.

    Raises:
        InputError: there is no such family.
    """
    family = named_family(arguments)
    options = NoOptions if family is None else tasks.load(family.task).EvaluateOptions
    return make_dataclass(
        Evaluate.__name__,
        [("options", Annotated[options, FLAT], field(default_factory=options))],
        bases=(Evaluate,),
        namespace={"__doc__": Evaluate.__doc__},
        frozen=True,
    )
