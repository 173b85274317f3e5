"""Errors that users see."""

import re
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input: one line that names the file or value and the remedy.

    The command line prints the message and exits with code 2; batch jobs write it to
    `rejects.parquet`. Names of files and values of keywords may bring along what no terminal holds:
    line breaks and tabs become spaces, all else question marks.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class TooLargeError(InputError):
    """Input beyond the limits of what is done for one request; over HTTP 413."""


class MissingError(InputError):
    """What is asked for by its name is not there; over HTTP 404."""


class ConflictError(InputError):
    """Values that contradict each other, or what they are asked of; over HTTP 409."""


class UnavailableError(Exception):
    """Service temporarily unavailable, through no fault of the input; over HTTP 503."""


def printable(text: str) -> str:
    """Printable text on one line; other characters become question marks."""
    spaced = "".join(" " if c.isspace() else c for c in text)
    return "".join(c if c.isprintable() else "?" for c in spaced)


def is_utf8(name: str) -> bool:
    """True for a file name in UTF-8, which tables can hold and terminals show."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class FailedError(RuntimeError):
    """Work that failed though its input is good: one line that names the cause and the remedy.

    The command line prints the message and exits with code 1.
    """


# Ray hands an error of a task over as the text of its traceback.
_IN_TRACEBACK = re.compile(r"^wolter\.errors\.InputError: (.+)$", re.MULTILINE)


@contextmanager
def told_by_tasks() -> Iterator[None]:
    """Re-raise the `InputError` of a Ray task.

    Raises:
        InputError: the one that ended a task.
    """
    try:
        yield
    except Exception as error:  # also an InputError that Ray has wrapped
        told = _IN_TRACEBACK.findall(str(error))
        if not told:
            raise
        raise InputError(told[-1]) from error
