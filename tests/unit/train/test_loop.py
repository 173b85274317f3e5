import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.synthetic import SPEC, make_batch

from wolter import config as configs
from wolter import family as families
from wolter.data.batches import BatchConfig, count_rows, local_reader
from wolter.errors import InputError
from wolter.registry.checkpoint import Card, load_model
from wolter.train.loop import TrainConfig, Trainer, build, choose_device
from wolter.train.optimisers import LEAST, OPTIMISERS, optimisers
from wolter.train.resume import resume_training, save_training

MLP = families.load("mlp")
SMALL = MLP.config(width=16, depth=2, dropout=0.1)  # dropout, so that its state matters too
LARGE = MLP.config(width=128, depth=2, dropout=0.1)  # with matrices that are large enough for Muon


def make_trainer(config, rows, model=SMALL):
    module = build(MLP, model, SPEC, config.seed)
    MLP.normalise(module, make_batch(256))
    return Trainer(MLP, module, config, rows)


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.module.parameters()])


def reader(dataset, split="train", **changes):
    return local_reader(dataset, split, BatchConfig(size=64, **changes))


class TestLearningRate:
    config = TrainConfig(epochs=10, batch_size=10, warmup=0.1, learning_rate=1.0, device="cpu")

    @pytest.fixture
    def rates(self):
        trainer = make_trainer(self.config, rows=100)
        return [trainer.learning_rate(step) for step in range(100)]

    def test_it_rises_linearly_to_its_peak(self, rates):
        assert rates[:10] == pytest.approx([0.1 * i for i in range(1, 11)])

    def test_it_falls_by_a_cosine_to_zero(self, rates):
        assert rates[55] == pytest.approx(0.5)
        assert rates[10:] == sorted(rates[10:], reverse=True)
        assert rates[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 89 / 90)))

    def test_steps_beyond_the_plan_are_harmless(self):
        assert make_trainer(self.config, rows=100).learning_rate(1000) == pytest.approx(0.0)


@pytest.mark.parametrize(("optimiser", "rate"), [("adamw", 1e-3), ("muon", 3e-3)])
def test_training_lowers_the_errors_of_held_out_records(dataset, optimiser, rate):
    epochs = []
    config = TrainConfig(
        epochs=20, batch_size=64, device="cpu", optimiser=optimiser, learning_rate=rate
    )
    trainer = make_trainer(config, 540, LARGE if optimiser == "muon" else SMALL)
    trainer.run(reader(dataset), reader(dataset, "validation"), on_epoch=epochs.append)
    assert [e.number for e in epochs] == list(range(1, 21))
    assert {e.rows for e in epochs} == {count_rows(dataset, "train")}
    assert epochs[-1].train["loss"] < epochs[0].train["loss"] - 2
    assert epochs[-1].validation["mfe_percent"] < 0.5 * epochs[0].validation["mfe_percent"]


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_resumed_run_gives_the_weights_of_an_uninterrupted_one(dataset, tmp_path, optimiser):
    config = TrainConfig(
        epochs=4, batch_size=64, device="cpu", optimiser=optimiser, learning_rate=1e-2
    )
    model = LARGE if optimiser == "muon" else SMALL
    card = Card("mlp", configs.to_dict(model), SPEC)
    whole = make_trainer(config, 540, model)
    half = tmp_path / "half"

    def save(epoch):
        if epoch.number == 2:
            save_training(half, card, whole)

    whole.run(reader(dataset), on_epoch=save)
    resumed = Trainer(MLP, build(MLP, model, SPEC, seed=9), config, rows=540)
    resume_training(half, resumed)
    assert resumed.epoch == 2
    torch.rand(7)  # other random numbers drawn in the process change nothing
    resumed.run(reader(dataset))
    assert torch.equal(weights(whole), weights(resumed))


def test_a_family_settles_once_after_the_last_epoch_on_training_records(dataset):
    told = []

    def settle(module, batches):
        told.append((trainer.epoch, module.training, len(next(batches)), torch.is_grad_enabled()))

    module = build(MLP, SMALL, SPEC, 0)
    config = TrainConfig(epochs=3, batch_size=64, device="cpu")
    trainer = Trainer(replace(MLP, settle=settle), module, config, count_rows(dataset, "train"))
    trainer.run(reader(dataset))
    assert told == [(2, False, 64, False)]


def test_training_leaves_the_random_state_of_the_process_alone(dataset):
    before = torch.get_rng_state()
    trainer = make_trainer(TrainConfig(epochs=1, batch_size=64, device="cpu"), rows=540)
    trainer.run(reader(dataset))
    assert torch.equal(before, torch.get_rng_state())


def test_a_checkpoint_holds_what_predicts_and_nothing_executable(dataset, tmp_path):
    trainer = make_trainer(TrainConfig(epochs=1, batch_size=64, device="cpu"), rows=540)
    trainer.run(reader(dataset))
    save_training(tmp_path, Card("mlp", {"width": 16, "depth": 2}, SPEC), trainer)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"model.safetensors", "config.json", "optimiser.safetensors", "state.json"}
    loaded = load_model(tmp_path)
    batch = make_batch(5)
    trainer.module.eval()
    with torch.no_grad():
        a, b = MLP.predict(trainer.module, batch), MLP.predict(loaded.module, batch)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_damaged_weights_are_an_error_that_names_the_file(tmp_path, damage):
    config = TrainConfig(epochs=1, device="cpu")
    save_training(tmp_path, Card("mlp", {"width": 16, "depth": 2}, SPEC), make_trainer(config, 9))
    file = tmp_path / "model.safetensors"
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        card = tmp_path / "config.json"
        card.write_text(card.read_text().replace('"width": 16', '"width": 17'))
    with pytest.raises(InputError, match=r"model\.safetensors: not this model's weights"):
        load_model(tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run(dataset):
    config = TrainConfig(epochs=3, batch_size=64, learning_rate=1e30, clip=1e30, device="cpu")
    with pytest.raises(InputError, match=r"lower --train\.learning-rate"):
        make_trainer(config, rows=540).run(reader(dataset))


def test_sums_of_other_workers_enter_every_mean(dataset):
    config = TrainConfig(epochs=1, batch_size=64, device="cpu")
    alone, together = [], []
    make_trainer(config, 540).run(reader(dataset), on_epoch=alone.append)
    make_trainer(config, 540).run(reader(dataset), total=lambda s: 2 * s, on_epoch=together.append)
    assert together[0].rows == 2 * alone[0].rows
    assert together[0].train == pytest.approx(alone[0].train)


def test_batches_that_cannot_tell_a_metric_do_not_enter_its_mean(dataset):
    trainer = make_trainer(TrainConfig(epochs=1, batch_size=64, device="cpu"), 540)
    seen = []

    def measure(_module, batch):
        seen.append(len(batch))
        total = batch.counts_BC.sum()
        return {"counts": total} | ({"even": total} if len(seen) % 2 == 0 else {})

    trainer.family = replace(MLP, measure=measure)
    found = trainer.validate(reader(dataset, shuffle=False))
    batches = list(reader(dataset, shuffle=False)(0))
    totals = [float(batch.counts_BC.sum()) for batch in batches]
    rows = [len(batch) for batch in batches]
    assert len(batches) > 2
    assert found["counts"] == pytest.approx(np.average(totals, weights=rows))
    assert found["even"] == pytest.approx(np.average(totals[1::2], weights=rows[1::2]))


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"optimiser": "sgd"},
        {"precision": "float16"},
        {"device": "tpu"},
    ],
)
def test_bad_values_are_errors_that_name_them(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        TrainConfig(**bad)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_an_error():
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="no GPU is visible"):
        choose_device("cuda")


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_weight_has_one_optimiser_and_large_matrices_alone_go_to_muon(optimiser):
    module = build(MLP, LARGE, SPEC, 0)
    found = optimisers(module, optimiser, 1e-3, 1e-2)
    moved = [p for o in found for group in o.param_groups for p in group["params"]]
    assert sorted(map(id, moved)) == sorted(map(id, module.parameters()))
    muon = {id(p) for group in found[1].param_groups for p in group["params"]} if found[1:] else ()
    large = {id(p) for p in module.parameters() if p.ndim == 2 and min(p.shape) >= LEAST}
    assert large
    assert set(muon) == (large if optimiser == "muon" else set())


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_parts_that_are_not_named_stay_as_they_are(dataset, optimiser):
    config = TrainConfig(
        epochs=1, batch_size=64, device="cpu", trainable=("network.0",), optimiser=optimiser
    )
    trainer = make_trainer(config, 540, LARGE)
    before = {name: p.detach().clone() for name, p in trainer.module.named_parameters()}
    trainer.run(reader(dataset))
    moved = {
        name for name, p in trainer.module.named_parameters() if not torch.equal(p, before[name])
    }
    assert moved == {name for name in before if name.startswith("network.0.")}


def test_a_part_without_weights_is_an_error_that_names_those_that_have_some():
    with pytest.raises(InputError, match="trainable = features; choose of: network"):
        make_trainer(TrainConfig(device="cpu", trainable=("features",)), 540)


class Draws(torch.nn.Module):
    """Notes what dropout would draw in each step."""

    def __init__(self, module):
        super().__init__()
        self.module, self.drawn = module, []

    def forward(self, batch):
        state = torch.get_rng_state()
        self.drawn.append(torch.rand(3).tolist())
        torch.set_rng_state(state)
        return self.module(batch)


def draws(dataset, rank=0, seed=0):
    config = TrainConfig(epochs=2, batch_size=600, seed=seed, device="cpu")
    module = build(MLP, SMALL, SPEC, 0)
    MLP.normalise(module, make_batch(256))
    noted = []

    def wrap(loss):
        noted.append(Draws(loss))
        return noted[0]

    one_batch = local_reader(dataset, "train", BatchConfig(size=600))
    Trainer(MLP, module, config, 540, rank).run(one_batch, wrap=wrap)
    return noted[0].drawn


def test_every_epoch_rank_and_seed_drops_other_units(dataset):
    first = draws(dataset)
    assert len(first) == 2
    assert first == draws(dataset)
    drawn = first + draws(dataset, rank=1) + draws(dataset, seed=1)
    assert len({tuple(each) for each in drawn}) == 6


@pytest.mark.parametrize(
    "value", [{"fraction": 1.0}, {"fraction": 1e-9}, {"observed_fraction": 1e-9}]
)
def test_shares_inside_their_limits(value):
    TrainConfig(**value)


@pytest.mark.parametrize(
    "value",
    [
        {"fraction": 0.0},
        {"fraction": 1.001},
        {"observed_fraction": 0.0},
        {"observed_fraction": 1.0},
    ],
)
def test_shares_at_their_limits(value):
    with pytest.raises(InputError, match=next(iter(value))):
        TrainConfig(**value)


def test_gradients_are_clipped(dataset):
    """A step of plain descent by a gradient of at most the clip's length."""
    config = TrainConfig(epochs=1, batch_size=600, clip=0.1, learning_rate=0.1, device="cpu")
    trainer = make_trainer(config, rows=540)
    trainer.optimisers = [torch.optim.SGD(trainer.module.parameters(), lr=1.0)]
    before = weights(trainer)
    trainer.run(local_reader(dataset, "train", BatchConfig(size=600)))
    length = float((weights(trainer) - before).norm())
    assert length == pytest.approx(0.1 * trainer.learning_rate(0), rel=0.05)
