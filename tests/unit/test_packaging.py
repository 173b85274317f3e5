"""The wheel holds the whole package, and the pinned versions are those that it asks for."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of a copy of the tree: a build in place could pick up what an older one left."""
    copy, dist = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("models", "platform"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=skip)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-index", "--wheel-dir", dist, copy], check=True, timeout=120)
    return zipfile.ZipFile(next(dist.glob("wolter-*.whl")))


def files_of_the_package() -> set[str]:
    """All files under `platform/`, the models through their symlink, as a wheel names them."""
    platform = ROOT / "platform"
    return {
        str((Path(folder) / name).relative_to(platform))
        for folder, _, names in os.walk(platform, followlinks=True)
        if "__pycache__" not in folder and ".egg-info" not in folder
        for name in names
    }


def test_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected = files_of_the_package()
    assert {
        "wolter/py.typed",
        "wolter/models/__init__.py",
        "wolter/xray/spectral/response.py",
    } <= expected
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


def test_wheel_names_command_licence_and_requirements(wheel: zipfile.ZipFile) -> None:
    def read(name: str) -> str:
        (path,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{name}"))
        return wheel.read(path).decode()

    metadata = Parser().parsestr(read("METADATA"))
    assert metadata["Name"] == "wolter"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "wolter = wolter.cli:main" in read("entry_points.txt")
    assert read("licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert "torch==2.13.*" in metadata.get_all("Requires-Dist", [])


def constraints() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_constraints_are_exact_and_portable() -> None:
    """A local version such as +cpu, or an address, would tie them to one kind of machine."""
    for pin in constraints():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        assert not set("+*") & set(specifier.version), pin
        assert pin.url is None, pin


def test_every_requirement_is_pinned_at_a_version_that_it_admits() -> None:
    extras = PROJECT["optional-dependencies"].values()
    asked = [Requirement(line) for group in (PROJECT["dependencies"], *extras) for line in group]
    pins = {canonicalize_name(pin.name): [] for pin in constraints()}
    for pin in constraints():
        pins[canonicalize_name(pin.name)] += [specifier.version for specifier in pin.specifier]
    for requirement in asked:
        if requirement.name != "wolter":
            versions = pins.get(canonicalize_name(requirement.name), [])
            assert versions, f"{requirement} is not in constraints.txt"
            for version in versions:
                assert requirement.specifier.contains(version), f"{requirement}: {version}"


CHECKS = re.findall(r"^\t@\$\(BIN\)/(deptry .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all sources, as `make lint` looks at them."""
    copy = tmp_path_factory.mktemp("sources")
    shutil.copy(ROOT / "pyproject.toml", copy)
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info", "weights", "golden", "*.csv")
    for name in ("benchmarks", "jobs", "models", "platform", "tests"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=skip)
    return copy


def imports_checked(tree: Path) -> str:
    """What `make lint` finds wrong with the imports of a tree."""
    runs = [
        subprocess.run(
            [Path(sys.executable).parent / words[0], *words[1:]],
            cwd=tree,
            capture_output=True,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
        for words in map(shlex.split, CHECKS)
    ]
    assert [bool(run.returncode) for run in runs] == ["Found" in run.stderr for run in runs]
    return "".join(run.stderr for run in runs if run.returncode)


def test_every_import_is_declared(tree: Path) -> None:
    assert len(CHECKS) == 2
    assert imports_checked(tree) == ""


@pytest.mark.parametrize(
    ("place", "line", "found"),
    [
        ("tests/planted.py", "import nothing_of_this_name", "DEP001"),
        ("benchmarks/planted.py", "import yaml", "DEP003"),
        ("platform/wolter/xray/planted.py", "import click", "DEP003"),
        ("jobs/planted.py", "import hypothesis", "DEP004"),
        ("models/planted.py", "import sherpa", "DEP004"),
        ("pyproject.toml", "", "DEP002"),
    ],
)
def test_an_import_that_is_undeclared_transitive_or_unused_is_found(
    tree: Path, place: str, line: str, found: str
) -> None:
    planted = tree / place
    before = planted.read_text() if planted.exists() else None
    planted.write_text(
        line + "\n" if before is None else before.replace('"zuko', '"flask>=1",\n    "zuko')
    )
    try:
        told = imports_checked(tree)
        assert place in told
        assert found in told
    finally:
        planted.unlink() if before is None else planted.write_text(before)
