"""What every model family must do, and one of another package; new ones need no change here."""

import math
from dataclasses import fields
from importlib.metadata import EntryPoint

import pytest
import torch
from tests.synthetic import RECORDS

from wolter import config as configs
from wolter import family as families
from wolter import plugins
from wolter import task as tasks
from wolter.data.record_kinds import record_kind
from wolter.errors import InputError
from wolter.family import Choice, Range
from wolter.outputs import mismatch
from wolter.registry.checkpoint import Card, load_model, save_model
from wolter.train.loop import TrainConfig, Trainer, build
from wolter.tune.sampling import draw

# Least part of a metric that training on eight records gains; those to be raised may be in dB.
LEARNT = {"lower": 0.4, "higher": 0.1}


@pytest.fixture(scope="module")
def another():
    """A family of another package, as if it were installed."""
    point = EntryPoint("hardness", "tests.other_family.hardness_autoencoder:FAMILY", families.GROUP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            plugins, "entry_points", lambda group: [point] if group == families.GROUP else []
        )
        yield point.name


@pytest.fixture(scope="module", params=[*families.names(), "hardness"])
def family(request, another):
    return families.load(request.param)


@pytest.fixture(scope="module")
def spec(family):
    return RECORDS[family.kind][0]


@pytest.fixture(scope="module")
def batch(family):
    return RECORDS[family.kind][1](64)


@pytest.fixture
def module(family, spec, batch):
    module = build(family, family.config(), spec, seed=0)
    family.normalise(module, batch)
    if family.settle is not None:
        with torch.no_grad():
            family.settle(module.eval(), iter([batch]))
    return module


def test_the_name_is_the_file_and_the_config_is_frozen(family):
    assert family.name in families.names()
    assert family.config.__dataclass_params__.frozen


def test_weights_depend_on_the_seed_alone(family, spec):
    def weights(seed):
        torch.rand(3)
        module = build(family, family.config(), spec, seed)
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_one_batch_gives_a_finite_loss_and_reaches_every_parameter(family, module, batch):
    module.train()
    loss, parts = family.loss(module, batch)
    assert loss.isfinite()
    assert all(part.isfinite() and not part.requires_grad for part in parts.values())
    loss.backward()
    unreached = [
        name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert unreached == []
    for name, p in module.named_parameters():
        assert p.grad.isfinite().all(), name


def test_eight_records_are_overfitted(family, module, batch):
    few = batch[:8]
    steps = 60 if family.kind == "images" else 150  # those cost most
    config = TrainConfig(epochs=steps, batch_size=8, weight_decay=0.0, device="cpu")
    judged, losses = family.metrics[0], []

    @torch.no_grad()
    def measured() -> float:
        return float(family.measure(module.eval(), few)[judged.name])

    before = measured()
    trainer = Trainer(family, module, config, rows=8)
    trainer.run(lambda epoch: iter([few]), on_epoch=lambda e: losses.append(e.train["loss"]))
    gained = {"lower": before - measured(), "higher": measured() - before}[judged.better]
    assert losses[-1] < losses[0]
    assert gained > LEARNT[judged.better] * abs(before)


def test_metrics_are_finite_scalars(family, module, batch):
    module.eval()
    metrics = family.measure(module, batch)
    assert metrics
    assert all(value.numel() == 1 and value.isfinite() for value in metrics.values())


def test_config_and_checkpoint_round_trip_gives_the_same_predictions(
    family, spec, module, batch, tmp_path
):
    config = family.config()
    assert configs.from_dict(family.config, configs.to_dict(config)) == config
    save_model(tmp_path, Card(family.name, configs.to_dict(config), spec), module)
    loaded = load_model(tmp_path)
    assert loaded.card.spec == spec
    with torch.no_grad():
        before = family.predict(module.eval(), batch)
        after = family.predict(loaded.module, batch)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_unknown_config_keys_are_rejected(family):
    with pytest.raises(InputError, match="colour"):
        configs.from_dict(family.config, {"colour": 1})


def test_one_record_and_many_get_the_same_answer(family, module, batch):
    module.eval()
    with torch.no_grad():
        many = family.predict(module, batch)
        for i in (0, 5, len(batch) - 1):
            one = family.predict(module, batch[i : i + 1])
            for name in many:
                # Matrix products of other shapes add up in another order: float32 noise.
                torch.testing.assert_close(one[name][0], many[name][i], rtol=1e-4, atol=1e-4)


def test_predictions_are_the_outputs_that_are_declared(family, spec, module, batch):
    module.eval()
    with torch.no_grad():
        values = family.predict(module, batch)
    declared = family.outputs(family.config(), spec)
    assert len({output.name for output in declared}) == len(declared)
    assert mismatch(declared, values, len(batch)) == ""


def test_metrics_that_models_are_compared_by_are_measured(family, module, batch):
    measured = family.measure(module.eval(), batch)
    assert family.metrics
    assert {metric.name for metric in family.metrics} <= set(measured)


def test_the_task_and_the_record_kind_exist(family):
    assert family.task.count("/") == 1
    assert record_kind(family.kind).name == family.kind
    assert tasks.load(family.task).kind is record_kind(family.kind)


def n_configs(space):
    """How many configs a space holds, without end where a range is continuous."""
    sizes = [len(each.values) if isinstance(each, Choice) else math.inf for each in space.values()]
    return math.prod(sizes)


def test_search_keys_and_values_belong_to_the_config(family):
    known = {field.name for field in fields(family.config)}
    assert family.search_space
    assert set(family.search_space) <= known
    drawn = draw(family, {}, family.search_space, min(60, n_configs(family.search_space)))
    for config in drawn:
        configs.from_dict(family.config, config)
    for key, space in family.search_space.items():
        found = [config[key] for config in drawn[1:]]
        if isinstance(space, Range):
            assert all(space.low <= value <= space.high for value in found)
        else:  # all of them are worth trying
            assert all(value in found for value in configs.to_dict({key: space.values})[key])
