"""The pages of README and docs/: their commands parse, their Python runs, their files exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from wolter import cli
from wolter.commands import all_commands, config_file

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
STARTS = sorted((ROOT / "docs" / "start").glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def command_lines() -> list[tuple[str, str]]:
    """Every `wolter ...` line of a shell block, with the page that shows it."""
    return [
        (str(page.relative_to(ROOT)), line)
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("wolter ") and "--help" not in line
    ]


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_every_command_shown_is_one_that_the_command_line_takes(
    page: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
    if words[0] == "config":
        words = words[1:]
    name, rest = cli.find(words)
    rest, _ = config_file.split(rest)
    try:
        config_file.parse(cli.load(name, rest), rest, f"wolter {name}", {}, None)
    except SystemExit:
        pytest.fail(f"{page}: {line}\n{capsys.readouterr().err}")


def test_the_reference_lists_every_command() -> None:
    reference = (ROOT / "docs" / "reference" / "index.md").read_text()
    table = "\n".join(line for line in reference.splitlines() if line.startswith("| `wolter"))
    assert set(re.findall(r"`wolter ([a-z ]+)`", table)) == {*all_commands(), "config"}


@pytest.mark.parametrize("page", STARTS, ids=[page.stem for page in STARTS])
def test_python_of_the_first_pages_runs(page: Path) -> None:
    for code in blocks(page, "python"):
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_every_public_package_is_in_the_reference() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: wolter\.([\w.]+)", pages, re.MULTILINE))
    package = ROOT / "platform" / "wolter"
    packages = {path.parent.name for path in package.glob("*/__init__.py")} - {"commands", "xray"}
    packages |= {f"xray.{path.parent.name}" for path in package.glob("xray/*/__init__.py")}
    assert packages <= shown


def test_jobs_and_make_targets_that_the_pages_name_exist() -> None:
    text = "\n".join(page.read_text() for page in (*PAGES, ROOT / "CONTRIBUTING.md"))
    jobs = set(re.findall(r"jobs/\w+\.py", text))
    assert {job for job in jobs if not (ROOT / job).is_file()} == set()
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert jobs
    assert targets
    assert targets <= rules
