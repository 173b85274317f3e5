"""What the client sends and keeps: queries, answers in files, checksums, waits."""

import contextlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests

from wolter.errors import FailedError, InputError
from wolter.progress import bar

LONGEST_WAIT_S = 60.0  # that is taken of a server's Retry-After
PIECE = 2**20  # bytes of a download written at once
Answer = dict[str, Any]
"""JSON of an answer: `release`, `simulated`, `status` and, of tables, `columns` and `rows`."""


def query(options: Mapping[str, Any]) -> dict[str, Any]:
    """Query parameters; a list of columns has commas, truths are words."""
    told: dict[str, Any] = {}
    for name, value in options.items():
        if name == "columns" and not isinstance(value, str):
            value = ",".join(value)
        told[name] = str(value).lower() if isinstance(value, bool) else value
    return told


def line(response: requests.Response) -> str:
    """What a server says is wrong."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code} {response.reason}"


def again_s(response: requests.Response, otherwise: float) -> float:
    """Seconds after which a server wants to be asked again."""
    told = response.headers.get("retry-after", "")
    return min(float(told), LONGEST_WAIT_S) if told.isdigit() else otherwise


def written(response: requests.Response, out: Path) -> Answer:
    """Keep an answer in a file, and tell which.

    Raises:
        InputError: it cannot be written.
    """
    try:
        out.write_bytes(response.content)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from error
    return {"file": str(out), "media_type": response.headers.get("content-type", "")}


def inside(folder: Path, path: str) -> Path:
    """A path in a folder.

    Raises:
        FailedError: it is not in it.
    """
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise FailedError(f"{path[:100]!r}: the server names a file outside of the folder")
    return target


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()


def shown_bar(title: str, total: int, shown: bool) -> Any:
    """A bar on standard error, or nothing."""
    return bar(title, total) if shown else contextlib.nullcontext(lambda *_: None)
