"""Pictures of shard datasets by models: what is not yet in the store of pictures."""

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
from wolter.catalogue.pictures import scored
from wolter.catalogue.score import ModelRef
from wolter.cluster import connected
from wolter.data.pipeline import in_tasks
from wolter.data.record_kinds import record_kind
from wolter.data.shards import ShardDataset
from wolter.errors import told_by_tasks
from wolter.registry.checkpoint import Model, load_model

FEW_BYTES = 64 * 2**20  # of records that are done before Ray would have started


@dataclass(frozen=True)
class PictureModel:
    """A loaded model that answers with pictures."""

    ref: ModelRef
    model: Model
    picturing: Picturing

    @classmethod
    def load(cls, ref: ModelRef) -> "PictureModel":
        """Load a model for which there is a `Picturing`.

        Raises:
            InputError: it does not load.
        """
        picturing = picturing_of(ref.name)
        assert picturing is not None, ref.name
        return cls(ref, load_model(Path(ref.folder)), picturing)


def picturing_of(name: str) -> Picturing | None:
    """What makes pictures of a model's answers, by the name of the model; None where nothing does.

    Raises:
        InputError: there is no such model.
    """
    return tasks.load(families.load(name).task).picturing()


@dataclass(frozen=True)
class PictureWork:
    """A shard to make pictures of: dataset, number of the shard there, models that read it."""

    dataset: ShardDataset
    index: int
    models: tuple[ModelRef, ...]

    @property
    def rows(self) -> int:
        """Number of its records."""
        return self.dataset.manifest.shards[self.index].rows

    @property
    def sha256(self) -> str:
        """SHA-256 of the shard."""
        return self.dataset.manifest.shards[self.index].sha256

    def file(self, store: Path, ref: ModelRef) -> Path:
        """File of the store that holds what a model makes of it."""
        return scored.file_of(store, ref.name, ref.version, self.sha256)

    def missing(self, store: Path) -> bool:
        """True if the store lacks what a model makes of it."""
        return not all(self.file(store, ref).is_file() for ref in self.models)


class _Painter:
    """Ray Data task that keeps pictures of shards."""

    def __init__(self, store: str, work: Sequence[PictureWork]) -> None:
        torch.set_num_threads(1)
        self.store, self.work = Path(store), work
        refs = dict.fromkeys(ref for each in work for ref in each.models)
        self.models = {ref: PictureModel.load(ref) for ref in refs}

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Make the pictures of the shards whose numbers are given."""
        made = [self.make(int(index)) for index in batch["id"]]
        return {"id": list(batch["id"]), "made": made}

    def make(self, index: int) -> int:
        """Make the pictures of a shard that are not there; return their number."""
        work, table, new = self.work[index], None, 0
        spec = work.dataset.spec
        for ref in work.models:
            each, file = self.models[ref], work.file(self.store, ref)
            if file.is_file():
                continue
            table = work.dataset.read(work.index) if table is None else table
            places = each.picturing.places(table, spec)
            good = np.flatnonzero(np.array(places["reason"].to_pylist()) == "")
            pictures: list[Any] = [None] * table.num_rows
            rows = table.take(pa.array(good))
            found = each.picturing.pictures(each.model, rows, spec) if len(good) else []
            for row, picture in zip(good, found, strict=True):
                pictures[row] = picture
            scored.write(file, places, each.picturing.layers(each.model), pictures)
            new += len(good)
        return new


def make_pictures(
    work: Sequence[PictureWork],
    store: Path,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
) -> int:
    """Make pictures of shards with Ray Data, one a task; of few records in this process.

    Args:
        work: the shards.
        store: see `wolter.catalogue.scored.folder`.
        workers: tasks at a time; by default as many as there are cores.
        on_shard: called with the number of rows as each shard is done.

    Returns:
        The number of pictures that are new.
    """
    missing = [each for each in work if each.missing(store)]
    total = 0

    def done(index: int, new: int) -> None:
        nonlocal total
        total += new
        if on_shard is not None:
            on_shard(missing[index].rows)

    if not missing:
        return 0
    size = sum(
        each.rows * record_kind(each.dataset.manifest.kind).row_bytes(each.dataset.spec)
        for each in missing
    )
    if size <= FEW_BYTES:
        painter = _Painter(str(store), missing)
        for index in range(len(missing)):
            done(index, painter.make(index))
        return total
    with connected(), told_by_tasks():
        arguments = str(store.absolute()), missing
        for row in in_tasks(_Painter, arguments, len(missing), workers).iter_rows():
            done(int(row["id"]), int(row["made"]))
    return total
