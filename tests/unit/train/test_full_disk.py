import errno

import pytest

from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.registry import mlflow_store
from wolter.train.job import make_job
from wolter.train.loop import TrainConfig
from wolter.train.runner import fit_local, train_local

ONE = TrainConfig(epochs=1, batch_size=32)


@pytest.mark.parametrize("when", ["start", "epoch", "register"])
def test_a_training_tells_that_the_disk_is_full(when, dataset, store, monkeypatch):
    """Whichever of run, checkpoint and registry fills it; none of them is half there."""
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_, **__):
        raise full

    what = {
        "start": "mlflow.MlflowClient.log_batch",
        "epoch": "wolter.train.runner.save_training",
        "register": "mlflow.MlflowClient.log_artifact",
    }
    monkeypatch.setattr(what[when], fail)
    with pytest.raises(InputError, match=r": cannot be written: no space left \(.* free\)"):
        train_local("mlp", dataset.path, train=ONE)


def test_a_checkpoint_that_finds_no_room_leaves_the_one_before(dataset, tmp_path, monkeypatch):
    """The second epoch's weights are written and what resumes them is not."""
    real, calls = write_atomically, []

    def fail(path, content):
        calls.append(path.name)
        if calls.count("optimiser.safetensors") == 2 and path.name == "optimiser.safetensors":
            raise InputError("full")
        real(path, content)

    monkeypatch.setattr("wolter.train.resume.write_atomically", fail)
    job = make_job("mlp", dataset, train=TrainConfig(epochs=2, batch_size=32))
    with pytest.raises(InputError, match="full"):
        fit_local(job, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]
    state = (tmp_path / "checkpoint" / "state.json").read_text()
    assert state == '{"epoch": 1}\n'


def test_files_and_numbers_of_a_report_tell_so_too(store, dataset, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("(sqlite3.OperationalError) database or disk is full")

    run = mlflow_store.start("full", "mlp", {}, dataset)
    monkeypatch.setattr("mlflow.MlflowClient.log_artifacts", fail)
    monkeypatch.setattr("mlflow.MlflowClient.log_batch", fail)
    told = r"^\S+: cannot be written: no space left \(.* free\); make room"
    with pytest.raises(InputError, match=told):
        mlflow_store.log_files(run, tmp_path, "x")
    with pytest.raises(InputError, match=told):
        mlflow_store.log_metrics(run, {"a": 1.0})
