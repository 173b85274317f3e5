"""Cards and weights of earlier layouts load, and give the numbers that they gave."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.synthetic import SPEC

from wolter import family as families
from wolter.errors import InputError
from wolter.registry import pretrained
from wolter.registry.checkpoint import Card, load_model, read_card, save_model
from wolter.registry.migrations import LAYOUT, MIGRATIONS, migrate_card, migrate_weights


def test_a_card_says_which_layout_its_weights_are_in(tmp_path):
    old = {
        "family": "mlp",
        "config": {},
        "spec": {"energy_edges": [1.0, 2.0]},
        "only": ["head"],
        "before": [{"dataset_sha256": "a", "seed": 1, "dataset": {}, "only": []}],
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(old))
    card = read_card(file)
    assert card.layout == 0
    assert card.trainable == ("head",)
    assert card.lineage == ({"dataset_sha256": "a", "seed": 1, "dataset": {}, "trainable": []},)
    assert Card("mlp", {}, SPEC).layout == LAYOUT == len(MIGRATIONS)
    assert migrate_card({**old, "layout": LAYOUT}) == {**old, "layout": LAYOUT}


def test_the_spec_of_an_earlier_card_names_the_model_of_its_dataset():
    config = {"model": "wabs * powerlaw", "fixed": {"sigma": 0.1}, "kev": 1}
    old = {"spec": {"fixed": {"z": 0.0}}, "dataset": {"config": config}}
    expected = {"model": "wabs * powerlaw", "fixed": {"z": 0.0}}
    assert migrate_card(old)["spec"] == expected
    assert migrate_card({"spec": {}})["spec"] == {}


def test_weights_of_an_earlier_layout_give_the_same_numbers(tmp_path):
    family = families.load("mlp")
    module = family.build(family.config(), SPEC)
    for name, value in module.named_buffers():
        if name.startswith("features.anomaly."):
            value.copy_(torch.full_like(value, 2.0))
    save_model(tmp_path, Card("mlp", {}, SPEC), module)
    weights, card = tmp_path / "model.safetensors", tmp_path / "config.json"
    now = load_file(weights)
    save_file({k.replace(".anomaly.", ".novelty."): v for k, v in now.items()}, weights)
    values = json.loads(card.read_text())
    del values["layout"]
    card.write_text(json.dumps(values))
    again = load_model(tmp_path)
    assert again.card.layout == LAYOUT
    found = again.module.state_dict()
    assert found.keys() == now.keys()
    assert all(torch.equal(found[name], now[name]) for name in now)


def test_what_was_never_learnt_is_unknown():
    fresh = {"features.anomaly.mean_C": torch.full((3,), torch.nan), "a": torch.zeros(1)}
    found = migrate_weights({"a": torch.ones(1)}, 0, fresh)
    assert bool(found["features.anomaly.mean_C"].isnan().all())
    assert float(found["a"]) == 1.0
    assert migrate_weights({"a": torch.ones(1)}, LAYOUT, fresh).keys() == {"a"}


def test_pretrained_weights_are_in_an_earlier_layout_or_this_one():
    folder = Path(str(pretrained._folder()))
    cards = [read_card(file) for file in sorted(folder.glob("*.json"))]
    assert len(cards) == len(pretrained.names())
    assert all(0 <= card.layout <= LAYOUT for card in cards)


@pytest.mark.parametrize("layout", [LAYOUT + 1, -1, "2", True, 1.0])
def test_a_layout_of_a_later_version_is_refused(tmp_path, layout):
    """Its numbers would be read as if they were known, and say nothing."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"family": "mlp", "config": {}, "spec": {}, "layout": layout}))
    with pytest.raises(
        InputError, match=rf"^{re.escape(str(file))}: layout = .* knows 0 to {LAYOUT}"
    ):
        read_card(file)
