"""`wolter bench`."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import tyro

import wolter
from wolter.data.shards import write_atomically
from wolter.errors import InputError


@dataclass(frozen=True)
class Bench:
    """Run one race of benchmarks/, both sides in one run, and print its figures as JSON.

    Attributes:
        name: the race: simulate, train, fit, infer or images.
        json: also write the figures to this file.
        n: size of the race; 0: the race's own.
    """

    name: tyro.conf.Positional[str]
    json: Path | None = None
    n: int = 0

    def run(self) -> int:
        """Run it."""
        race = _load(self.name)
        figures = race(self.n) if self.n else race()
        text = json.dumps(figures, indent=2) + "\n"
        print(text, end="")
        if self.json is not None:
            write_atomically(self.json, text.encode())
        return 0


def _load(name: str):  # type: ignore[no-untyped-def]
    folder = Path(wolter.__file__).parents[2] / "benchmarks"
    known = sorted(file.stem for file in folder.glob("[a-z]*.py"))
    if not known:
        raise InputError(f"{folder}: not found; the benchmarks run from a source checkout")
    if name not in known:
        raise InputError(f"unknown race {name!r}; choose one of: {', '.join(known)}")
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run


COMMAND = Bench
