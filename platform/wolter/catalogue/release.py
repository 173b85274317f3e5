"""Releases of a catalogue: immutable folders, and the one that is current.

`releases/NAME/` holds `release.json` (a `Release`), `catalogue.duckdb`, `latents.npy`, `hats/`,
`catalogue.parquet`, `samples.parquet`, `pictures.parquet`, `rejects.parquet`, and `SHA256` of all
files. The file `releases/CURRENT` names the release that answers; it is replaced by renaming, so
that a reader finds the old or the new one and never none.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from wolter import config as configs
from wolter.catalogue.columns import Table
from wolter.errors import InputError, MissingError
from wolter.home import home

RELEASE, DATABASE, LATENTS, CHECKSUMS = (
    "release.json",
    "catalogue.duckdb",
    "latents.npy",
    "SHA256",
)
CURRENT = "CURRENT"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Release:
    """A release of a catalogue.

    Attributes:
        name: name of the release, on every row.
        made: when it was made, ISO 8601, UTC.
        simulated: its sources are simulated, which every answer says.
        about: what it holds, in a sentence.
        tables: tables of its database.
        rows: number of rows by table.
        models: name -> version of the models whose estimates it publishes.
        latents: name of the model whose latents are in `latents.npy`; empty where there are none.
        code_version: version of wolter that made it.
        rejects: records that are not in it; `rejects.parquet` lists them with the reason.
    """

    name: str
    made: str
    simulated: bool
    about: str
    tables: tuple[Table, ...]
    rows: dict[str, int]
    models: dict[str, str]
    latents: str = ""
    code_version: str = ""
    rejects: int = 0

    def table(self, name: str) -> Table:
        """A table by its name.

        Raises:
            KeyError: there is none.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


def folder(root: Path | None = None) -> Path:
    """Folder of all releases: `root`, or `$WOLTER_HOME/catalogue/releases`."""
    return root or home() / "catalogue" / "releases"


def missing(path: Path) -> str:
    """What is said of a folder without the description of a release."""
    return f"{path}: no release of a catalogue there; make one with `wolter catalogue build`"


def load(path: Path) -> Release:
    """The description of the release in a folder.

    Raises:
        InputError: the folder holds no release, or its description is damaged.
    """
    file = path / RELEASE
    try:
        values = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise InputError(missing(path)) from error
    except ValueError as error:
        raise InputError(f"{file}: damaged ({error}); build the release again") from error
    return configs.from_dict(Release, values)


def names(root: Path | None = None) -> tuple[str, ...]:
    """Names of the whole releases, oldest first."""
    found = [path.parent for path in folder(root).glob(f"*/{CHECKSUMS}")]
    return tuple(path.name for path in sorted(found, key=lambda path: (load(path).made, path.name)))


def current(root: Path | None = None) -> Path | None:
    """Folder of the current release; None where there is none.

    Raises:
        InputError: the current release is missing.
    """
    try:
        name = (folder(root) / CURRENT).read_text().strip()
    except FileNotFoundError:
        return None
    return find(name, root) if name else None  # empty while the first is written


def find(name: str, root: Path | None = None) -> Path:
    """Folder of a release.

    Raises:
        MissingError: there is no such release.
    """
    path = folder(root) / name
    if not NAME.fullmatch(name) or not (path / CHECKSUMS).is_file():
        known = ", ".join(names(root)) or "none"
        raise MissingError(f"no release {name[:64]!r} of the catalogue; there are: {known}")
    return path


def check_new(name: str, root: Path | None = None) -> None:
    """Check the name of a release that is to be made.

    Raises:
        InputError: it is none, or taken.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"release {name[:64]!r}: use letters, digits, dots, - and _")
    path = folder(root) / name
    if path.exists():
        raise InputError(f"{path}: exists, and is never changed; use a new name")


def make_current(name: str, root: Path | None = None) -> None:
    """Let a release answer, from now on.

    Raises:
        MissingError: there is no such release.
    """
    find(name, root)
    temporary = folder(root) / f".{CURRENT}.{os.getpid()}"
    temporary.write_text(f"{name}\n")
    temporary.replace(folder(root) / CURRENT)


def make_first(name: str, root: Path | None = None) -> bool:
    """Let a release answer where none does; return whether it does now.

    Raises:
        MissingError: there is no such release.
    """
    find(name, root)
    try:
        with (folder(root) / CURRENT).open("x") as file:
            file.write(f"{name}\n")
    except FileExistsError:
        return False
    return True
