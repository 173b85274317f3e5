"""One-line error messages from any exception.

The errors of Ray, MLflow and Arrow wrap each other, and some hold the real one as the text of a
traceback. None of these packages is imported here: it is their attributes that are looked at.
"""

import re
import traceback
from pathlib import Path

from wolter.errors import FailedError, InputError
from wolter.files import why_full

Ours = InputError | FailedError

LONGEST = 400  # characters of a foreign message
# The line that ends a traceback: the class, perhaps with its module, and the message.
_LAST = re.compile(r"^(?:[\w.]+\.)?([A-Z]\w*(?:Error|Exception|Invalid|Failed|Exit))(?:: (.*))?$")
_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|memory pressure|"
    r"unable to allocate|OutOfMemoryError|bad_alloc",
    re.IGNORECASE,
)
_REMEDY = {
    "memory": "use smaller batches (--train.batch-size), fewer workers (--scale.workers), or a "
    "machine with more memory",
    "disk": "make room, or set WOLTER_HOME and TMPDIR to folders on another one",
    "lost": "look for what ended it (the system ends processes when memory is short), then start "
    "again; Ray's own logs are under /tmp/ray/session_latest/logs",
}


def told(error: BaseException) -> Ours:
    """Convert an exception: `InputError` if bad input was the cause, else `FailedError`."""
    inner = innermost(error)
    if isinstance(inner, InputError | FailedError):
        return inner
    name, message = type(inner).__name__, _first(str(inner))
    # Ray's errors end in the traceback of a worker.
    if last := _last_of_traceback(str(inner)):
        name, message = last
        if name == "InputError":
            return InputError(message)
        if name == "FailedError":
            return FailedError(message)
    if why := why_full(error):
        return FailedError(f"{why} on a disk ({message}); {_REMEDY['disk']}")
    if isinstance(inner, MemoryError) or _MEMORY.search(f"{name}: {inner}"):
        said = f" ({message})" if message else ""
        return FailedError(f"out of memory{said}; {_REMEDY['memory']}")
    if name in ("WorkerCrashedError", "ActorDiedError", "ActorUnavailableError", "NodeDiedError"):
        return FailedError(f"a worker process of Ray was lost ({message}); {_REMEDY['lost']}")
    if type(inner).__module__.startswith("mlflow"):
        return FailedError(f"MLflow: {message}; check MLFLOW_TRACKING_URI (--debug shows where)")
    return FailedError(f"{name}: {message or 'no message'}{_where(inner)} (--debug shows where)")


def innermost(error: BaseException) -> BaseException:
    """Innermost cause of an exception, without Ray's wrappers."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        failures = getattr(error, "worker_failures", None)
        inner = getattr(error, "controller_failure", None)
        if failures:  # of training workers, by rank: others fail because the first has gone
            inner = min(failures.values(), key=_rank)
        elif hasattr(error, "as_instanceof_cause"):  # of a task
            inner = getattr(error, "cause", None)
        elif type(error).__name__ in ("UserCodeException", "SystemException", "TuneError"):
            inner = error.__cause__
        if not isinstance(inner, BaseException):
            return error
        error = inner
    return error


def _rank(error: BaseException) -> int:
    inner = innermost(error)
    if isinstance(inner, InputError):
        return 0
    lost = ("connection", "peer", "timed out", "timeout", "the actor died", "unavailable")
    return 2 if any(word in str(inner).lower() for word in lost) else 1


def _last_of_traceback(text: str) -> tuple[str, str] | None:
    """Class and message of the last error that a text shows the traceback of."""
    if "Traceback (most recent call last)" not in text and "ray::" not in text:
        return None
    lines = [_LAST.match(line.strip()) for line in text.splitlines()]
    found = [line for line in lines if line]
    return (found[-1][1], _cut(found[-1][2] or "")) if found else None


def _first(text: str) -> str:
    """The first line that says something."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return _cut(next((line for line in lines if line), ""))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _where(error: BaseException) -> str:
    """The last place in this package that an error passed."""
    frames = traceback.extract_tb(error.__traceback__)
    package = Path(__file__).parent
    ours = [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(package) and Path(frame.filename).name != "cli.py"
    ]
    return f", at {Path(ours[-1].filename).name} line {ours[-1].lineno}" if ours else ""
