"""Recipes in `jobs/`: they say how the weights of the package were made."""

import importlib
import sys
from pathlib import Path

import pytest

from wolter import config as configs
from wolter import family as families
from wolter.registry import pretrained
from wolter.registry.checkpoint import read_card

ROOT = Path(__file__).parents[2]
LATER = {"instrument", "filter"}  # named otherwise since


@pytest.fixture
def jobs(monkeypatch):
    """Import a script of `jobs/`."""
    monkeypatch.syspath_prepend(ROOT / "jobs")
    yield importlib.import_module
    for name in ("_published", "publish_tables", "publish_weights"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", pretrained.names())
def test_the_recipe_of_pretrained_weights_says_what_their_card_says(jobs, name):
    recipe = jobs("publish_weights").RECIPES[name]()
    card = read_card(pretrained.find(name, "pretrained")[0])
    first, last = recipe.steps[0], recipe.steps[-1]
    assert recipe.family == card.family
    assert (last.train.seed, last.dataset.seed) == (card.seed, card.dataset["seed"])
    family = families.load(recipe.family)
    model = configs.to_dict(configs.from_dict(family.config, first.model))
    assert model == family.upgrade(card.config)
    config = configs.to_dict(last.dataset.config)
    for key, value in card.dataset["config"].items():
        if key not in LATER:
            told = config[key]
            if key in ("rmf", "arf"):
                told = Path(told).name
            if key == "backgrounds":
                told = [Path(each).name for each in told]
            assert told == value, key
    assert card.dataset["rows"] % last.dataset.n == 0  # tiles of each field, of images


def test_all_weights_and_no_others_have_a_recipe(jobs):
    assert sorted(jobs("publish_weights").RECIPES) == list(pretrained.names())


def test_a_table_trains_each_family_on_the_standard_set(jobs):
    tables = jobs("publish_tables")
    steps = {name: tables.table(name).steps for name in tables.EPOCHS}
    assert {name: step.train.epochs for name, (step,) in steps.items()} == tables.EPOCHS
    assert {step.dataset.n for (step,) in steps.values()} == {200_000}
