"""Pictures of a release: which models make them of which datasets, and what is left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from wolter import task as tasks
from wolter.catalogue.assemble import Assembled
from wolter.catalogue.pictures import scored
from wolter.catalogue.pictures.cut import Made, cut_pictures
from wolter.catalogue.pictures.score import (
    PictureModel,
    PictureWork,
    make_pictures,
    picturing_of,
)
from wolter.catalogue.score import ModelRef, champions
from wolter.catalogue.tables import PICTURE
from wolter.data.shards import ShardDataset
from wolter.errors import InputError


@dataclass(frozen=True)
class Pictured:
    """Pictures of the records of datasets.

    Attributes:
        made: what each model made.
        new: number of pictures of records that were made for it.
        rejects: record and reason of each that gives no picture.
        unread: model, dataset and reason of each pair that does not fit.
    """

    made: tuple[Made, ...] = ()
    new: int = 0
    rejects: tuple[tuple[str, str], ...] = ()
    unread: tuple[tuple[str, str, str], ...] = ()


def parted(
    datasets: Sequence[ShardDataset],
) -> tuple[tuple[ShardDataset, ...], tuple[ShardDataset, ...]]:
    """Datasets whose records are scored, and those of which there are pictures alone.

    Raises:
        InputError: no dataset is scored.
    """
    loaded = [tasks.load(name) for name in tasks.names()]
    scores = {task.kind.name for task in loaded if task.scoring() is not None}
    pictures = {task.kind.name for task in loaded if task.picturing() is not None}
    alone = tuple(data for data in datasets if data.manifest.kind in pictures - scores)
    others = tuple(data for data in datasets if data not in alone)
    if datasets and not others:
        raise InputError(
            f"{alone[0].path}: pictures alone, of which no source is known; give a dataset of "
            f"{' or '.join(sorted(scores))} with positions, too"
        )
    return others, alone


def chosen(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of models whose answers are rows, and of those whose answers are pictures.

    Args:
        names: FAMILY or FAMILY@VERSION of each.

    Raises:
        InputError: there is no such model.
    """
    pictures = tuple(n for n in names if picturing_of(n.partition("@")[0]) is not None)
    return tuple(name for name in names if name not in pictures), pictures


def all_simulated(datasets: Sequence[ShardDataset]) -> dict[bool, Path]:
    """A dataset that is simulated, and one that is not, if there are such."""
    loaded = [tasks.load(name) for name in tasks.names()]
    by_kind = {task.kind.name: each for task in loaded if (each := task.picturing()) is not None}
    return {by_kind[data.manifest.kind].simulated(data): data.path for data in datasets}


def picture(
    datasets: Sequence[ShardDataset],
    names: Sequence[str],
    store: Path,
    workers: int | None = None,
    on_shard: Callable[[int], None] | None = None,
) -> Pictured:
    """Make the pictures of datasets that are not in the store.

    Args:
        datasets: of which there are pictures.
        names: FAMILY or FAMILY@VERSION of each model; empty for the champions.
        store: see `wolter.catalogue.scored.folder`.
        workers: tasks at a time.
        on_shard: called with the number of rows as each shard is done.

    Raises:
        InputError: there is no such model, or none reads a dataset.
    """
    if not datasets:
        return Pictured()
    refs = tuple(map(ModelRef.of, names)) or champions(lambda task: task.picturing())
    models = [PictureModel.load(ref) for ref in refs]
    work, unread = [], []
    for data in datasets:
        why = {each.ref: each.picturing.problem(each.model, data.spec) for each in models}
        if all(why.values()):
            told = "; ".join(f"{ref.name} {reason}" for ref, reason in why.items())
            raise InputError(f"{data.path}: no model reads it: {told}")
        unread += [(ref.name, str(data.path), reason) for ref, reason in why.items() if reason]
        reading = tuple(ref for ref, reason in why.items() if not reason)
        work += [PictureWork(data, index, reading) for index in range(len(data.files))]
    new = make_pictures(work, store, workers, on_shard)
    made = tuple(
        Made(
            each.ref,
            each.picturing.layers(each.model),
            tuple(
                dict.fromkeys(one.file(store, each.ref) for one in work if each.ref in one.models)
            ),
        )
        for each in models
    )
    return Pictured(made, new, _rejects(made), tuple(unread))


def _rejects(made: Sequence[Made]) -> tuple[tuple[str, str], ...]:
    found: dict[tuple[str, str], None] = {}
    for each in made:
        for file in each.files:
            places = scored.read_places(file)
            bad = np.flatnonzero(np.array(places["reason"].to_pylist()) != "")
            rows = places.take(pa.array(bad))
            pairs = zip(rows["record"].to_pylist(), rows["reason"].to_pylist(), strict=True)
            found |= dict.fromkeys(pairs)
    return tuple(found)


def with_pictures(assembled: Assembled, pictured: Pictured, file: Path) -> Assembled:
    """Cut the pictures of a release's sources into a file, and add the table of them.

    Without any, no file is written and no table added.
    """
    if not pictured.made:
        return assembled
    about = assembled.about
    rows = cut_pictures(file, pictured.made, assembled.rows["source"], about.name)
    if not len(rows):
        file.unlink()
        return assembled
    about = replace(
        about,
        tables=(*about.tables, PICTURE),
        rows={**about.rows, PICTURE.name: len(rows)},
    )
    return replace(assembled, about=about, rows={**assembled.rows, PICTURE.name: rows})
