"""Reports of evaluations: what every one of them tells, and its files.

A report is a page `report.html`, its figures as PNG, and `evaluation.json`.
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from wolter.data.shards import ShardDataset
from wolter.files import make_folder, write_atomically
from wolter.registry.checkpoint import Model
from wolter.report import page
from wolter.report.page import Figure
from wolter.report.table import Table

REPORT, RESULT = "report.html", "evaluation.json"


class Report(Protocol):
    """The result of an evaluation; the first model is the one in question."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Family and version of each model, as tables and figures name it."""

    @property
    def title(self) -> str:
        """Title of the page."""

    @property
    def lead(self) -> str:
        """The result in one sentence; may be empty."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """Tables, the most important one first."""

    @property
    def notes(self) -> str:
        """Definitions of what the tables hold."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on the comparability of numbers."""

    @property
    def facts(self) -> Mapping[str, Mapping[str, Any]]:
        """Titles of tables of facts, and their rows: of the dataset, of each model's training."""

    def figures(self) -> dict[str, Figure]:
        """Figures by file name."""

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON; `summary` is what the card of exported weights keeps."""

    def flat_metrics(self, model: int = 0) -> dict[str, float]:
        """Metrics of one model under flat names, `<split>/<metric>`, for MLflow."""


def write(
    report: Report,
    folder: Path,
    training: Mapping[str, Figure] | None = None,
    run: Mapping[str, str] | None = None,
) -> Path:
    """Write `evaluation.json`, `report.html` and the figures, each atomically, the JSON last.

    Args:
        report: report of an evaluation.
        folder: created if missing; figures of an earlier evaluation there are replaced.
        training: further figures: the training curves of the models, by label.
        run: facts of the run that was evaluated.

    Returns:
        The folder.

    Raises:
        InputError: the folder cannot be created or written to.
    """
    more = {f"training-{file_name(label)}.png": each for label, each in (training or {}).items()}
    figures = {**report.figures(), **more}
    html = page.render(report, figures, {**report.facts, "Run": run or {}})
    make_folder(folder)
    files = [*figures, REPORT]
    result = json.dumps({**report.to_json(), "files": files}, indent=2, allow_nan=False)
    earlier = _earlier_figures(folder)
    for name, figure in figures.items():
        write_atomically(folder / name, figure.png)
    write_atomically(folder / REPORT, html.encode())
    write_atomically(folder / RESULT, f"{result}\n".encode())
    for name in earlier - set(files):
        (folder / name).unlink(missing_ok=True)
    return folder


def _earlier_figures(folder: Path) -> set[str]:
    """Figures that an earlier report in the folder names as its own."""
    try:
        named = json.loads((folder / RESULT).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in named if Path(name).name == name and name.endswith(".png")}


def labels_of(families: Sequence[str], versions: Sequence[str]) -> tuple[str, ...]:
    """Family and version of each model, numbered where two are the same."""
    pairs = itertools.zip_longest(families, versions[: len(families)], fillvalue="")
    plain = [f"{family} {version}".strip() for family, version in pairs]
    return tuple(
        f"{label} ({plain[: i + 1].count(label)})" if plain.count(label) > 1 else label
        for i, label in enumerate(plain)
    )


def file_name(label: str) -> str:
    """A label as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", label).strip("-")


def training_facts(model: Model) -> dict[str, Any]:
    """Training facts of a model, for a report."""
    card = model.card
    return {
        "config": card.config,
        "dataset_sha256": card.dataset_sha256,
        "seed": card.seed,
        "code_version": card.code_version,
    }


def dataset_facts(dataset: ShardDataset, split: str) -> dict[str, Any]:
    """Dataset facts of an evaluation, for a report."""
    manifest = dataset.manifest
    return {
        "name": dataset.path.resolve().name,
        "split": split,
        "rows": manifest.rows,
        "sha256": dataset.sha256(),
        "seed": manifest.seed,
        "response_sha256": manifest.response_sha256,
        "code_version": manifest.code_version,
        "instrument": getattr(dataset.spec, "instrument", ""),
    }
