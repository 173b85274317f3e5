"""Sandbox process that reads uploads, with limits on memory and processor time.

`python -m wolter.serve.sandbox MEMORY_MB CPU_S TASK...` reads one JSON job of a task a line and
answers with one JSON line. Whatever a hostile file does to it, it can be ended and started again.
"""

import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from wolter import priority
from wolter import task as tasks
from wolter.errors import InputError, TooLargeError

MB = 2**20

LARGEST_FILE = 2**30  # bytes that the process may write into one file


def main() -> None:
    """Answer jobs until the input ends."""
    torch.set_num_threads(1)
    # Answers keep the real output; what libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    priority.lower(priority.COMPUTES)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    # Before the limits, which are of reading alone.
    readers = {name: tasks.load(name).reader() for name in sys.argv[3:]}
    limit_memory(int(sys.argv[1]) * MB)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        before = time.process_time()
        limit_cpu(int(sys.argv[2]))
        answer = _answer(line, readers)
        print(
            json.dumps({**answer, "cpu_s": time.process_time() - before}), file=answers, flush=True
        )
        if answer.get("spent"):  # what it holds is not all given back
            break


def _answer(line: str, readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """Answer of a task's reader to a job.

    Args:
        line: JSON of `wolter.serve.pool.Reading`.
        readers: by task.
    """
    values = json.loads(line)
    name = values["name"]
    try:
        return {"read": readers[values["task"]](values["job"])}
    except InputError as error:
        return {"error": str(error), "too_large": isinstance(error, TooLargeError)}
    except Exception as error:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # torch's words
            line = f"{name}: reading it takes too much memory; send smaller files"
            return {"error": line, "too_large": True, "spent": True}
        return {"error": f"{name}: not readable ({type(error).__name__}); check its files"}


def limit_memory(size: int) -> None:
    """Let the process grow by so many bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_cpu(seconds: int) -> None:
    """End the process (SIGXCPU) when it has used so many more seconds of a processor."""
    limit = math.ceil(time.process_time()) + seconds
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, most))


if __name__ == "__main__":
    main()
