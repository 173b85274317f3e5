import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.synthetic import make_dataset

from wolter import cli
from wolter.commands import all_commands
from wolter.spectra.demo import SpectraDemonstration

SLOW = {
    "matplotlib",
    "mlflow",
    "pandas",
    "pyarrow.compute",
    "ray",
    "requests",
    "rich",
    "scipy",
    "torch._dynamo",
}
PRETRAINED = ("--version", "pretrained")


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    try:
        code = cli.main(list(arguments))
    except SystemExit as exit_:  # tyro's own exits: help and bad usage
        code = exit_.code
    out, err = capsys.readouterr()
    return code, out, err


# Commands without an option, or whose options have no default.
ALL_REQUIRED = {"promote", "catalogue list", "catalogue use", "keys list", "keys revoke"}


@pytest.mark.parametrize("name", all_commands())
def test_every_command_explains_its_options(name, capsys):
    code, out, _ = run(*name.split(), "--help", capsys=capsys)
    assert code == 0
    assert f"wolter {name}" in out
    assert ("default" in out) == (name not in ALL_REQUIRED)


def test_the_overview_lists_every_command(capsys):
    code, out, _ = run("--help", capsys=capsys)
    assert code == 0
    assert all(name in out for name in all_commands())
    assert run(capsys=capsys)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulat"], "unknown command 'simulat'; choose one of: simulate images"),
        (["config"], "config: name a command first: wolter config COMMAND; COMMAND is one of: sim"),
        (
            ["config", "--out"],
            "config: name a command first: wolter config COMMAND; COMMAND is one",
        ),
        (["config", "simulat"], "unknown command 'simulat'; choose one of: simulate images"),
        (["simulate", "spectra", "--exposure", "long"], "--exposure long: give SECONDS"),
        (["simulate", "spectra", "--n", "0"], "n = 0: simulate at least one"),
        (["simulate", "spectra", "--rmf", "nowhere.rmf"], "nowhere.rmf: no such file"),
        (["simulate", "population", "--mix", "QSO=1"], "mix 'QSO=1': give catalogue, equal, or"),
        (["simulate", "population", "--like", "nowhere.csv"], "nowhere.csv: "),
        (["simulate", "images", "--exposure", "long"], "--exposure long: give SECONDS"),
        (["simulate", "images", "--band", "1,2,3"], "--band 1,2,3: give LOW,HIGH"),
        (["simulate", "images", "--scene", "nebula"], "unknown scene nebula; choose from: agn"),
        (["simulate", "images", "--map", "nowhere.fits"], "nowhere.fits: no such file"),
        (["ingest", "spectra", "nowhere"], "nowhere: no such file or folder"),
        (["train", "resnet"], "unknown family 'resnet'; choose one of: aligner, autoencoder, cnn"),
        (["train", "mlp", "--data", "nowhere"], "nowhere: no dataset.json there"),
        (["train", "mlp", "--data", "DATA", "--from", "17"], "mlp has no run or version 17"),
        (["evaluate", "mlp", "--data", "nowhere"], "nowhere: no dataset.json there"),
        (
            ["evaluate", "mlp", *PRETRAINED, "--data", "DATA", "--translator", "9"],
            "translator has no run or version 9",
        ),
        (
            ["evaluate", "mlp", *PRETRAINED, "--data", "DATA", "--translator", "9", "--exact", "5"],
            "leave out --exact",
        ),
        (["train", "translator", "--data", "DATA"], "give --observed DIR"),
        (["label", "--data", "DATA", "--fits", "f.parquet", "--out", "o"], "f.parquet: not a"),
        (["predict", "mlp", "a.pha", "--out", "t.csv"], "a.pha: no such file"),
        (
            ["predict", "mlp", "a.pha", "--out", "t.csv", "--version", "9"],
            "mlp has no run or version 9",
        ),
        (["promote", "mlp", "17"], "mlp has no run or version"),
        (["bench", "nothing"], "unknown race 'nothing'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if "DATA" in arguments:
        make_dataset(tmp_path / "DATA", 60)
    code, _, err = run(*arguments, capsys=capsys)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert any(part in err for part in message.split("|"))


@pytest.mark.parametrize("file", [[], ["figures.json"]])
def test_a_race_prints_json_and_writes_it_where_it_is_told_to(file, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wolter.commands.bench._load", lambda name: lambda n: {"rows": n})
    code, out, _ = run("bench", "simulate", "--json", *file, "--n", "7", capsys=capsys)
    assert code == 0
    assert json.loads(out) == {"rows": 7}
    assert [path.read_text() for path in tmp_path.iterdir()] == [out for _ in file]


def test_a_misspelt_option_is_bad_usage(capsys):
    code, _, err = run("simulate", "spectra", "--exposre", "1", capsys=capsys)
    assert code == 2
    assert "exposre" in err


def test_failures_are_one_line_unless_debug(monkeypatch, capsys):
    class Failing:
        def run(self) -> int:
            raise RuntimeError("the disk is on fire\nsecond line")

    monkeypatch.setattr(cli, "load", lambda name, rest: Failing)
    monkeypatch.setattr("tyro.cli", lambda kind, **options: kind())
    code, _, err = run("demo", capsys=capsys)
    assert code == 1
    assert err == "wolter: error: RuntimeError: the disk is on fire (--debug shows where)\n"
    with pytest.raises(RuntimeError):
        cli.main(["demo", "--debug"])


def test_help_answers_at_once_without_torch_or_ray():
    code = (
        "import sys, wolter.cli as c; c.main(['--help']); print({'torch', 'ray'} & {*sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip().endswith("set()")


def test_help_of_config_lists_what_it_writes(capsys):
    code, out, _ = run("config", "--help", capsys=capsys)
    assert code == 0
    assert out.startswith("usage: wolter config COMMAND")
    assert all(name in out for name in all_commands())


def test_a_prediction_imports_nothing_that_it_does_not_use(tmp_path):
    """Each of these takes a tenth of a second or more."""
    _, files = SpectraDemonstration().request(tmp_path)
    words = ["predict", "posterior", str(files["pha"]), *PRETRAINED, "--response", "embedded"]
    words += ["-o", str(tmp_path / "out.csv")]
    code = f"import sys, wolter.cli as c; c.main({words}); print({SLOW} & {{*sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("out.csv\nset()\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_output_that_finds_no_room_is_told_in_one_line(words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "wolter.cli", *words], stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr == b"wolter: error: standard output: no space left; make room\n"
