"""Allocator tuning: keep freed memory for the next training step or image tile.

The C library gives large pieces back to the system, which hands them out page by page and cleared:
up to half of the time of a convolution.
"""

import ctypes

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
KEPT = 2**30  # bytes at the end of the heap, beyond which they go back to the system


def keep_freed() -> bool:
    """Let this process keep memory that it frees; False where the C library is not glibc."""
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    return adjust is not None and bool(adjust(_MMAP_MAX, 0) and adjust(_TRIM_THRESHOLD, KEPT))
