"""Work in threads of its own: its answer, its error, and nothing that stays."""

import subprocess
import sys
import threading

import pytest
import torch

from wolter.threads import apart, one_core_each

PROGRAM = """
import os, time, torch
from concurrent.futures import ThreadPoolExecutor
from wolter.threads import apart

def computed():
    torch.set_num_threads(2)
    return float((torch.ones(1000, 1000) @ torch.ones(1000, 1000)).exp().clamp(max=1).sum())

def threads():
    "Number of threads, once those that end have ended."
    found = 0
    while found != (found := len(os.listdir("/proc/self/task"))):
        time.sleep(0.5)
    return found

assert apart(computed) == 1e6  # the first one starts what torch keeps
before = threads()
assert apart(computed) == 1e6
print(threads() - before)
with ThreadPoolExecutor(1) as kept:
    kept.submit(computed).result()
    print(threads() - before)
"""


def test_it_answers_and_raises():
    here = threading.get_ident()
    assert apart(lambda a, b: (a + b, threading.get_ident() != here), 1, 2) == (3, True)
    with pytest.raises(ZeroDivisionError):
        apart(lambda: 1 // 0)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_helpers_of_its_computations_end_with_it():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    left, kept = map(int, done.stdout.split())
    assert left == 0
    assert kept == 2  # a thread that lives on keeps one for the second core


def test_threads_that_live_on_compute_on_one_core_and_others_do_not():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_core_each(2) as pool:
            both = threading.Barrier(2)

            def cores():
                both.wait()
                return torch.get_num_threads()

            assert [each.result() for each in [pool.submit(cores), pool.submit(cores)]] == [1, 1]
            assert apart(torch.get_num_threads) == 3
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
