"""Terminal output without the messages of Ray, torch and MLflow.

Ray, torch and MLflow write in many ways: by logging, by warnings, on standard output, and from C++
straight to the process's standard error.
"""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator

# Read by the libraries when they are imported, or when their processes start.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's future default
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
ERRORS = 2  # file descriptor of standard error


def quiet() -> None:
    """Ask the libraries to be quiet, unless the user has asked them otherwise."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def ours_alone() -> Iterator[None]:
    """Silence file descriptors 1 and 2 for all but Python's `sys.stdout` and `sys.stderr`.

    Log records and warnings are dropped as well.
    """
    quiet()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_own_stderr())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable()  # some libraries have handlers of their own
        yield


@contextlib.contextmanager
def _own_stderr() -> Iterator[None]:
    """Give `sys.stderr` a descriptor of its own, and libraries one that leads nowhere."""
    before = sys.stderr
    try:
        shared = before.fileno() == ERRORS
    except (AttributeError, OSError, ValueError):  # a test, or a notebook
        shared = False
    if not shared:
        yield
        return
    before.flush()
    own = os.dup(ERRORS)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, ERRORS)
    os.close(nowhere)
    stream = io.FileIO(own, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(stream), before.encoding, before.errors, line_buffering=True
    )
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = before
        os.dup2(own, ERRORS)
        os.close(own)
