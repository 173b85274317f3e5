import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.synthetic import SPEC

from wolter import family as families
from wolter.errors import InputError
from wolter.registry import mlflow_store
from wolter.registry.checkpoint import Card, save_model
from wolter.train.loop import build


@pytest.fixture
def register(store, dataset, tmp_path):
    def make(family, seed=0):
        loaded = families.load(family)
        folder = tmp_path / f"{family}-{seed}"
        module = build(loaded, loaded.config(), SPEC, seed)
        save_model(folder, Card(family, {}, SPEC, seed=seed), module)
        (folder / "optimiser.safetensors").write_bytes(b"large")
        run_id = mlflow_store.start("registry", family, {"train": {"seed": seed}}, dataset)
        version = mlflow_store.register(family, run_id, folder)
        mlflow_store.finish(run_id, "FINISHED")
        return run_id, version, folder

    return make


def test_every_run_is_a_version_and_one_is_the_champion(register):
    (first, v1, folder), (second, v2, _) = register("cnn", 1), register("cnn", 2)
    assert int(v2) == int(v1) + 1
    assert mlflow_store.promote("cnn", first) == v1
    served, version = mlflow_store.champion("cnn")
    assert version == v1
    weights = (served / "model.safetensors").read_bytes()
    assert weights == (folder / "model.safetensors").read_bytes()
    assert mlflow_store.promote("cnn", v2) == v2  # a version serves as well as a run
    assert mlflow_store.champion("cnn")[1] == v2
    assert mlflow_store.run_of("cnn", "champion") == second
    assert mlflow_store.find("cnn", "latest")[1] == v2


def test_no_champion_is_an_error_with_its_remedy(store):
    with pytest.raises(InputError, match="wolter promote deepspectra RUN"):
        mlflow_store.champion("deepspectra")


@pytest.mark.parametrize("which", ["99", "0" * 32, "it's"])
def test_an_unknown_run_is_an_error(register, which):
    register("cnn", 1)
    with pytest.raises(InputError, match="cnn has no run or version"):
        mlflow_store.promote("cnn", which)


def test_a_run_of_another_family_cannot_be_promoted(register):
    run_id, _, _ = register("cnn", 1)
    with pytest.raises(InputError, match="mlp has no run or version"):
        mlflow_store.promote("mlp", run_id)


def test_changed_or_missing_weights_are_refused(register):
    _, version, _ = register("cnn", 3)
    weights = mlflow_store.find("cnn", version)[0] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="SHA-256 differs"):
        mlflow_store.find("cnn", version)
    weights.unlink()
    with pytest.raises(InputError, match="missing; train cnn again"):
        mlflow_store.find("cnn", version)


def test_a_moved_home_keeps_its_models_and_leaves_the_old_place_alone(
    register, dataset, tmp_path, monkeypatch
):
    run_id, _, _ = register("mlp", 4)
    old, new = mlflow_store.home(), tmp_path / "moved"
    shutil.copytree(old, new)
    monkeypatch.setenv("WOLTER_HOME", str(new))
    hidden = old.with_name("hidden")
    old.rename(hidden)
    try:
        assert new in mlflow_store.find("mlp", run_id)[0].parents
        newer, _, _ = register("mlp", 5)
        assert new in mlflow_store.find("mlp", newer)[0].parents
        assert not old.exists()
    finally:
        hidden.rename(old)


def test_the_tracking_uri_of_the_environment_wins(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    assert mlflow_store.tracking_uri() == "http://mlflow.example:5000"


def test_a_home_that_cannot_be_made_is_an_error(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InputError, match="set WOLTER_HOME"):
        mlflow_store.tracking_uri()


def test_a_new_store_says_nothing_and_reports_to_nobody(new_store):
    home, elsewhere, done = new_store
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (home / "mlflow.db").is_file()
    assert list(elsewhere.iterdir()) == []


def test_children_on_more_than_one_page_are_all_found(store, dataset, monkeypatch):
    from mlflow import MlflowClient

    whole = MlflowClient.search_runs

    def by_twos(*given, **named):
        return whole(*given, **{**named, "max_results": 2})

    parent = mlflow_store.start("pages", "mlp", {}, dataset)
    names = [f"trial {i}" for i in range(5)]
    ids = {
        name: mlflow_store.start("pages", "mlp", {}, dataset, mlflow_store.child_of(parent, name))
        for name in names
    }
    other = mlflow_store.start("pages", "mlp", {}, dataset)
    mlflow_store.start("pages", "mlp", {}, dataset, mlflow_store.child_of(other, "trial 9"))
    monkeypatch.setattr(MlflowClient, "search_runs", by_twos)
    assert mlflow_store.children(parent) == ids


def test_two_processes_that_fetch_one_version_both_have_it(monkeypatch, tmp_path):
    """From a remote store, at the same time."""
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    version = SimpleNamespace(source="s3://a/b", name="mlp", version="2", run_id="r")

    def download(artifact_uri, dst_path, tracking_uri):
        artifact = Path(dst_path) / mlflow_store.ARTIFACT
        artifact.mkdir()
        (artifact / "weights").write_text("w")

    def download_second(**where):
        download(**where)
        monkeypatch.setattr("mlflow.artifacts.download_artifacts", download)
        mlflow_store._fetch(version)  # the other process ends first

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", download_second)
    fetched = mlflow_store._fetch(version)
    assert (fetched / "weights").read_text() == "w"
    assert [path.name for path in fetched.parent.iterdir()] == ["2-r"]
