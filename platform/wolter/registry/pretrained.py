"""Pretrained weights of the package, used until a run is promoted.

`models/weights/` holds `<model>.safetensors`, in half precision, and the card `<model>.json`; a
model has the name of its family, or of its variant (`Family.model_name`).
"""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from wolter import config as configs
from wolter.data.batches import sample_split, spread_split
from wolter.data.integrity import sha256_of
from wolter.data.record_kinds import record_kind
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.files import make_folder, write_atomically
from wolter.registry import mlflow_store
from wolter.registry.checkpoint import CARD, Model

PRETRAINED = "pretrained"


def find(family: str, which: str) -> tuple[Path, str]:
    """A model's folder (or its card, of pretrained weights) and version.

    Args:
        family: name of the family or model.
        which: see `wolter.registry.mlflow_store.find`; "pretrained" or their version for the
            package's own. Without a champion, the pretrained weights are it.

    Raises:
        InputError: there is none.
    """
    card = _card(family)
    if which == PRETRAINED and card is None:
        raise InputError(f"{family} comes without weights; train it with `wolter train`")
    if card is not None and which in (PRETRAINED, _version(card)):
        return card, _version(card)
    try:
        return mlflow_store.find(family, which)
    except InputError as error:
        if card is not None and which == mlflow_store.LATEST:
            raise InputError(f"{error}; version {PRETRAINED} is the package's own") from None
        if which != mlflow_store.CHAMPION or card is None or mlflow_store.has_champion(family):
            raise
        return card, _version(card)


def locate(family: str, which: str) -> Path:
    """Folder or card of a model: `which` may also be the folder of a checkpoint.

    Raises:
        InputError: there is none; see `find`.
    """
    folder = Path(which)
    return folder if (folder / CARD).is_file() else find(family, which)[0]


def names() -> tuple[str, ...]:
    """Models that come with weights."""
    folder = _folder()
    return tuple(sorted(file.stem for file in folder.glob("*.json"))) if folder.is_dir() else ()


def export(
    model: Model, folder: Path, dataset: dict[str, Any], metrics: dict[str, Any]
) -> tuple[Path, Path]:
    """Write weights in half precision, normalisation in full, and a card that says it all.

    Args:
        model: model to export.
        folder: `models/weights`.
        dataset: provenance of its training data.
        metrics: evaluation metrics by name.

    Returns:
        The files of the weights and of the card.
    """
    make_folder(folder)
    trained = {name for name, _ in model.module.named_parameters()}
    tensors = {}
    for name, value in model.module.state_dict().items():
        half = name in trained and value.is_floating_point()
        tensors[name] = (value.to(torch.float16) if half else value).cpu().contiguous()
    weights = folder / f"{model.family.model_name(model.card.spec)}.safetensors"
    write_atomically(weights, save(tensors))
    card = replace(model.card, dataset=dataset, metrics=metrics)
    configs.save(card, weights.with_suffix(".json"))
    return weights, weights.with_suffix(".json")


def with_ranges(model: Model, dataset: ShardDataset) -> Model:
    """Model whose card has the ranges of its training dataset, computed if missing.

    Args:
        model: loaded model of any kind.
        dataset: that it was trained on, or a part of it.
    """
    kind = record_kind(dataset.manifest.kind)
    if model.card.trained is not None or kind.ranges is None:
        return model
    sample = spread_split(dataset, "train", kind.sample_rows(dataset.spec))
    return replace(model, card=replace(model.card, trained=kind.ranges.of(sample)))


def backfill(model: Model, dataset: ShardDataset) -> bool:
    """Fill data-derived buffers that earlier weights lack (NaN); True if there were any.

    Args:
        model: model whose buffers are filled; nothing else of it changes.
        dataset: that it was trained on.

    Raises:
        InputError: the other buffers would differ, so that the dataset is not that one.
    """
    before = {name: value.clone() for name, value in model.module.named_buffers()}
    lacking = {name for name, value in before.items() if bool(value.isnan().all())}
    if not lacking:
        return False
    rows = record_kind(dataset.manifest.kind).sample_rows(dataset.spec)
    model.family.normalise(model.module, sample_split(dataset, "train", rows))
    for name in sorted(before.keys() - lacking):
        value = model.module.get_buffer(name)
        # Sums in another order round otherwise.
        if not torch.allclose(value.double(), before[name].double(), rtol=1e-3, atol=1e-5):
            raise InputError(
                f"{dataset.path}: not what {model.family.name} was trained on ({name} differs); "
                "give that dataset"
            )
        value.copy_(before[name])
    return True


def _folder() -> Path:
    return Path(str(files("wolter") / "models" / "weights"))


def _card(family: str) -> Path | None:
    card = _folder() / f"{family}.json"
    return card if card.is_file() else None


def _version(card: Path) -> str:
    return f"{PRETRAINED}-{sha256_of(card.with_suffix('.safetensors'))[:8]}"
