"""Digest of a request, by which an equal one is known."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from wolter.answering.uploads import plain_name

_PIECE = 2**20  # bytes


def digest_of(
    told: Mapping[str, Any],
    files: Mapping[str, Sequence[tuple[str, BinaryIO]]] | None,
    body: bytes | None,
) -> str:
    """SHA-256 of who asks, what is asked, and the bytes that were sent.

    Args:
        told: values that JSON can hold.
        files: name and content by field; None where JSON was sent.
        body: JSON.
    """
    sent = []
    for field, each in sorted((files or {}).items()):
        sent += [(field, plain_name(name), _of_file(content)) for name, content in each]
    whole = [told, None if files is None else sent, hashlib.sha256(body or b"").hexdigest()]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _of_file(content: BinaryIO) -> str:
    found = hashlib.sha256()
    content.seek(0)
    while piece := content.read(_PIECE):
        found.update(piece)
    return found.hexdigest()
