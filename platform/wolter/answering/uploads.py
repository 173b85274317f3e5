"""Uploaded files: client's names and stored paths."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath


@dataclass(frozen=True)
class Upload:
    """A stored upload.

    Attributes:
        name: the client's, see `plain_name`.
        path: path of the file.
    """

    name: str
    path: str


def plain_name(name: str | None) -> str:
    """The last part of a client's file name, printable and short, to repeat in answers."""
    last = PureWindowsPath(PurePosixPath(name or "").name).name
    return re.sub(r"[^\w .()+\-\[\]]", "_", last)[:100].strip() or "unnamed"


def with_names(message: str, uploads: Iterable[Upload]) -> str:
    """A message with the client's names in place of paths."""
    for upload in uploads:
        message = message.replace(upload.path, upload.name)
    return message
