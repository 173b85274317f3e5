import asyncio
import dataclasses
import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wolter.errors import InputError
from wolter.registry import mlflow_store, pretrained
from wolter.registry.checkpoint import fingerprint, load_model
from wolter.serve import models
from wolter.serve.config import ServeConfig
from wolter.serve.models import PIECE, ServedModel, ServedRef, choose
from wolter.spectra.predict import estimate
from wolter.spectra.schema import SpectraBatch


def batch_of(n, n_channels):
    counts_BC = torch.poisson(torch.full((n, n_channels), 5.0), torch.Generator().manual_seed(n))
    one_B = torch.ones(n)
    return SpectraBatch(counts_BC, counts_BC, 0.1 * one_B, 25_000.0 * one_B)


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return mlflow_store.client()


def test_champions_are_served_with_their_versions(registry, untrained, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "_folder", lambda: tmp_path / "nothing ships")
    with pytest.raises(InputError, match="no family has a champion"):
        choose(ServeConfig())
    experiment = registry.create_experiment("e", (tmp_path / "artifacts").as_uri())
    for name in ("mlp", "cnn"):
        run = registry.create_run(experiment)
        version = mlflow_store.register(name, run.info.run_id, untrained(name))
    mlflow_store.promote("mlp", version)
    (chosen,) = choose(ServeConfig())
    assert (chosen.name, chosen.version) == ("mlp", "1")


def test_shipped_weights_answer_until_a_run_is_promoted(registry, untrained, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "_folder", lambda: tmp_path / "weights")
    pretrained.export(load_model(untrained("mlp")), tmp_path / "weights", {}, {})
    (chosen,) = choose(ServeConfig())
    assert chosen.name == "mlp"
    assert chosen.version.startswith("pretrained-")


def test_long_requests_are_answered_in_pieces(untrained):
    model = load_model(untrained("mlp"))
    served = ServedModel(model)
    batch = batch_of(2 * PIECE + 1, served.spec.n_channels)
    values = asyncio.run(served.estimate(batch))
    torch.testing.assert_close(values["nh"], estimate(model, batch)["nh"], rtol=1e-5, atol=0)


def test_no_forward_pass_is_of_more_than_a_piece(untrained, monkeypatch):
    sizes = []

    def noted(_, batch):
        sizes.append(len(batch))
        return {"nh": batch.counts_BC.sum(1).numpy()}

    monkeypatch.setattr(models, "estimate", noted)
    served = ServedModel(load_model(untrained("mlp")))
    batch = batch_of(600, served.spec.n_channels)
    values = asyncio.run(served.estimate(batch))
    assert sizes == [256, 256, 88]
    assert values["nh"].tolist() == batch.counts_BC.sum(1).tolist()


def test_joined_requests_are_answered_each_with_its_own(untrained):
    sizes: Counter[int] = Counter()

    def join(function):
        """Joins three calls, as `ray.serve.batch` may."""
        waiting = []

        async def one(batch):
            answer = asyncio.get_running_loop().create_future()
            waiting.append((batch, answer))
            if len(waiting) == 3:
                sizes[len(waiting)] += 1
                answers = await function([batch for batch, _ in waiting])
                for (_, future), value in zip(waiting, answers, strict=True):
                    future.set_result(value)
            return await answer

        return one

    model = load_model(untrained("mlp"))
    batches = [batch_of(n, model.card.spec.n_channels) for n in (1, 3, 2)]

    async def ask():
        served = ServedModel(model, "", join)
        return await asyncio.gather(*(served.estimate(batch) for batch in batches))

    for batch, values in zip(batches, asyncio.run(ask()), strict=True):
        torch.testing.assert_close(values["kt"], estimate(model, batch)["kt"], rtol=1e-5, atol=0)
    assert sizes == {3: 1}


def test_refinement_ends_when_its_time_is_up(untrained, monkeypatch):
    served, asked = ServedModel(load_model(untrained("mlp"))), []

    async def check_model(gridded, refined):
        asked.append((gridded, refined))
        await asyncio.sleep(3600 if gridded == "slow" else 0)
        return f"checked {gridded}"

    monkeypatch.setattr(served, "check_model", check_model)
    gridded = {3: "quick", 5: "quick", 8: "slow", 9: "quick"}
    found = asyncio.run(served.refine_within(gridded, 0.2))
    assert found == {3: "checked quick", 5: "checked quick"}
    assert asked == [("quick", True), ("quick", True), ("slow", True)]
    assert asyncio.run(served.refine_within({1: "quick"}, 0.0)) == {}
    assert asyncio.run(served.refine_within({1: "quick"}, -5.0)) == {}
    assert len(asked) == 3


def test_models_are_chosen_by_folder(untrained, tmp_path):
    folder = str(untrained("mlp"))
    assert choose(ServeConfig(models={"mlp": folder})) == (ServedRef("mlp", folder),)
    other = "".join(["m", "lp"])  # the same name, and not the same string
    assert choose(ServeConfig(models={other: folder})) == (ServedRef("mlp", folder),)
    with pytest.raises(InputError, match="holds a model of mlp, not of deepspectra"):
        choose(ServeConfig(models={"deepspectra": folder}))
    with pytest.raises(InputError, match="holds a model of mlp, not of posterior"):
        choose(ServeConfig(models={"posterior": folder}))
    with pytest.raises(InputError, match="cannot be read"):
        choose(ServeConfig(models={"mlp": str(tmp_path)}))
    with pytest.raises(InputError, match="port 99999"):
        ServeConfig(port=99999)


def test_a_champion_that_is_not_found_leaves_the_others(registry, tmp_path, monkeypatch):
    def find(name, _):
        if name == "posterior":
            raise InputError("posterior: its artifact is gone")
        return tmp_path / name, f"{name}-3"

    monkeypatch.setattr(pretrained, "names", lambda: ("posterior", "mlp"))
    monkeypatch.setattr(pretrained, "find", find)
    found = {each.name: each for each in choose(ServeConfig())}
    assert set(found) == {"posterior", "mlp"}
    assert found["posterior"] == ServedRef(
        "posterior", "", problem="posterior: its artifact is gone"
    )
    assert found["mlp"] == ServedRef("mlp", str(tmp_path / "mlp"), "mlp-3")


def evidence_of(name):
    return SimpleNamespace(record=SimpleNamespace(name=name))


def test_spectra_are_judged_one_at_a_time_and_as_asked(untrained, monkeypatch):
    lock, asked, together = threading.Lock(), [], []

    def check_model(model, gridded, refined):
        together.append(lock.acquire(blocking=False))
        time.sleep(0.02)
        asked.append((gridded.record.name, refined))
        lock.release()
        return gridded.record.name

    monkeypatch.setattr(models, "check_model", check_model)
    served = ServedModel(load_model(untrained("mlp")))

    async def ask():
        waiting = [served.check_model(evidence_of(str(i)), refined=i % 2 == 0) for i in range(4)]
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == ["0", "1", "2", "3"]
    assert asked == [("0", True), ("1", False), ("2", True), ("3", False)]
    assert together == [True] * 4


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("posterior: no posterior"), r"^posterior: no posterior$"),
        (ValueError("x"), r"^a\.pha: no likelihood of it \(ValueError\); check its response$"),
        (RuntimeError("x"), r"^a\.pha: no likelihood of it \(RuntimeError\); check its response$"),
        (ZeroDivisionError("x"), r"^a\.pha: no likelihood of it \(ZeroDivisionError\)"),
    ],
)
def test_what_cannot_be_judged_is_told_in_one_line(untrained, monkeypatch, error, told):
    def check_model(*_):
        raise error

    monkeypatch.setattr(models, "check_model", check_model)
    served = ServedModel(load_model(untrained("mlp")))
    with pytest.raises(InputError, match=told):
        asyncio.run(served.check_model(evidence_of("a.pha"), refined=True))


@pytest.mark.parametrize(("trained_s", "asked_s"), [((2e4, 3e4), 2e4), (None, 1e4)])
def test_a_model_is_asked_for_a_plain_spectrum(untrained, monkeypatch, trained_s, asked_s):
    """One count in each channel of source and background, of the shortest trained exposure."""
    served, asked, bad = ServedModel(load_model(untrained("mlp"))), [], []
    card = served.model.card
    card = dataclasses.replace(card, spec=dataclasses.replace(card.spec, exposure_s=trained_s))
    served.model = dataclasses.replace(served.model, card=card)

    def estimate(_, batch):
        asked.append(batch)
        return {n: np.float32([np.nan if n in bad else 1.0]) for n in served.spec.names}

    monkeypatch.setattr(models, "estimate", estimate)
    assert served.check() == ""
    assert torch.equal(asked[0].counts_BC, torch.ones(1, 256))
    assert torch.equal(asked[0].background_BC, torch.ones(1, 256))
    assert asked[0].background_scale_B.tolist() == [1.0]
    assert asked[0].exposure_B.tolist() == [asked_s]
    bad += ["kt", "slope"]
    assert served.check() == "no finite slope of a plain spectrum"


def test_a_version_that_nobody_numbered_is_a_fingerprint(untrained):
    model = load_model(untrained("mlp"))
    assert ServedModel(model).version == fingerprint(model)
    assert ServedModel(model, "5").version == "5"
