import errno
import pickle
import re

import pyarrow as pa
import pytest
import ray
import torch
from mlflow.exceptions import MlflowException
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from wolter import progress
from wolter.errors import FailedError, InputError
from wolter.reasons import told


def of_task(error):
    """An error as a Ray task hands it over: it is of both classes, its text is a traceback."""
    text = f"\x1b[36mray::f()\x1b[39m (pid=1)\n  File x\n{type(error).__name__}: {error}"
    return ray.exceptions.RayTaskError("f", text, error).as_instanceof_cause()


LOST = ConnectionError("Connection closed by peer [127.0.0.1]:1234")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (InputError("x.fits: empty; give another"), InputError, "x.fits: empty; give another"),
        (FailedError("no luck; try again"), FailedError, "no luck; try again"),
        (of_task(InputError("x.fits: empty")), InputError, "x.fits: empty"),
        (of_task(KeyError("slope")), FailedError, "KeyError: 'slope' (--debug shows where)"),
        (
            WorkerGroupError("traceback\n" * 50, {0: LOST, 1: InputError("shard-1: damaged")}),
            InputError,
            "shard-1: damaged",
        ),
        (
            WorkerGroupError("traceback", {0: LOST, 1: TypeError("no tensor")}),
            FailedError,
            "TypeError: no tensor (--debug shows where)",
        ),
        (
            ControllerError(WorkerGroupError("x", {0: of_task(ValueError("not finite"))})),
            FailedError,
            "ValueError: not finite (--debug shows where)",
        ),
        (
            RuntimeError(
                "ray::f()\nTraceback (most recent call last):\nwolter.errors.InputError: a"
            ),
            InputError,
            "a",
        ),
        (
            pa.ArrowInvalid("Parquet magic bytes not found\nin footer"),
            FailedError,
            "ArrowInvalid: Parquet magic bytes not found (--debug shows where)",
        ),
        (TypeError(""), FailedError, "TypeError: no message (--debug shows where)"),
    ],
)
def test_the_line_names_the_cause(error, kind, words):
    found = told(error)
    assert type(found) is kind
    assert str(found) == words


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        of_task(MemoryError("Unable to allocate 1.2 TiB for an array with shape (4, 5)")),
        ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory"),
        WorkerGroupError("x", {0: MemoryError()}),
    ],
)
def test_memory_that_ran_out_has_a_remedy(error):
    found = told(error)
    assert isinstance(found, FailedError)
    assert str(found).startswith("out of memory")
    assert "--train.batch-size" in str(found)


def test_a_lost_worker_has_a_remedy():
    for error in (ray.exceptions.WorkerCrashedError(), ray.exceptions.ActorDiedError()):
        found = told(WorkerGroupError("x", {0: error}))
        assert str(found).startswith("a worker process of Ray was lost")
        assert "/tmp/ray/session_latest/logs" in str(found)


def test_the_store_is_named_where_it_failed():
    error = MlflowException("API request failed\nwith a page of HTML")
    assert str(told(error)).startswith("MLflow: API request failed; check MLFLOW_TRACKING_URI")


def test_where_an_unknown_error_arose_is_told():
    with pytest.raises(TypeError) as caught:
        progress._span("an hour")
    assert re.search(
        r", at progress\.py line \d+ \(--debug shows where\)$", str(told(caught.value))
    )


def test_a_long_message_is_cut():
    found = str(told(RuntimeError("x" * 10_000)))
    assert len(found) < 500


def test_our_errors_come_back_from_a_worker():
    for error in (InputError("a"), FailedError("b")):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "no space left on a disk"),
        (of_task(OSError(errno.ENOSPC, "No space left on device")), "no space left on a disk"),
        (MlflowException("(sqlite3.OperationalError) database or disk is full"), "no space left"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "quota used up on a disk"),
    ],
)
def test_a_full_disk_has_a_remedy(error, words):
    found = told(error)
    assert type(found) is FailedError
    assert str(found).startswith(words)
    assert str(found).endswith("make room, or set WOLTER_HOME and TMPDIR to folders on another one")
