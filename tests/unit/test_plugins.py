"""Plugins of other packages: a broken one is told by name, and takes no other with it."""

from types import SimpleNamespace

import pytest
from tests.synthetic import make_dataset

from wolter import cli, plugins
from wolter import task as tasks
from wolter.errors import InputError
from wolter.train.job import make_job


def fails():
    raise ImportError("no\nsuch library")


@pytest.fixture
def broken(monkeypatch):
    """A task of another package that cannot be imported, and one that is something else."""
    points = [
        SimpleNamespace(name="spectra/broken", value="other:TASK", load=fails),
        SimpleNamespace(name="aaa/other", value="other:NAME", load=lambda: "a task"),
    ]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: points if group == tasks.GROUP else []
    )


@pytest.mark.usefixtures("broken")
def test_a_broken_task_is_told_by_its_name():
    assert {"spectra/broken", "aaa/other", "spectra/parameters"} <= {*tasks.names()}
    told = r"^task spectra/broken \(other:TASK\) cannot be imported: ImportError: no such library; "
    with pytest.raises(InputError, match=told):
        tasks.load("spectra/broken")
    with pytest.raises(InputError, match="other:NAME is not of the type Task with that name"):
        tasks.load("aaa/other")


@pytest.mark.usefixtures("broken")
def test_a_broken_task_leaves_the_others(tmp_path, capsys):
    assert tasks.load("spectra/parameters").name == "spectra/parameters"
    assert make_job("mlp", make_dataset(tmp_path, 60)).family == "mlp"
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--help"])
    assert ended.value.code == 0
    assert "--epochs" in capsys.readouterr().out


def test_subpackages_are_found_by_what_they_have_and_not_imported():
    assert plugins.subpackages_with("kind") == ("images", "spectra")
    assert plugins.subpackages_with("commands") == ("images", "spectra")
    assert plugins.subpackages_with("nothing") == ()
