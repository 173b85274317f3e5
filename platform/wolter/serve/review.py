"""Checks of new champions, in a process of their own: files, plain records, held-out records.

`python -m wolter.serve.review` reads `{"config": ..., "current": [...]}` as JSON and answers with
`{"models": [...], "notes": {...}}`. A model that ruins the process leaves the server as it is.
"""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from wolter import config as configs
from wolter import priority
from wolter import task as tasks
from wolter.data.batches import sample_split
from wolter.data.shards import open_dataset
from wolter.errors import InputError
from wolter.registry import mlflow_store, pretrained
from wolter.registry.checkpoint import Model, load_model
from wolter.serve.config import ServeConfig
from wolter.serve.models import ServedRef, choose

HELD_OUT = 512  # records of the test split
WORSE = 0.1  # of a metric, relative, which a new champion may not be worse by


@dataclass(frozen=True)
class Review:
    """What is to answer from now on.

    Attributes:
        models: the models.
        notes: why new champions were refused, by `NAME@VERSION`.
    """

    models: Sequence[ServedRef]
    notes: Mapping[str, str] = field(default_factory=dict)


def review(found: Sequence[ServedRef], current: Sequence[ServedRef]) -> Review:
    """Take new champions in place of those that answer, but for those that fail a check.

    Args:
        found: the champions of the registry.
        current: the models that answer.
    """
    models = {each.name: each for each in current}
    notes: dict[str, str] = {}
    for new in found:
        old = models.get(new.name)
        if new == old:
            continue
        why = new.problem or _problem(new, old)
        if not why:
            models[new.name] = new
            continue
        version = f"@{new.version}" if new.version else ""
        stays = f"; version {old.version} answers on" if old and not old.problem else ""
        notes[f"{new.name}{version}"] = f"refused as champion: {why}{stays}"
        if old is None:
            models[new.name] = ServedRef(new.name, "", new.version, why)
    return Review(tuple(models.values()), notes)


def _problem(new: ServedRef, old: ServedRef | None) -> str:
    """Reason why a model must not answer; empty where it may."""
    try:
        model = load_model(Path(new.folder))
        if why := tasks.load(new.task).problem(model):
            return why
        if old is not None and not old.problem:
            return _worse(new, model, load_model(Path(old.folder)))
    except InputError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ""


def _worse(new: ServedRef, model: Model, before: Model) -> str:
    """How a model is worse than the one before it on held-out records; empty where it is not.

    The records are those of the new model's own dataset, where this is at hand. Models that read
    other records are not compared.
    """
    if pretrained.PRETRAINED in new.version or model.card.spec != before.card.spec:
        return ""
    folder = mlflow_store.training_data(new.name, new.version)
    if not folder.is_dir():
        return ""
    dataset = open_dataset(folder)
    if model.card.spec.mismatch(dataset.spec):
        return ""
    batch = sample_split(dataset, "test", HELD_OUT)
    found, found_before = (_measured(each, batch) for each in (model, before))
    told = [m for m in model.family.metrics if m.name in found and m.name in found_before]
    if not told:
        return ""
    metric = told[0]
    ours, theirs = found[metric.name], found_before[metric.name]
    better = metric.better == "lower"
    margin = WORSE * abs(theirs)
    if not math.isfinite(ours) or (ours > theirs + margin if better else ours < theirs - margin):
        return f"{metric.name} of {ours:.4g} on held-out records, {theirs:.4g} of the one before"
    return ""


def _measured(model: Model, batch: object) -> dict[str, float]:
    with torch.inference_mode():
        measured = model.family.measure(model.module, batch)
    return {name: float(value) for name, value in measured.items()}


def main() -> None:
    """Answer one line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the log
    priority.lower(priority.WAITS)
    torch.set_num_threads(1)
    given = json.loads(sys.stdin.readline())
    current = [configs.from_dict(ServedRef, each) for each in given["current"]]
    found = choose(configs.from_dict(ServeConfig, given["config"]))
    told = review(found, current)
    models = [configs.to_dict(each) for each in told.models]
    print(json.dumps({"models": models, "notes": dict(told.notes)}), file=answers, flush=True)


if __name__ == "__main__":
    main()
