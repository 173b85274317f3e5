"""Allocator and garbage collector tuning for the process of a command.

The C library gives large pieces back to the system, which hands them out page by page and cleared:
up to half of the time of a convolution. Python's collector of reference cycles goes through all
objects of imported modules several times: up to a quarter of the time of a short command.
"""

import contextlib
import ctypes
import gc
from collections.abc import Iterator

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
KEPT = 2**30  # bytes at the end of the heap, beyond which they go back to the system


def keep_freed() -> bool:
    """Let this process keep memory that it frees; False where the C library is not glibc."""
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    return adjust is not None and bool(adjust(_MMAP_MAX, 0) and adjust(_TRIM_THRESHOLD, KEPT))


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
