"""Imports every module of the installed package alone, and exits with 1 if one fails or acts.

Each module is imported in a process of its own, forked from this one, where nothing of wolter is
imported. Big third-party packages are imported once, here, so that all modules take seconds.
A script and no test: the tests run it, and `make wheel` runs it in a clean environment.
"""

import argparse
import contextlib
import gc
import importlib
import importlib.abc
import importlib.metadata
import importlib.util
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

PRELOAD = (
    "astropy.coordinates",
    "astropy.io.fits",
    "astropy.table",
    "cattrs.strategies",
    "fastapi",
    "matplotlib.pyplot",
    "mlflow.tracking",
    "photutils.detection",
    "pyarrow.parquet",
    "ray.data",
    "ray.serve",
    "ray.train.torch",
    "ray.tune",
    "rich.progress",
    "safetensors.torch",
    "scipy.signal",
    "scipy.stats",
    "sklearn.linear_model",
    "torch",
    "tyro",
)


class Hidden(importlib.abc.MetaPathFinder):
    """Makes packages unimportable, as if they were not installed."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"{name} is hidden", name=name)


def modules(folder: Path) -> list[str]:
    """Names of all modules under the folder of a package, through symlinks too."""
    found = []
    for root, _, files in os.walk(folder, followlinks=True):
        parts = (folder.name, *Path(root).relative_to(folder).parts)
        stems = [Path(file).stem for file in files if file.endswith(".py")]
        found += [".".join(parts if s == "__init__" else (*parts, s)) for s in stems]
    return sorted(found)


def import_alone(module: str) -> str | None:
    """Import a module in a forked process; the reason if that fails or does more than import."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), os.fdopen(write, "w") as report:
            try:
                importlib.import_module(module)
                report.write("; ".join(traces()))
            except BaseException:
                report.write(traceback.format_exc(limit=-3))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as report:
        reason = report.read()
    os.waitpid(child, 0)
    return reason or None


def traces() -> Iterator[str]:
    """What an import must not leave behind; the working folder was empty."""
    if files := [path.name for path in Path().iterdir()]:
        yield f"it wrote {files}"
    if (ray := sys.modules.get("ray")) and ray.is_initialized():
        yield "it started Ray"
    if (mlflow := sys.modules.get("mlflow")) and mlflow.tracking.is_tracking_uri_set():
        yield "it set MLflow's tracking URI"
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")  # Linux only
    if children.exists() and children.read_text():
        yield "it started a process"


def main() -> int:
    """Import each module; print failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefixes", nargs="*", default=["wolter"], help="modules, with all inside")
    parser.add_argument("--hide", nargs="+", default=[], help="packages to make unimportable")
    parser.add_argument("--same-as", type=Path, help="folder whose modules must all be installed")
    options = parser.parse_args()

    spec = importlib.util.find_spec("wolter")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    names = modules(installed)
    failed = 0
    if options.same_as is not None:
        if Path(sys.prefix) not in installed.parents:
            sys.exit(f"wolter comes from {installed}, and not from the environment {sys.prefix}")
        if names != (expected := modules(options.same_as)):
            sys.exit(f"installed and source differ in {set(names) ^ set(expected)}")

    sys.meta_path.insert(0, Hidden(tuple(options.hide)))
    for package in PRELOAD:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(package)
    importlib.metadata.version("torch")  # wolter asks for its own, which imports more
    chosen = [n for n in names if any(f"{n}.".startswith(f"{p}.") for p in options.prefixes)]
    gc.disable()  # a fork that looks through all objects for cycles copies their memory
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)
        for name in chosen:
            if reason := import_alone(name):
                print(f"{name}: {reason.strip()}")
                failed += 1
        os.chdir(installed)
    print(f"{len(chosen) - failed} of {len(chosen)} modules import alone, from {installed}")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
