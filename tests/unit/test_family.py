"""Families by name: those of the package, and those of others, good and bad."""

import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest
import torch
from tests.synthetic import make_dataset

from wolter import cli
from wolter import family as families
from wolter.errors import InputError
from wolter.outputs import Output
from wolter.train.job import make_job

MODULE = """
from wolter.models.mlp import FAMILY as mlp
from wolter.outputs import Metric
from dataclasses import replace
FAMILY = replace(mlp, name="theirs")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a module an installed family of another package, with its text."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs_package", raising=False)

    def install(name: str, text: str) -> None:
        (tmp_path / f"{name}_package.py").write_text(text)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        point = EntryPoint(name, f"{name}_package:FAMILY", families.GROUP)
        (info / "entry_points.txt").write_text(
            f"[{families.GROUP}]\n{point.name} = {point.value}\n"
        )

    return install


def test_an_installed_family_is_found_by_name(install):
    install("theirs", MODULE)
    assert {"theirs", "mlp"} <= set(families.names())
    assert families.load("theirs").task == "spectra/parameters"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import a_module_that_nobody_has", "ModuleNotFoundError: No module named"),
        ("raise KeyError('x')", "KeyError: 'x'"),
        (f"{MODULE}FAMILY = 3\n", "not of the type Family with that name"),
        (MODULE.replace('"theirs"', '"other"'), "not of the type Family with that name"),
        (f"{MODULE}Metric('error', '')\n", "metric error: better = ''; give lower or higher"),
        (f"{MODULE}Metric('error')\n", "missing 1 required positional argument: 'better'"),
    ],
)
def test_a_family_that_cannot_be_imported_is_named_and_the_others_go_on(
    install, text, reason, capsys
):
    install("theirs", text)
    with pytest.raises(InputError) as error:
        families.load("theirs")
    assert str(error.value).startswith("family theirs")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert "theirs" in families.names()
    assert families.load("mlp").name == "mlp"
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "mlp", "--help"])
    assert end.value.code == 0
    capsys.readouterr()
    assert cli.main(["train", "theirs"]) == 2
    assert capsys.readouterr().err.startswith("wolter: error: family theirs")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("records"), 60)


def both(module, batch):
    return {"a": torch.zeros(len(batch)), "b": torch.zeros(len(batch))}


def broken(module, batch):
    raise KeyError("colour")


A, B = Output("a", "one"), Output("b", "another")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outputs": lambda config, spec: ()}, "has no outputs"),
        ({"outputs": lambda config, spec: (A,)}, "b: predicted, and not declared"),
        ({"outputs": lambda config, spec: (A, B, Output("c", "x"))}, "c: declared, and not"),
        ({"outputs": lambda config, spec: (A, Output("b", "x", axes="L"))}, "declared with the"),
        ({"predict": broken}, "does not predict a plain record: KeyError: 'colour'"),
        ({"metrics": ()}, "has no metrics"),
        ({"task": "spectra/poetry"}, "unknown task 'spectra/poetry'; choose one of: "),
    ],
)
def test_a_family_that_does_not_keep_its_word_is_named_before_it_trains(
    records, monkeypatch, changes, reason
):
    mlp = families.load("mlp")
    good = {"predict": both, "outputs": lambda config, spec: (A, B)}
    monkeypatch.setattr(families, "load", lambda name: replace(mlp, **{**good, **changes}))
    with pytest.raises(InputError) as error:
        make_job("mlp", records)
    assert str(error.value).startswith("family mlp: ")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_family_that_keeps_its_word_makes_a_job(records, monkeypatch):
    mlp = families.load("mlp")
    good = replace(mlp, predict=both, outputs=lambda config, spec: (A, B))
    monkeypatch.setattr(families, "load", lambda name: good)
    assert make_job("mlp", records).family == "mlp"
