"""`wolter tune`."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from wolter import config as configs
from wolter import family as families
from wolter import task as tasks
from wolter.commands.train import with_family
from wolter.data.out_paths import check_out
from wolter.family import Family
from wolter.files import write_atomically
from wolter.progress import bar
from wolter.registry import mlflow_store
from wolter.report import style
from wolter.train.loop import Epoch, TrainConfig, default_config
from wolter.tune import search as searches
from wolter.tune.pareto_plot import front_plot
from wolter.tune.plan import SearchConfig, Sweep, plan, planned
from wolter.tune.search import SearchResult

EPOCHS, FRACTION = 3, 0.25  # of a trial, where nothing is said
ARTIFACT = "search"  # folder of a run's artifacts


@dataclass(frozen=True)
class Tune:
    """Search the configs of a family with Ray Tune; prints the Pareto front and what to train.

    Every trial is a child run of one run of MLflow, has the same budget (--train.epochs,
    --train.fraction), and is compared by metrics of the validation split, never by the loss.

    Attributes:
        family: name of the family.
        model: config of the family.
        data: folder of the dataset; without it the default one of the records that the family
            reads, simulated first if missing.
        search: keys to vary, metrics, number of trials.
        preset: a named config of the family to start from, such as that of a published network.
        observed: folder of a dataset of observed records to mix into every batch.
        train: budget of a trial: epochs, fraction of the data, batches.
        experiment: MLflow experiment.
        resume: run id of an interrupted search to go on with; its settings replace all others but
            --json.
        json: also write trials, front and recommendation to this file.
    """

    family: tyro.conf.Positional[str]
    model: Any = None
    data: Path | None = None
    search: Annotated[SearchConfig, tyro.conf.arg(name="")] = field(default_factory=SearchConfig)
    preset: str = ""
    observed: Path | None = None
    train: TrainConfig = field(default_factory=TrainConfig)
    experiment: str = ""
    resume: str = ""
    json: Path | None = None

    def run(self) -> int:
        """Search, print, and keep the answer with the run."""
        if self.json is not None:
            check_out(self.json)
        sweep = planned(self.resume) if self.resume else self._plan()
        job = sweep.job
        print(
            f"search {sweep.run_id}  {len(sweep.points)} trials of {job.family}, "
            f"{job.train.epochs} epochs of {job.rows} rows each  (--resume goes on with it)"
        )
        with bar(f"searching {job.family}", len(sweep.points) * job.train.epochs) as advance:

            def show(number: int, epoch: Epoch) -> None:
                advance(1)
                values = "  ".join(f"{k} {epoch.validation[k]:.4g}" for k in sweep.metrics)
                print(f"trial {number}  epoch {epoch.number}/{job.train.epochs}  {values}")

            result = searches.run(sweep, show)
        command = train_command(result)
        found = result.to_json()
        found["recommended"]["command"] = command
        text = json.dumps(found, indent=2) + "\n"
        _keep(result, text)
        if self.json is not None:
            write_atomically(self.json, text.encode())
        _print(result)
        print(f"recommended: trial {result.recommended}; in full: {command}")
        return 0

    def _plan(self) -> Sweep:
        return plan(
            self.family,
            self.data or tasks.load(families.load(self.family).task).default_data(),
            config=configs.to_dict(self.model),
            train=self.train,
            search=self.search,
            observed=self.observed,
            experiment=self.experiment,
        )


def command(arguments: Sequence[str]) -> type[Tune]:
    """The command with the options of the family that the arguments name.

    Raises:
        InputError: there is no such family or preset.
    """
    return with_family(Tune, arguments, _budget)


def _budget(family: Family) -> TrainConfig:
    return replace(default_config(family), epochs=EPOCHS, fraction=FRACTION)


def train_command(result: SearchResult) -> str:
    """The command line that trains what is recommended on all data."""
    job = result.sweep.job
    usual = configs.to_dict(default_config(families.load(job.family)))
    given = configs.to_dict(job.train)
    train = {k: v for k, v in given.items() if v != usual[k] and k not in ("epochs", "fraction")}
    words = ["wolter", "train", job.family, "--data", job.dataset]
    words += ["--observed", job.observed] if job.observed else []
    words += options("model", result.changed(result.recommended)) + options("train", train)
    return shlex.join(words)


def options(prefix: str, values: Mapping[str, Any]) -> list[str]:
    """A config as words of a command line."""
    words = []
    for key, value in values.items():
        name = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{prefix}.{name}" if value else f"--{prefix}.no-{name}")
        else:
            listed = value if isinstance(value, list | tuple) else [value]
            words += [f"--{prefix}.{name}", *map(str, listed)]
    return words


def _kind(result: SearchResult, number: int, status: str) -> str:
    if number == result.recommended:
        return "recommended"
    return "front" if number in result.front else status


def _keep(result: SearchResult, text: str) -> None:
    """Log the answer and its picture with the run of the search."""
    metrics = result.sweep.metrics
    shown = [each for each in result.outcomes if each.epochs]
    figure = front_plot(
        np.array([[each.metrics[name] for name in metrics] for each in shown]),
        list(metrics),
        list(metrics.values()),
        [_kind(result, each.number, each.status) for each in shown],
        [each.number for each in shown],
        f"{result.sweep.job.family}: {len(result.outcomes)} trials",
    )
    with TemporaryDirectory() as name:
        (Path(name) / "search.json").write_text(text, encoding="utf-8")
        (Path(name) / "front.png").write_bytes(style.to_png(figure))
        mlflow_store.log_files(result.sweep.run_id, Path(name), ARTIFACT)


def _print(result: SearchResult) -> None:
    """The Pareto front, and the first trial to compare with."""
    sweep = result.sweep
    counts = [sum(e.status == word for e in result.outcomes) for word in ("stopped", "failed")]
    title = (
        f"Pareto front: {len(result.front)} of {len(result.outcomes)} trials "
        f"({counts[0]} stopped early, {counts[1]} failed)"
    )
    table = Table(title=title, title_justify="left")
    for name in ("trial", *sweep.metrics, *sweep.over, ""):
        table.add_column(name, justify="right")
    for each in result.outcomes:
        kind = _kind(result, each.number, each.status)
        if each.number and kind not in ("front", "recommended"):
            continue
        values = [f"{each.metrics[k]:.4g}" if k in each.metrics else "" for k in sweep.metrics]
        given = [_short(each.config[key]) for key in sweep.over]
        note = ("as given, " if not each.number else "") + kind
        table.add_row(str(each.number), *values, *given, note)
    Console(width=max(Console().width, 160)).print(table)
    for each in result.outcomes:
        if each.reason:
            print(f"note: trial {each.number} failed: {' '.join(each.reason.split())[:200]}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
