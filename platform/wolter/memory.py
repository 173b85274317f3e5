"""Allocator and garbage collector tuning for the process of a command.

The C library gives large pieces back to the system, which hands them out page by page and cleared:
up to half of the time of a convolution. Python's collector of reference cycles goes through all
objects of imported modules several times: up to a quarter of the time of a short command.
"""

import contextlib
import ctypes
import gc
import threading
import time
from collections.abc import Iterator

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
IDLE_S = 5.0
_BUSY = 0.2  # share of a processor that is work
KEPT = 2**30  # bytes at the end of the heap, beyond which they go back to the system


def keep_freed() -> bool:
    """Let this process keep memory that it frees; False where the C library is not glibc.

    What one thread has freed the others use: heaps of threads' own take no large pieces.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    how = {_ARENA_MAX: 1, _MMAP_MAX: 0, _TRIM_THRESHOLD: KEPT}
    return adjust is not None and all(adjust(name, value) for name, value in how.items())


def give_back() -> None:
    """Give freed memory back to the system; does nothing where the C library is not glibc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def give_back_when_idle(ended: threading.Event, every_s: float = IDLE_S) -> None:
    """Give freed memory back each time that the process has worked and works no more.

    Args:
        ended: ends this thread's work.
        every_s: how often the process is looked at.
    """
    before, worked = time.process_time(), False
    while not ended.wait(every_s):
        now = time.process_time()
        if now - before > _BUSY * every_s:
            worked = True
        elif worked:
            give_back()
            worked = False
        before = time.process_time()


@contextlib.contextmanager
def kept_for_good() -> Iterator[None]:
    """Collect no reference cycles within, and never look again at the objects that were made.

    For imports in a process of one's own: modules live as long as the process.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
