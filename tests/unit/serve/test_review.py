"""New champions are checked before they answer."""

import json
import shutil
import subprocess
import sys

import pytest
from safetensors.torch import load_file, save_file
from tests.synthetic import make_dataset

from wolter import config as configs
from wolter.registry.checkpoint import WEIGHTS
from wolter.serve import review
from wolter.serve.config import ServeConfig
from wolter.serve.models import ServedRef
from wolter.spectra.schema import SpectraSpec


@pytest.fixture
def changed(untrained, tmp_path):
    """A model whose weights are multiplied by a number."""

    def make(factor):
        folder = tmp_path / f"mlp-{factor}"
        shutil.copytree(untrained("mlp"), folder)
        weights = load_file(folder / WEIGHTS)
        changed = {k: v * factor if v.is_floating_point() else v for k, v in weights.items()}
        save_file(changed, folder / WEIGHTS)
        return str(folder)

    return make


def test_sound_champions_take_the_place_of_those_before(untrained, changed, monkeypatch, tmp_path):
    monkeypatch.setattr(review.mlflow_store, "training_data", lambda *_: tmp_path / "gone")
    old, other = ServedRef("mlp", str(untrained("mlp")), "1"), ServedRef("cnn", "/nowhere", "5")
    new = ServedRef("mlp", changed(1.001), "2")
    told = review.review([new, other], [old, other])
    assert set(told.models) == {new, other}  # what stays is not looked at again
    assert told.notes == {}


def test_broken_champions_leave_those_before_to_answer(untrained, changed, tmp_path):
    old = ServedRef("mlp", str(untrained("mlp")), "1")
    for new, why in (
        (ServedRef("mlp", changed(float("nan")), "2"), "no finite bb_norm of a plain record"),
        (ServedRef("mlp", str(tmp_path), "2"), "cannot be read"),
        (ServedRef("mlp", "", "2", problem="SHA-256 differs"), "SHA-256 differs"),
    ):
        told = review.review([new], [old])
        assert told.models == (old,)
        line = told.notes["mlp@2"]
        assert line.startswith("refused as champion: ")
        assert why in line
        assert line.endswith("; version 1 answers on")
        (alone,) = review.review([new], []).models
        assert why in alone.problem


def test_a_worse_champion_is_refused(untrained, changed, tmp_path, monkeypatch):
    make_dataset(tmp_path / "data", 200)
    monkeypatch.setattr(review.mlflow_store, "training_data", lambda *_: tmp_path / "data")
    found = iter([1.3, 1.0, 1.05, 1.0, 0.7, 1.0])
    monkeypatch.setattr(review, "_measured", lambda *_: {"mfe_percent": next(found)})
    old, new = ServedRef("mlp", str(untrained("mlp")), "1"), ServedRef("mlp", changed(1.001), "2")
    assert not review.review([new], [old]).notes  # the records are of another grid: not compared
    monkeypatch.setattr(SpectraSpec, "mismatch", lambda *_: "")
    told = review.review([new], [old])
    assert "of 1.3 on held-out records, 1 of the one before" in told.notes["mlp@2"]
    assert review.review([new], [old]).models == (new,)
    assert review.review([new], [old]).models == (new,)


def test_it_answers_one_line_in_a_process_of_its_own(untrained, store):
    one = ServedRef("mlp", str(untrained("mlp")), "")
    config = configs.to_dict(ServeConfig(models={"mlp": one.folder}))
    line = json.dumps({"config": config, "current": [configs.to_dict(one)]}) + "\n"
    done = subprocess.run(
        [sys.executable, "-m", "wolter.serve.review"],
        input=line, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == {"models": [configs.to_dict(one)], "notes": {}}
