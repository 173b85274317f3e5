"""The commands of docs/how-to/your-own-model.md, run on the observation that they name."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.table import Table

from wolter.cli import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "your-own-model.md"
FILES = ("PN.pha", "PN.rmf", "PN.arf", "PNbackground_spectrum.fits")
UNITS = {"nh": "1e+22 / cm2", "slope": None, "tin": "keV"}
NAMES = ("nh", "slope", "pow_norm", "tin", "disk_norm")
BAR = 1.10  # largest excess of the mean fractional error over the exact posterior's

Run = Callable[[list[str]], tuple[int, str]]  # exit code, and what is printed, of a command

pytestmark = [pytest.mark.reference, pytest.mark.distributed]


def commands() -> list[list[str]]:
    """Arguments of every `wolter ...` line of the page."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("wolter ")]


def linked(reference_data: Path, folder: Path) -> Path:
    """The folder, with links to the observation's files."""
    for name in FILES:
        (folder / name).symlink_to(reference_data / "xmm" / "ngc7793_ulx4" / name)
    return folder


def run_all(run: Run, shorter: dict[str, list[str]]) -> dict[str, str]:
    """Run the page's commands; `shorter` adds options by the command's first word."""
    said = {}
    for words in commands():
        code, told = run([*words, *shorter.get(words[0], [])])
        without_priors = words[0] == "simulate" and "--prior" not in words
        assert code == (2 if without_priors else 0), (words, told)
        said["missing" if without_priors else words[0]] = told
    return said


def test_the_commands_on_a_small_scale(ray_session, reference_data, tmp_path, monkeypatch, capsys):
    """In one process and one Ray, whose starts take longer than what they do here."""

    def run(words: list[str]) -> tuple[int, str]:
        code, told = main(words), capsys.readouterr()
        return code, told.out + told.err

    monkeypatch.chdir(linked(reference_data, tmp_path))
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shorter = {
        "simulate": ["--n", "1024"],
        "train": ["--train.epochs", "1", "--model.width", "32"],
        "evaluate": ["--exact", "2", "--n", "8"],
    }
    said = run_all(run, shorter)
    assert "no prior of nh, slope, pow_norm, tin, disk_norm" in said["missing"]
    answer = Table.read(tmp_path / "ulx.vot")
    fit = Table.read(tmp_path / "fits.vot")
    for table in (answer, fit):
        units = {name: table[name].unit for name in UNITS if name in table.colnames}
        assert {n: u and u.to_string() for n, u in units.items()} == {n: UNITS[n] for n in units}
    assert set(NAMES) <= set(answer.colnames)
    assert "refined" in answer["flag"][0]
    assert 0.02 <= answer["nh"][0] <= 1
    assert {"nh", "slope", "pow_norm"} <= set(fit.colnames)
    results = json.loads((tmp_path / "ulx.json").read_text())
    assert set(results["excess_mfe"]) == set(NAMES)
    assert results["units"]["tin"] == "keV"


@pytest.mark.slow
def test_the_network_reaches_the_exact_posterior(reference_data, tmp_path):
    environment = os.environ | {"WOLTER_HOME": str(tmp_path / "home")}

    def run(words: list[str]) -> tuple[int, str]:
        command = [sys.executable, "-m", "wolter.cli", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    linked(reference_data, tmp_path)
    run_all(run, {})
    results = json.loads((tmp_path / "ulx.json").read_text())
    assert max(results["excess_mfe"].values()) <= BAR, results["excess_mfe"]
    answer = Table.read(tmp_path / "ulx.vot")
    assert abs(answer["cstat"][0] - answer["cstat_expected"][0]) < 3 * answer["cstat_sigma"][0]
