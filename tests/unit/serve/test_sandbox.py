"""What reads uploads: its limits, and what it answers to what goes wrong."""

import dataclasses
import json
import os
import resource
import subprocess
import sys

import pytest
import torch
from tests.synthetic import make_batch

from wolter import config as configs
from wolter.errors import InputError
from wolter.serve import sandbox
from wolter.serve.config import MB, ServeConfig
from wolter.serve.errors import TooLargeError
from wolter.serve.pool import Reader
from wolter.serve.reading import ImageJob, Job, Upload
from wolter.spectra.grid import default_grid
from wolter.spectra.reading import Record
from wolter.spectra.schema import SpectraSpec

JOB = Job(Upload("a.pha", "/nowhere"), SpectraSpec(default_grid()))
IMAGE = ImageJob(Upload("a.fits", "/nowhere"), "/none", 10)


def test_records_survive_json_bit_by_bit():
    one = make_batch(3, seed=4)[1:2]
    batch = dataclasses.replace(one, redistribution_BQA=torch.rand(one.redistribution_BQA.shape))
    record = Record("a", batch, ("anomalous", "few_counts"), 0.3)
    again = sandbox.from_json(json.loads(json.dumps(sandbox.to_json(record))))
    assert (again.name, again.flags, again.areascale) == ("a", ("anomalous", "few_counts"), 0.3)
    for name in (
        "counts_BC", "background_BC", "background_scale_B", "exposure_B", "area_BA",
        "redistribution_BQA",
    ):  # fmt: skip
        assert torch.equal(getattr(again.batch, name), getattr(batch, name)), name
    bare = dataclasses.replace(batch, area_BA=None, redistribution_BQA=None)
    again = sandbox.from_json(sandbox.to_json(dataclasses.replace(record, batch=bare)))
    assert again.batch.area_BA is None
    assert again.batch.redistribution_BQA is None


@pytest.mark.parametrize("job", [JOB, IMAGE])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("x: bad"), {"error": "x: bad", "too_large": False}),
        (TooLargeError("x: large"), {"error": "x: large", "too_large": True}),
        (KeyError("secret"), {"error": "{}: not readable (KeyError); check its files"}),
        (RuntimeError("secret"), {"error": "{}: not readable (RuntimeError); check its files"}),
        *[
            (error, {"error": "{}: reading it takes too much memory; send smaller files",
                     "too_large": True, "spent": True})
            for error in (MemoryError(), RuntimeError("you can't allocate memory: x"))
        ],
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_in_one_line(monkeypatch, job, error, told):
    def read(_):
        raise error

    monkeypatch.setattr(sandbox, "read_job", read)
    monkeypatch.setattr(sandbox, "read_image_job", read)
    name = "a.pha" if job is JOB else "a.fits"
    answer = sandbox._answer(json.dumps(configs.to_dict(job)))
    assert answer == told | {"error": told["error"].format(name)}


def test_jobs_are_read_by_their_kind(monkeypatch):
    read = []
    record = Record("a", make_batch(1))
    monkeypatch.setattr(sandbox, "read_job", lambda job: read.append(job) or record)
    monkeypatch.setattr(sandbox, "read_image_job", lambda job: read.append(job))
    answers = [sandbox._answer(json.dumps(configs.to_dict(job))) for job in (JOB, IMAGE)]
    assert read == [JOB, IMAGE]
    assert answers[0].keys() == {"record"}
    assert answers[1] == {"image": "a.fits"}


def test_a_reader_is_bounded_in_all_it_may_use():
    reader = Reader(ServeConfig(parse_memory_mb=300, parse_cpu_s=7))
    reader.start()
    pid = reader.process.pid
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(own + 5, 19)
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
sandbox._answer = lambda line: print("a library's words", flush=True) or {"record": line.strip()}
sandbox.main()
"""


def test_what_libraries_print_is_no_answer():
    run = subprocess.run(
        [sys.executable, "-c", NOISY], input="a\nb\n", capture_output=True, text=True, check=True
    )
    ready, *answers = map(json.loads, run.stdout.splitlines())
    assert ready == {"ready": True}
    assert [answer["record"] for answer in answers] == ["a", "b"]
    assert all(0 <= answer["cpu_s"] < 60 for answer in answers)
    assert run.stderr.count("a library's words") == 2
