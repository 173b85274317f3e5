"""Loss curves under a fixed seed, so that a change of the numbers is always a decision.

After such a decision: `python -m tests.unit.train.test_golden`.
"""

import json
from pathlib import Path

import pytest
import torch
from tests.synthetic import SPEC, make_batch

from wolter import family as families
from wolter.data.batches import BatchConfig, EpochReader
from wolter.train.loop import TrainConfig, Trainer, build

GOLDEN = Path(__file__).parents[2] / "golden" / "loss_curves.json"
SIZES = {
    "mlp": {"width": 32, "depth": 2},
    "cnn": {"filters": 4, "width": 32},
    "deepspectra": {"widths": (32, 16), "width": 32, "blocks": 1},
}


def loss_curve(name: str) -> list[float]:
    family = families.load(name)
    records = make_batch(512)
    module = build(family, family.config(**SIZES[name]), SPEC, seed=0)
    family.normalise(module, records)
    config = TrainConfig(epochs=6, batch_size=64, learning_rate=3e-3, device="cpu")
    curve: list[float] = []
    Trainer(family, module, config, len(records)).run(
        EpochReader(lambda epoch: iter([records]), BatchConfig(size=64), n_kept=len(records)),
        on_epoch=lambda epoch: curve.append(epoch.train["loss"]),
    )
    return curve


@pytest.mark.parametrize("name", SIZES)
def test_the_loss_falls_as_it_did(name):
    # Processors round differently, which moves single Poisson draws; real changes move more.
    assert loss_curve(name) == pytest.approx(json.loads(GOLDEN.read_text())[name], abs=0.02)


if __name__ == "__main__":
    torch.set_num_threads(1)
    GOLDEN.write_text(json.dumps({name: loss_curve(name) for name in SIZES}, indent=2) + "\n")
