import pytest
import torch
from safetensors.torch import load_file

from wolter.errors import InputError
from wolter.registry import mlflow_store, pretrained
from wolter.registry.checkpoint import load_model


@pytest.fixture
def weights(untrained, tmp_path, monkeypatch):
    """Weights of an MLP as the package would ship them, alone."""
    folder = tmp_path / "weights"
    monkeypatch.setattr(pretrained, "_folder", lambda: folder)
    pretrained.export(load_model(untrained("mlp")), folder, {"rows": 64}, {"n": 1})
    return folder


def test_parameters_are_shipped_in_half_precision_and_normalisation_in_full(weights, untrained):
    tensors = load_file(weights / "mlp.safetensors")
    model = load_model(untrained("mlp"))
    trained = {name for name, _ in model.module.named_parameters()}
    assert {tensors[name].dtype for name in trained} == {torch.float16}
    for name, buffer in model.module.named_buffers():
        assert torch.equal(tensors[name], buffer), name


def test_a_card_loads_as_a_model_that_says_where_it_came_from(weights, untrained):
    card, version = pretrained.find("mlp", "pretrained")
    assert version.startswith("pretrained-")
    loaded, original = load_model(card), load_model(untrained("mlp"))
    assert loaded.card.spec == original.card.spec
    assert (loaded.card.dataset, loaded.card.metrics) == ({"rows": 64}, {"n": 1})
    for name, value in original.module.named_parameters():
        # Half precision keeps eleven bits.
        torch.testing.assert_close(loaded.module.get_parameter(name), value, rtol=2**-11, atol=1e-7)


def test_the_champion_comes_first_and_shipped_weights_where_there_is_none(
    weights, store, untrained, tmp_path
):
    version = pretrained.find("mlp", "pretrained")[1]
    mlflow = mlflow_store.client()
    if not mlflow_store.has_champion("mlp"):
        assert pretrained.find("mlp", "champion")[1] == version
    experiment = mlflow.create_experiment("pretrained", (tmp_path / "artifacts").as_uri())
    run = mlflow.create_run(experiment).info.run_id
    mlflow_store.promote("mlp", mlflow_store.register("mlp", run, untrained("mlp")))
    assert pretrained.find("mlp", "champion")[1] == mlflow_store.champion("mlp")[1]
    # What was asked for before has the version still, as a job that waits.
    assert pretrained.find("mlp", version) == pretrained.find("mlp", "pretrained")


def test_what_does_not_ship_is_said(weights, store):
    assert pretrained.names() == ("mlp",)
    with pytest.raises(InputError, match="cnn comes without weights"):
        pretrained.find("cnn", "pretrained")
    with pytest.raises(InputError, match="no run or version 99"):
        pretrained.find("mlp", "99")


def test_who_has_trained_nothing_is_told_of_what_ships(weights, monkeypatch, tmp_path):
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(
        InputError, match=r"version latest in .*; version pretrained is the package"
    ):
        pretrained.find("mlp", "latest")
    with pytest.raises(InputError, match=r"prints its run id$"):
        pretrained.find("cnn", "latest")


@pytest.mark.parametrize("family", ["mlp", "cnn", "deepspectra", "posterior"])
def test_the_package_ships_a_model_of_at_most_5_mb(family):
    card, _ = pretrained.find(family, "pretrained")
    assert card.with_suffix(".safetensors").stat().st_size <= 5e6
    model = load_model(card)
    assert model.card.spec.model
    assert model.card.dataset["rows"] >= 100_000
    assert model.card.metrics["excess_mfe"].keys() == set(model.card.spec.names)


@pytest.mark.parametrize(("name", "scale"), [("superres", 2), ("superres-denoise", 1)])
def test_the_package_ships_an_enhancer_of_at_most_8_mb(name, scale):
    card, _ = pretrained.find(name, "pretrained")
    assert card.with_suffix(".safetensors").stat().st_size <= 8e6
    model = load_model(card)
    assert model.family.model_name(model.card.spec) == name
    assert model.card.spec.scale == scale
    assert model.card.dataset["rows"] >= 1000
    assert model.card.metrics["psnr"] > 30
