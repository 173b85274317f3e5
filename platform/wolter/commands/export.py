"""`wolter export`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from wolter.data.out_paths import check_folder
from wolter.data.shards import ShardDataset, open_dataset
from wolter.errors import InputError
from wolter.registry import mlflow_store, pretrained
from wolter.registry.checkpoint import Card, load_model, provenance


@dataclass(frozen=True)
class Export:
    """Export a model as pretrained weights: half precision, with a card.

    Data-derived state and ranges of the training data that earlier weights lack are learnt from
    the dataset, and nothing else.

    Attributes:
        family: name of the model: of a family, FAMILY, or of its variant, FAMILY-VARIANT.
        data: the dataset that it was trained on last, or its first shards, for the card.
        version: version, run id or alias of the model in the registry; "pretrained" for the weights
            that come with the package.
        evaluation: JSON of `wolter evaluate`, for the card's metrics; without it the card keeps its
            metrics, or takes the validation metrics of the run.
        out: folder of the weights.
    """

    family: tyro.conf.Positional[str]
    data: Path
    version: str = "champion"
    evaluation: Path | None = None
    out: Path = Path("models/weights")

    def run(self) -> int:
        """Export, and say how large the weights are."""
        check_folder(self.out)
        folder, version = pretrained.find(self.family, self.version)
        model = load_model(folder)
        data = open_dataset(self.data)
        if pretrained.backfill(model, data):
            print(f"{self.family}: what its weights lacked is learnt from {self.data}")
        model, metrics = pretrained.with_ranges(model, data), self._metrics(model.card, version)
        weights, card = pretrained.export(model, self.out, _whole(model.card, data), metrics)
        print(f"{weights} ({weights.stat().st_size / 1e6:.1f} MB), {card}")
        return 0

    def _metrics(self, card: Card, version: str) -> dict[str, Any]:
        if self.evaluation is not None:
            return _read(self.evaluation)
        if card.metrics or version.startswith(pretrained.PRETRAINED):
            return card.metrics
        last = mlflow_store.history(mlflow_store.run_of(self.family, version))
        validation = "validation/"
        return {
            name.removeprefix(validation): values[-1][1]
            for name, values in last.items()
            if name.startswith(validation)
        }


def _whole(card: Card, data: ShardDataset) -> dict[str, Any]:
    """Provenance of the whole training dataset, of which `data` may be a part."""
    whole, given = card.dataset, provenance(data.manifest)
    config = whole.get("config", {})
    same = whole.get("seed") == given["seed"] and all(
        given["config"].get(name) == value for name, value in config.items()
    )
    return whole if same and whole.get("rows", 0) > given["rows"] else given


def _read(file: Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads(file.read_text())["summary"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{file}: not the JSON of `wolter evaluate` ({error})") from error
    return summary


COMMAND = Export
