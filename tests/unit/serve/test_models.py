import asyncio
from collections import Counter

import pytest
import torch

from wolter.errors import InputError
from wolter.registry import mlflow_store, pretrained
from wolter.registry.checkpoint import load_model
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
    assert len(asked) == 3


def test_models_are_chosen_by_folder(untrained, tmp_path):
    folder = str(untrained("mlp"))
    assert choose(ServeConfig(models={"mlp": folder})) == (ServedRef("mlp", folder),)
    with pytest.raises(InputError, match="holds a model of mlp, not of deepspectra"):
        choose(ServeConfig(models={"deepspectra": folder}))
    with pytest.raises(InputError, match="holds a model of mlp, not of posterior"):
        choose(ServeConfig(models={"posterior": folder}))
    with pytest.raises(InputError, match="cannot be read"):
        choose(ServeConfig(models={"mlp": str(tmp_path)}))
    with pytest.raises(InputError, match="port 99999"):
        ServeConfig(port=99999)
