"""Checkpoints: a folder of safetensors and JSON, no pickles.

`model.safetensors` holds weights and normalisation, `config.json` what rebuilds the module. A
training run adds what resumes it, see `wolter.train.resume`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from wolter import __version__
from wolter import config as configs
from wolter import family as families
from wolter.data.record_kinds import Ranges, Spec
from wolter.data.shards import Manifest
from wolter.errors import InputError
from wolter.family import Family
from wolter.files import make_folder, write_atomically
from wolter.outputs import Output
from wolter.registry.migrations import LAYOUT, migrate_card, migrate_weights

WEIGHTS, CARD = "model.safetensors", "config.json"


@dataclass(frozen=True)
class Card:
    """Model card: config, data description and provenance of a checkpoint.

    Attributes:
        family: name of the family.
        config: config of the family.
        spec: spec of the records it was trained on.
        dataset_sha256: hash of the training dataset's manifest.
        seed: seed of weights, order and noise.
        code_version: version of the code that trained it.
        dataset: provenance of the training dataset; see `provenance`.
        trainable: parts that learnt from it; empty for all of them.
        lineage: `dataset_sha256`, `seed`, `dataset` and `trainable` of what the weights to start
            from were trained on, the latest first.
        metrics: evaluation metrics by name.
        trained: ranges that the training dataset covers; None where unknown.
        layout: layout version of fields and tensors, see `wolter.registry.migrations`.
    """

    family: str
    config: dict[str, Any]
    spec: Spec
    dataset_sha256: str = ""
    seed: int = 0
    code_version: str = __version__
    dataset: dict[str, Any] = field(default_factory=dict)
    trainable: tuple[str, ...] = ()
    lineage: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    trained: Ranges | None = None
    layout: int = LAYOUT

    @property
    def history(self) -> tuple[dict[str, Any], ...]:
        """`lineage` of a model that starts from this one."""
        told = ("dataset_sha256", "seed", "dataset", "trainable")
        return ({name: getattr(self, name) for name in told}, *self.lineage)


def provenance(manifest: Manifest) -> dict[str, Any]:
    """Rows, seed and config of a dataset, with files by name only: cards are published."""
    # The card's spec has the others.
    told = {k: v for k, v in manifest.config.items() if k not in ("prior", "energy_edges")}
    config = {key: _short(value) for key, value in told.items()}
    return {"rows": manifest.rows, "seed": manifest.seed, "config": config}


def _short(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _short(item) for key, item in value.items()}
    return Path(value).name if isinstance(value, str) and "/" in value else value


@dataclass(frozen=True)
class Model:
    """A loaded model, ready to predict."""

    family: Family
    card: Card
    module: nn.Module

    @property
    def config(self) -> Any:
        """The family's config, typed."""
        return configs.from_dict(self.family.config, self.card.config)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Outputs that the family predicts of the records that the model was trained on."""
        return self.family.outputs(self.config, self.card.spec)


def fingerprint(model: Model) -> str:
    """Version of a model that no registry has numbered: a hash of its weights."""
    digest = hashlib.sha256()
    for name, value in sorted(model.module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(np.ascontiguousarray(value.cpu().numpy()).data)
    return f"sha256:{digest.hexdigest()[:12]}"


def read_card(file: Path) -> Card:
    """Read a card, of this layout or an earlier one; its `layout` is that of the weights.

    Raises:
        InputError: the file is missing, is not valid, or has unknown keys.
    """
    values = configs.read(file)
    try:
        return configs.from_dict(Card, {"layout": 0} | migrate_card(values))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def save_model(folder: Path, card: Card, module: nn.Module) -> None:
    """Write weights, normalisation and card."""
    make_folder(folder)
    tensors = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(tensors))
    configs.save(card, folder / CARD)


def load_model(folder: Path, device: str = "cpu") -> Model:
    """Rebuild a module, in evaluation mode.

    Those of earlier layouts are brought forward, see `wolter.registry.migrations`.

    Args:
        folder: of a checkpoint; or the card `NAME.json` of weights `NAME.safetensors` beside it.
        device: device of the module.

    Raises:
        InputError: a file is missing or damaged, or the family or its config is unknown.
    """
    single = folder.suffix == ".json"
    weights = folder.with_suffix(".safetensors") if single else folder / WEIGHTS
    card = read_card(folder if single else folder / CARD)
    family = families.load(card.family)
    card = replace(card, config=family.upgrade(card.config))
    with torch.random.fork_rng(devices=[]):  # initial weights are overwritten
        module = family.build(configs.from_dict(family.config, card.config), card.spec)
    try:
        tensors = load_file(weights)
        module.load_state_dict(migrate_weights(tensors, card.layout, module.state_dict()))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{weights}: not this model's weights ({reason})") from error
    return Model(family, replace(card, layout=LAYOUT), module.to(device).eval())
