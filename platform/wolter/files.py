"""Atomic file writing, with one-line errors for a full disk."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wolter.errors import InputError

_FULL = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "quota used up",
    errno.EFBIG: "file too large",
}
# SQLite, Rust and Ray tell it in words only.
_WORDS = ("no space left on device", "disk is full", "storagefull", "outofdiskerror")


def make_folder(path: Path) -> Path:
    """Create an output folder.

    Raises:
        InputError: it cannot be created or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK)
    except OSError as error:
        if why_full(error):
            raise _full(path, error, 0) from error
        raise InputError(
            f"{path}: cannot be created ({error.strerror}); choose another --out"
        ) from error
    if not writable:
        raise InputError(f"{path}: not writable; change its permissions or choose another --out")
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing; a failure leaves what was there.

    Raises:
        InputError: the disk is full, or the file cannot be written.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if why_full(error):
            raise _full(path, error, len(data)) from error
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def telling_full(path: Path, needed: int = 0) -> Iterator[None]:
    """Convert disk-full errors of third-party writers into one line.

    Args:
        path: what is written.
        needed: bytes that it takes; 0 where not known.

    Raises:
        InputError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        if not why_full(error):
            raise
        raise _full(path, error, needed) from error


def why_full(error: BaseException | None) -> str:
    """Disk limit that an error or one of its causes reports; empty for none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in _FULL:
            return _FULL[error.errno]
        if any(word in str(error).lower() for word in _WORDS):
            return _FULL[errno.ENOSPC]
        error = getattr(error, "cause", None) or error.__cause__  # Ray has a cause of its own
    return ""


def _full(path: Path, error: BaseException, needed: int) -> InputError:
    folder = next((each for each in (path, *path.parents) if each.is_dir()), Path())
    wanted = f"{_size(needed)} needed, " if needed else ""
    return InputError(
        f"{path}: cannot be written: {why_full(error)} ({wanted}"
        f"{_size(shutil.disk_usage(folder).free)} free); make room or choose another place"
    )


def _size(n: int) -> str:
    for unit, size in {"GB": 1e9, "MB": 1e6, "kB": 1e3}.items():
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"
