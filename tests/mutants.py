"""Mutation testing: the share of small careless changes to a module that its own tests notice.

`make mutation` draws changes at random places of the modules named in pyproject.toml, by the
operators of cosmic-ray, and runs each module's tests on each of them: in a fork of a process that
has torch and the like imported already, on a copy of the package, so that processes which tests
start see the change as well.

Left alone is what cannot change an answer, by rule and never case by case:

- strings, messages and type annotations;
- a bare `*` or `/` in a signature: a marker, which cosmic-ray takes for an operator;
- lines with a word of `skip` in pyproject.toml, which says why;
- code that does not compile without a warning (`x is "a"`), as warnings are errors here: it is
  counted neither as tried nor as caught.
"""

import argparse
import contextlib
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import tomllib
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "platform" / "wolter"
# What tests import of others' code, slowest first: it is imported once, before the forks.
PRELOAD = ("torch", "scipy.stats", "astropy.io.fits", "astropy.wcs", "astropy.table",
           "pyarrow.parquet", "pyarrow.compute", "zuko", "safetensors.torch",
           "matplotlib.figure", "cattrs", "pydantic", "pytest")  # fmt: skip
CAUGHT, SURVIVED, BROKEN = "caught", "survived", "no code"


@dataclass(frozen=True)
class Mutant:
    """One change: an operator of cosmic-ray at the n-th of the places that it fits."""

    module: str
    operator: str
    occurrence: int
    line: int
    column: int

    def code(self) -> str | None:
        """Source of the module with the change."""
        source = (PACKAGE / self.module).read_text()
        try:
            return mutate_code(source, OperatorProvider()[self.operator](), self.occurrence)
        except AttributeError:  # ExceptionReplacer knows plain names only
            return None

    def __str__(self) -> str:
        old = (PACKAGE / self.module).read_text().splitlines()[self.line - 1].strip()
        new = (self.code() or "").splitlines()
        shown = new[self.line - 1].strip() if self.line <= len(new) else ""
        return f"{self.module}:{self.line}:{self.column} {self.operator}\n    {old}\n    {shown}"


def mutants(module: str, skip: list[str]) -> list[Mutant]:
    """Every change to a module, in the order of its places."""
    source = (PACKAGE / module).read_text()
    lines, tree, found = source.splitlines(), parso.parse(source), []
    operators = OperatorProvider()
    for name in operators:
        if name.startswith(("Variable", "RemoveDecorator")):
            continue
        operator, occurrence = operators[name](), -1
        for node in ast_nodes(tree):
            for (line, column), _ in operator.mutation_positions(node):
                occurrence += 1
                if not _left_alone(node) and not any(each in lines[line - 1] for each in skip):
                    found.append(Mutant(module, name, occurrence, line, column))
    return sorted(found, key=lambda each: (each.line, each.column, each.operator, each.occurrence))


def _left_alone(node: parso.tree.NodeOrLeaf) -> bool:
    """Whether a node is a marker of a signature, or in a formatted string or type annotation."""
    child, parent = node, node.parent
    if parent is not None and parent.type == "parameters":
        return True
    while parent is not None:
        if parent.type.startswith("fstring") or parent.type == "tfpdef":
            return True
        if parent.type == "annassign" and child is parent.children[1]:
            return True
        if parent.type == "funcdef" and child is getattr(parent, "annotation", None):
            return True
        child, parent = parent, parent.parent
    return False


def sample(module: str, n: int, seed: int, skip: list[str]) -> list[Mutant]:
    """Changes at `n` places of a module, one at each, drawn by the seed."""
    places: dict[tuple[int, int], list[Mutant]] = {}
    for each in mutants(module, skip):
        places.setdefault((each.line, each.column), []).append(each)
    draw = random.Random(f"{seed} {module}")
    chosen = draw.sample(sorted(places), min(n, len(places)))
    return sorted((draw.choice(places[place]) for place in chosen), key=lambda each: each.line)


def copy_package(folder: Path) -> None:
    """A package of links to our files, in which one can be exchanged for another."""
    for file in PACKAGE.glob("**/*"):
        if file.is_file() and "__pycache__" not in file.parts:
            link = folder / "wolter" / file.relative_to(PACKAGE)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
    models = PACKAGE / "models"  # itself a link, which glob does not follow
    for file in models.resolve().glob("**/*"):
        if file.is_file() and "__pycache__" not in file.parts:
            link = folder / "wolter" / "models" / file.relative_to(models.resolve())
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(file)


def _child(folder: Path, tests: list[str]) -> None:
    os.setsid()
    output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ["PYTHONPATH"] = f"{folder}:{ROOT}"
    sys.path[:0] = [str(folder), str(ROOT)]
    import pytest

    base = f"--basetemp={folder / 'tmp'}"
    options = ["-x", "-q", "-p", "no:cacheprovider", base, f"--rootdir={ROOT}"]
    os._exit(int(pytest.main([*options, *tests])))


def run_tests(folder: Path, tests: list[str], limit_s: float) -> int:
    """Run tests in a fork on the package in a folder; exit code of pytest, -1 when out of time."""
    child = os.fork()
    if child == 0:
        try:
            _child(folder, tests)
        finally:  # nothing of the parent's is to be tidied up here
            os._exit(3)
    end = time.monotonic() + limit_s
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            code = -1
            break
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it left running
    return code


def judge(mutant: Mutant, folder: Path, number: int, tests: list[str], limit_s: float) -> str:
    """Whether the tests notice a change."""
    code = mutant.code()
    try:
        assert code is not None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(code, mutant.module, "exec")
    except (SyntaxError, SyntaxWarning, AssertionError):
        return BROKEN
    file = folder / "wolter" / mutant.module
    original = file.resolve()
    file.unlink()
    file.write_text(code)
    os.utime(file, (1e9 + number, 1e9 + number))  # so that no compiled file is taken for another's
    try:
        return SURVIVED if run_tests(folder, tests, limit_s) == 0 else CAUGHT
    finally:
        file.unlink()
        file.symlink_to(original)


def main() -> int:
    """Judge the modules asked for; print a row for each and every change that was not noticed."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutants"]
    known: dict[str, list[str]] = settings["tests"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(known), help="; ".join(known))
    parser.add_argument("--seed", type=int, default=settings["seed"])
    parser.add_argument("--n", type=int, default=settings["n"], help="changes of a module")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "WOLTER_MUTANTS": "1"}
    for name in PRELOAD:
        importlib.import_module(name)
    os.chdir(ROOT)
    rows = {}
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / str(i) for i in range(given.workers)]
        for folder in folders:
            copy_package(folder)
        free = list(folders)
        for module in given.modules:
            start = time.monotonic()
            if run_tests(folders[0], known[module], 3600) != 0:
                print((folders[0] / "output.txt").read_text())
                print(f"{module}: its tests fail as it is", flush=True)
                return 1
            limit_s = 20 + 5 * (time.monotonic() - start)
            chosen = sample(module, given.n, given.seed, settings["skip"])

            def one(number: int, chosen: list[Mutant] = chosen, limit_s: float = limit_s) -> str:
                folder = free.pop()
                try:
                    return judge(
                        chosen[number], folder, number, known[chosen[number].module], limit_s
                    )
                finally:
                    free.append(folder)

            with ThreadPoolExecutor(given.workers) as pool:
                told = list(pool.map(one, range(len(chosen))))
            left = [str(m) for m, how in zip(chosen, told, strict=True) if how == SURVIVED]
            valid = len(chosen) - told.count(BROKEN)
            rows[module] = {"tried": valid, "caught": valid - len(left), "survived": left}
            seconds = time.monotonic() - start
            print(f"{module}: {valid - len(left)} of {valid} caught in {seconds:.0f} s", flush=True)
            for text in left:
                print(f"  {text}", flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps({"seed": given.seed, "modules": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
