"""Threads that compute, in processes that have many.

Each thread that has computed keeps helpers of its own (OpenMP: a pool a thread). With more of them
than cores, none waits for the next piece of work but sleeps, and networks take twice as long. So a
thread that lives on computes on one core, and work for all cores ends with its thread, which takes
its helpers along.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


def apart(work: Callable[..., T], *arguments: Any) -> T:
    """Do work in a thread of its own, which ends with it; returns what it returns, or raises."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *arguments).result()


def one_core_each(n: int) -> ThreadPoolExecutor:
    """Threads in which torch computes without helpers.

    Args:
        n: number of threads.
    """
    import torch

    initializer = partial(_one_core, torch.get_num_threads())
    return ThreadPoolExecutor(n, initializer=initializer)


def _one_core(others: int) -> None:
    import torch

    torch.get_num_threads()  # or its first computation would take the number of others
    torch.set_num_threads(1)
    apart(torch.set_num_threads, others)  # what threads to come begin with, which is 1 now
