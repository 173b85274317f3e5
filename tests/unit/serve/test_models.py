from dataclasses import replace
from types import SimpleNamespace

import pytest

from wolter import family as families
from wolter import plugins
from wolter.errors import InputError
from wolter.registry import mlflow_store, pretrained
from wolter.registry.checkpoint import load_model
from wolter.serve.config import ServeConfig
from wolter.serve.models import ServedRef, choose
from wolter.serve.service import Service


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


def test_families_of_others_that_cannot_be_served_leave_ours(registry, tmp_path, monkeypatch):
    """One that fails to import, with a champion or without, and one of a task that nobody knows."""

    def point(name, load):
        return SimpleNamespace(name=name, load=load, value="other:FAMILY")

    lost = replace(families.load("mlp"), name="lost", task="spectra/lost")
    others = [point(name, lambda: 1 / 0) for name in ("broken", "never")]
    others.append(point("lost", lambda: lost))
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: others if group == families.GROUP else []
    )
    monkeypatch.setattr(
        mlflow_store, "has_champion", lambda name: name in ("broken", "lost", "mlp")
    )
    monkeypatch.setattr(pretrained, "names", tuple)
    monkeypatch.setattr(pretrained, "find", lambda name, _: (tmp_path / name, "1"))
    found = {each.name: each for each in choose(ServeConfig())}
    assert set(found) == {"broken", "lost", "mlp"}
    assert found["mlp"].problem == ""
    assert found["broken"].problem.startswith("family broken (other:FAMILY) cannot be imported")
    assert found["lost"].problem.startswith("unknown task 'spectra/lost'")
    service = Service.load([found["broken"], found["lost"]], ServeConfig(parsers=1))
    assert set(service.watch.problems) == {"broken", "lost"}
    assert service.served_tasks == ()


def test_applications_of_the_catalogue_need_no_model():
    assert choose(ServeConfig(applications=("cone",))) == ()
