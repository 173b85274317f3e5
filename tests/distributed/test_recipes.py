"""A recipe is made: simulated, trained in steps, promoted; again, it does nothing anew."""

import importlib
import sys
from pathlib import Path

import pytest

from wolter.registry import mlflow_store
from wolter.registry.checkpoint import load_model
from wolter.spectra.simulator import SimulateConfig
from wolter.train.runner import train_local

pytestmark = pytest.mark.distributed
ROOT = Path(__file__).parents[2]


@pytest.fixture
def published(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "jobs")
    module = importlib.import_module("_published")
    monkeypatch.setattr(module, "train", train_local)  # training on Ray has tests of its own
    yield module
    sys.modules.pop("_published")


def test_a_recipe_goes_on_from_the_steps_that_are_done(ray_session, store, published, capsys):
    def step(seed):
        data = published.Dataset(f"tiny{seed}", SimulateConfig(), n=300, seed=seed)
        how = published.how("mlp", epochs=1, batch_size=64, device="cpu", seed=seed)
        return published.Step(data, how, {"width": 16} if seed == 1 else {})

    assert published.Recipe("tiny", "mlp", (step(1),)).make() == "mlp"
    first = mlflow_store.champion("mlp")
    assert "simulating 300 of tiny1" in capsys.readouterr().out
    recipe = published.Recipe("tiny", "mlp", (step(1), step(2)))
    recipe.make()
    printed = capsys.readouterr().out
    assert "tiny1" not in printed
    assert "simulating 300 of tiny2" in printed
    second = mlflow_store.champion("mlp")
    assert first != second
    card = load_model(mlflow_store.find("mlp", "champion")[0]).card
    assert card.config["width"] == 16
    assert [each["seed"] for each in card.lineage] == [1]
    recipe.make()
    assert "simulating" not in capsys.readouterr().out
    assert mlflow_store.champion("mlp") == second
