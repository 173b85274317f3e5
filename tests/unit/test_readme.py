import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_example_runs_and_finds_the_slope() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "slope 1.80\n"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_it_names_exists(page: str) -> None:
    """Links of the pages of docs/ are checked where the site is built."""
    files = re.findall(r"\]\(([^)h][^)]*)\)", (ROOT / page).read_text())
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_contributing_states_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (
        each
        for each in project["tool"]["importlinter"]["contracts"]
        if each["name"] == "Imports go one way"
    )
    text = (ROOT / "CONTRIBUTING.md").read_text().replace("\n> ", " ")
    (sentence,) = re.findall(r"`(cli > [^`]+)`", text)
    *layers, ground = sentence.split(" > ")
    assert ground == "ground"
    assert layers == contract["layers"][: len(layers)]
    assert contract["layers"][len(layers)] == "client | local_ray"  # the first of the ground
