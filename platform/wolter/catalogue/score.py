"""Scoring of shard datasets with models: what is not yet in the store of scored records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from wolter import family as families
from wolter import task as tasks
from wolter.answering.picturing import Picturing
from wolter.answering.scoring import Scores, Scoring
from wolter.catalogue import scored
from wolter.cluster import connected
from wolter.data.pipeline import in_tasks
from wolter.data.record_kinds import record_kind
from wolter.data.shards import ShardDataset, table_to_numpy, to_batch
from wolter.errors import InputError, told_by_tasks
from wolter.registry.checkpoint import CARD, Model, fingerprint, load_model
from wolter.registry.pretrained import find

FEW = 2048  # records that are scored before Ray would have started


@dataclass(frozen=True)
class ModelRef:
    """A model that scores.

    Attributes:
        name: name of the model.
        version: version of the model.
        folder: its checkpoint.
    """

    name: str
    version: str
    folder: str

    @classmethod
    def of(cls, text: str) -> "ModelRef":
        """The champion of a family, or `FAMILY@VERSION`, or `FAMILY@FOLDER` of a checkpoint.

        Raises:
            InputError: there is no such model.
        """
        name, _, version = text.partition("@")
        if version and (Path(version) / CARD).is_file():
            model = load_model(Path(version))
            found = model.family.model_name(model.card.spec)
            if found != name:
                raise InputError(f"{version}: holds a model of {found}, not of {name}")
            return cls(name, fingerprint(model), str(Path(version).absolute()))
        folder, found = find(name, version or "champion")
        return cls(name, found, str(folder.absolute()))

    def load(self) -> tuple[Model, Scoring]:
        """The model and what makes rows of it.

        Raises:
            InputError: it does not load, or its answers are no rows.
        """
        return load_model(Path(self.folder)), scoring_of(self.name)


def scoring_of(name: str) -> Scoring:
    """What makes catalogue rows of a model's answers, by the name of the model.

    Raises:
        InputError: its answers are no rows.
    """
    family = families.load(name)
    scoring = tasks.load(family.task).scoring()
    if scoring is None:
        raise InputError(f"{name}: what it answers is no row of a catalogue; leave it out")
    return scoring


def champions(
    publisher: Callable[[tasks.Task], Scoring | Picturing | None] = lambda task: task.scoring(),
) -> tuple[ModelRef, ...]:
    """The models that are published where none are named: one of each task that has one.

    Args:
        publisher: what a task publishes by, rows or pictures; None where it does not.
    """
    chosen = []
    loaded = [families.load(name) for name in families.names()]
    for name in tasks.names():
        found = publisher(tasks.load(name))
        of_task = [family for family in loaded if family.task == name]
        if found is not None and of_task:
            chosen.append(ModelRef.of(found.default(of_task).name))
    return tuple(chosen)


@dataclass(frozen=True)
class Work:
    """A shard to score.

    Attributes:
        dataset: its dataset.
        index: its number there.
        check: also check the goodness of fit.
    """

    dataset: ShardDataset
    index: int
    check: bool

    @property
    def rows(self) -> int:
        """Number of its records."""
        return self.dataset.manifest.shards[self.index].rows

    @property
    def sha256(self) -> str:
        """SHA-256 of the shard."""
        return self.dataset.manifest.shards[self.index].sha256


class Scorer:
    """Ray Data task that keeps facts and estimates of shards."""

    def __init__(self, store: str, models: Sequence[ModelRef], work: Sequence[Work]) -> None:
        torch.set_num_threads(1)
        self.store, self.work = Path(store), work
        self.models = [(ref, *ref.load()) for ref in models]

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Score the shards whose numbers are given."""
        done = [self.score(int(index)) for index in batch["id"]]
        return {"id": list(batch["id"]), "scored": done}

    def score(self, index: int) -> int:
        """Score a shard; return the number of estimates that are new."""
        work = self.work[index]
        spec, kind = work.dataset.spec, record_kind(work.dataset.manifest.kind)
        table: pa.Table | None = None
        facts = scored.read_facts(self.store, work.sha256)
        if facts is None:
            table = work.dataset.read(work.index)
            columns = table_to_numpy(
                table.select([c for c in table.column_names if c in kind.columns])
            )
            told = self.models[0][2].facts(table, spec)
            facts = scored.write_facts(self.store, work.sha256, told, scored.hashes(columns))
        hash_B, new = facts[scored.HASH].to_numpy(), 0
        for ref, model, scoring in self.models:
            if scoring.problem(model, spec):
                continue
            place = scored.of_model(self.store, ref.name, ref.version, work.check)
            missing_M = np.flatnonzero(~np.isin(hash_B, scored.known(place)))
            if not len(missing_M):
                continue
            table = work.dataset.read(work.index) if table is None else table
            rows = table.take(pa.array(missing_M))
            scores = estimates(model, scoring, rows, kind.name, work.check)
            scored.write_scores(place, hash_B[missing_M], scores, scoring.axes(model))
            new += len(missing_M)
        return new


def estimates(model: Model, scoring: Scoring, rows: pa.Table, kind: str, check: bool) -> Scores:
    """Ask a model about rows of a shard, in pieces that fit into memory."""
    remarks = scoring.remarks(rows, model)
    batch = to_batch(table_to_numpy(rows), kind)
    size, parts = record_kind(kind).batch_rows(model.card.spec), []
    for start in range(0, len(batch), size):
        piece = slice(start, start + size)
        parts.append(scoring.score(model, batch[piece], remarks[piece], check))
    return join(parts)


def join(parts: Sequence[Scores]) -> Scores:
    """Scores of pieces as one."""
    samples = [part.samples_BSP for part in parts if part.samples_BSP is not None]
    return Scores(
        {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
        [flags for part in parts for flags in part.flags],
        [reason for part in parts for reason in part.reasons],
        np.concatenate(samples) if samples else None,
        [look for part in parts for look in part.looks],
    )


def score_shards(
    work: Sequence[Work],
    models: Sequence[ModelRef],
    store: Path,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
) -> int:
    """Score shards with Ray Data, one a task; few records in this process.

    Args:
        work: the shards.
        models: the models; each reads those of its kind and grid.
        store: see `wolter.catalogue.scored.folder`.
        workers: tasks at a time; by default as many as there are cores.
        on_shard: called with the number of rows as each shard is done.

    Returns:
        The number of estimates that are new.
    """
    total = 0

    def done(index: int, new: int) -> None:
        nonlocal total
        total += new
        if on_shard is not None:
            on_shard(work[index].rows)

    if sum(each.rows for each in work) <= FEW:
        scorer = Scorer(str(store), models, work)
        for index in range(len(work)):
            done(index, scorer.score(index))
        return total
    with connected(), told_by_tasks():
        results = in_tasks(Scorer, (str(store.absolute()), models, work), len(work), workers)
        for row in results.iter_rows():
            done(int(row["id"]), int(row["scored"]))
    return total
