"""Commands of the platform, one module each, and discovery of those of the wings.

A wing is a subpackage; the words of its commands, their modules and what they do are `COMMANDS` of
its own subpackage `commands`.
"""

import functools
import importlib
from collections.abc import Mapping

from wolter.plugins import subpackages_with

COMMANDS: Mapping[str, tuple[str, str]] = {  # words -> module, what it does
    "train": ("train", "Train a model family on a dataset; prints the run id"),
    "tune": ("tune", "Search a family's configs; prints the Pareto front"),
    "evaluate": ("evaluate", "Tables, figures and report of families on a test split"),
    "predict": ("predict", "Answers of a model for files"),
    "export": ("export", "Write a model as weights that ship with the package"),
    "promote": ("promote", "Make a run the champion that the server answers with"),
    "catalogue build": ("catalogue_build", "Score datasets into a release of the catalogue"),
    "catalogue list": ("catalogue_list", "List the releases of the catalogue"),
    "catalogue use": ("catalogue_use", "Let a release of the catalogue answer"),
    "catalogue export": ("catalogue_export", "Copy a table or the HATS collection of a release"),
    "catalogue verify": ("catalogue_verify", "Compare a release with its SHA-256"),
    "serve": ("serve", "Serve the champions over HTTP until interrupted"),
    "keys add": ("keys.add", "Make a key for a client of the server"),
    "keys list": ("keys.list", "List the keys of the server's clients"),
    "keys revoke": ("keys.revoke", "Let a key answer no more"),
    "bench": ("bench", "Run one race of the benchmarks; prints JSON"),
    "demo": ("demo", "Simulate, train, evaluate, register, serve and answer, in minutes"),
}


@functools.cache
def all_commands() -> Mapping[str, tuple[str, str]]:
    """Import path and one line of each command, by its words: those of the wings come first."""
    wings = [f"wolter.{wing}.commands" for wing in subpackages_with("commands")]
    found: dict[str, tuple[str, str]] = {}
    for room in [*wings, __name__]:
        commands: Mapping[str, tuple[str, str]] = importlib.import_module(room).COMMANDS
        found |= {name: (f"{room}.{module}", about) for name, (module, about) in commands.items()}
    return found
