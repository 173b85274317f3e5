"""`wolter bench`."""

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

import wolter
from wolter.data.out_paths import check_out
from wolter.errors import InputError
from wolter.files import write_atomically


@dataclass(frozen=True)
class Bench:
    """Run one benchmark of benchmarks/ against its peers, and print the results as JSON.

    Attributes:
        name: the benchmark: simulate, train, optimisers, fit, starts, detection, coverage, infer,
            observed, shifted, images, superres, losses, catalogue, release, serve, kills,
            redeploy or hostile (these of a served application).
        instrument: name of the instrument whose embedded response the benchmark `simulate` folds,
            in place of an observation's.
        json: also write the results to this file, and plots, if any, beside it. Results are always
            printed.
        n: size of the benchmark; 0: its default.
        pha: spectrum of the benchmark `observed`, beside the files that its header names.
        weights: folder or card of the network for the benchmark `superres`, in place of the
            registry's.
        pictures: plot the images of the benchmark `superres`.
        jolideco: include jolideco in the benchmark `superres`, which takes minutes more.
        sweep: JSON of `wolter tune superres`, whose best losses enter the benchmark `losses`.
    """

    name: tyro.conf.Positional[str]
    json: tuple[()] | tuple[Path] | None = None
    n: int = 0
    instrument: str = ""
    pha: Path | None = None
    weights: Path | None = None
    pictures: bool = False
    jolideco: bool = False
    sweep: Path | None = None

    def run(self) -> int:
        """Run it."""
        for file in self.json or ():
            check_out(file, [self.pha, self.weights])
        race = _load(self.name)
        names = ("n", "instrument", "pha", "weights", "pictures", "jolideco", "sweep")
        given = {name: value for name in names if (value := getattr(self, name))}
        figures = race(**given)
        pictures = figures.pop("pictures", {})
        text = json.dumps(figures, indent=2) + "\n"
        print(text, end="")
        if self.json:
            (file,) = self.json
            write_atomically(file, text.encode())
            for name, png in pictures.items():
                write_atomically(file.with_name(f"{file.stem}-{name}.png"), png)
        return 0


def _load(name: str):  # type: ignore[no-untyped-def]
    folder = Path(wolter.__file__).parents[2] / "benchmarks"
    known = sorted(file.stem for file in folder.glob("[a-z]*.py"))
    if not known:
        raise InputError(f"{folder}: not found; the benchmarks run from a source checkout")
    if name not in known:
        raise InputError(f"unknown race {name!r}; choose one of: {', '.join(known)}")
    root = str(folder.parent)
    if root not in sys.path:
        sys.path.append(root)  # races share modules of their folder
    return importlib.import_module(f"benchmarks.{name}").run


COMMAND = Bench
