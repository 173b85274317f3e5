"""The tree itself: what lies where, how long files are, and that imports are only imports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (".ci", "benchmarks", "deploy", "docs", "jobs", "models", "platform", "tests")
LONGEST = 400  # lines


def project_files() -> list[Path]:
    """Files of the project: what git tracks, or in a copy without git, all but build products."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and "pyproject.toml" in listed.stdout.split("\0"):
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
        paths = [path for path in (*ROOT.iterdir(), *inside) if "__pycache__" not in path.parts]
        paths = [path for path in paths if ".egg-info" not in str(path)]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:  # weights, pictures
        return ""


def test_platform_is_a_folder_and_never_a_package() -> None:
    """It would shadow the standard library's `platform`, which torch and Ray need."""
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert sorted(path.name for path in (ROOT / "platform").glob("*.py")) == []


def test_models_is_a_relative_symlink() -> None:
    assert (ROOT / "platform" / "wolter" / "models").readlink() == Path("../../models")


def test_every_job_can_be_submitted_as_it_is() -> None:
    """`ray job submit jobs/x.py` runs the file itself: mode and first line decide."""
    for job in (ROOT / "jobs").glob("*.py"):
        if not job.name.startswith("_"):
            assert job.read_text().splitlines()[0] == "#!/usr/bin/env python", job.name
            assert job.stat().st_mode & 0o111 == 0o111, f"{job.name} is not executable"


def test_no_file_is_too_long() -> None:
    code = [path for path in project_files() if path.suffix in {".py", ".js", ".html", ".css"}]
    lengths = {str(path.relative_to(ROOT)): text_of(path).count("\n") for path in code}
    assert len(lengths) > 10
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


# The words are split so that this file passes.
@pytest.mark.parametrize(
    "banned",
    [
        r"/wo" r"rk/",
        r"/ro" r"ot/",
        r"/ho" r"me/\w",
        r"\bTO" r"DO\b",
        r"\bFIX" r"ME\b",
        r"py" r"pi\.org|python" r"hosted|anaconda\.org|extra-" r"index-url|find-" r"links",
    ],
)
def test_no_leftovers_of_a_machine_or_a_draft(banned: str) -> None:
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in project_files()
        if (match := re.search(banned, text_of(path)))
    }
    assert found == {}


def import_each(*arguments: str) -> None:
    run = subprocess.run(
        [sys.executable, "-I", ROOT / "tests" / "import_each.py", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow  # `make wheel` does the same, from an installed wheel
def test_every_module_imports_alone_and_starts_nothing() -> None:
    import_each()


def test_physics_models_and_loop_import_without_ray_mlflow_and_astropy() -> None:
    plain = ["wolter.xray", "wolter.models", "wolter.train.loop", "wolter.spectra.simulate"]
    import_each(*plain, "--hide", "ray", "mlflow", "astropy")
