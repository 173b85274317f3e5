"""What reads uploads: its limits, and what it answers to what goes wrong."""

import json
import os
import resource
import subprocess
import sys

import pytest

from wolter import priority
from wolter.errors import InputError, TooLargeError
from wolter.serve import sandbox
from wolter.serve.config import MB, ServeConfig
from wolter.serve.pool import Reader

JOB = json.dumps({"task": "kind/what", "name": "a.fits", "job": {"x": 1}})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("x: bad"), {"error": "x: bad", "too_large": False}),
        (TooLargeError("x: large"), {"error": "x: large", "too_large": True}),
        (KeyError("secret"), {"error": "a.fits: not readable (KeyError); check its files"}),
        (RuntimeError("secret"), {"error": "a.fits: not readable (RuntimeError); check its files"}),
        *[
            (error, {"error": "a.fits: reading it takes too much memory; send smaller files",
                     "too_large": True, "spent": True})
            for error in (MemoryError(), RuntimeError("you can't allocate memory: x"))
        ],
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_in_one_line(error, told):
    def read(_):
        raise error

    assert sandbox._answer(JOB, {"kind/what": read}) == told


def test_jobs_are_read_by_the_reader_of_their_task():
    readers = {"kind/what": lambda job: [job, "what"], "kind/other": lambda job: [job, "other"]}
    assert sandbox._answer(JOB, readers) == {"read": [{"x": 1}, "what"]}
    other = JOB.replace("kind/what", "kind/other")
    assert sandbox._answer(other, readers) == {"read": [{"x": 1}, "other"]}


def test_a_reader_is_bounded_in_all_it_may_use():
    reader = Reader(ServeConfig(parse_memory_mb=300, parse_cpu_s=7))
    reader.start()
    pid = reader.process.pid
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == max(own, priority.COMPUTES)
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    assert resource.prlimit(pid, resource.RLIMIT_FSIZE) == (2**30, 2**30)
    reader.stop()


LIMITED = """
import json, math, resource, time
from pathlib import Path
from wolter.serve.sandbox import limit_cpu, limit_memory
pages = int(Path("/proc/self/statm").read_text().split()[0])
hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
limit_memory(300 * 2**20)
used = math.ceil(time.process_time())
limit_cpu(7)
print(json.dumps([pages * resource.getpagesize(), *resource.getrlimit(resource.RLIMIT_AS),
                  used, *resource.getrlimit(resource.RLIMIT_CPU), hard]))
"""


def test_limits_are_of_what_is_used_more():
    told = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True
    ).stdout
    size, soft, hard, used, seconds, most, before = json.loads(told)
    assert soft == hard
    assert soft == pytest.approx(size + 300 * MB, abs=10 * MB)
    assert seconds in (used + 7, used + 8)
    assert most == before


NOISY = """
import sys
from wolter.serve import sandbox
sys.argv = ["sandbox", "500", "10"]
def answer(line, readers):
    print("a library's words", flush=True)
    return {"read": line.strip()}
sandbox._answer = answer
sandbox.main()
"""


def test_what_libraries_print_is_no_answer():
    run = subprocess.run(
        [sys.executable, "-c", NOISY], input="a\nb\n", capture_output=True, text=True, check=True
    )
    ready, *answers = map(json.loads, run.stdout.splitlines())
    assert ready == {"ready": True}
    assert [answer["read"] for answer in answers] == ["a", "b"]
    assert all(0 <= answer["cpu_s"] < 60 for answer in answers)
    assert run.stderr.count("a library's words") == 2
