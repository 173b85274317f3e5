"""Freed memory is used again, and modules are left alone by the garbage collector."""

import gc
import subprocess
import sys
import weakref

from wolter import memory
from wolter.memory import kept_for_good

PROGRAM = """
import ctypes, resource, sys
from wolter.memory import keep_freed

if sys.argv[1] == "keep":
    assert keep_freed()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
for turn in range(6):
    if turn == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    piece = library.malloc(64 * 2**20)
    library.memset(piece, 1, 64 * 2**20)
    library.free(piece)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


def test_large_pieces_are_not_fetched_anew() -> None:
    pages = 5 * 64 * 2**20 // 4096
    assert page_faults("keep") < 0.01 * pages
    # Without it they are, or this test shows nothing (pages may be larger, hence the half).
    assert page_faults("leave") > 0.5 * pages


class Knot:
    """Something that only the collector of reference cycles frees."""

    def __init__(self) -> None:
        self.own = self


def test_what_is_made_for_good_is_never_collected_and_what_follows_is():
    gc.collect()
    try:
        with kept_for_good():
            assert not gc.isenabled()
            kept = weakref.ref(Knot())
        assert gc.isenabled()
        loose = weakref.ref(Knot())
        gc.collect()
        assert kept() is not None
        assert loose() is None
    finally:
        gc.unfreeze()


def test_memory_is_given_back_after_work_and_once(monkeypatch):
    """Busy, idle, idle, busy, idle: two times."""
    seconds = iter([0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2])
    monkeypatch.setattr(memory.time, "process_time", lambda: next(seconds))
    given = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))

    class Ended:
        turns = 5

        def wait(self, every_s):
            assert every_s == 1
            self.turns -= 1
            return self.turns < 0

    memory.give_back_when_idle(Ended(), 1)
    assert len(given) == 2
