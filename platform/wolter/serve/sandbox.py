"""The process that reads uploads: bounded in memory and processor time, one job after the other.

`python -m wolter.serve.sandbox MEMORY_MB CPU_S` reads one JSON job a line and answers with one JSON
line. Whatever a hostile file does to it, it can be ended and started again.
"""

import json
import math
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wolter import config as configs
from wolter.errors import InputError
from wolter.serve.config import MB
from wolter.serve.errors import TooLargeError
from wolter.serve.reading import ImageJob, Job, read_image_job, read_job
from wolter.spectra.reading import Record
from wolter.spectra.schema import SpectraBatch

NICE = 5  # below what answers requests
LARGEST_FILE = 2**30  # bytes that the process may write into one file


def to_json(record: Record) -> dict[str, Any]:
    """A record as JSON can hold it; float32 survives unchanged."""
    batch = record.batch
    return {
        "name": record.name,
        "flags": list(record.flags),
        "counts": batch.counts_BC.squeeze(0).tolist(),
        "background": batch.background_BC.squeeze(0).tolist(),
        "background_scale": batch.background_scale_B.item(),
        "exposure_s": batch.exposure_B.item(),
        "areascale": record.areascale,
        "area": _row(batch.area_BA),
        "redistribution": _row(batch.redistribution_BQA),
    }


def _row(values: Tensor | None) -> list[Any] | None:
    return None if values is None else values.squeeze(0).tolist()


def _batch(row: list[Any] | None) -> Tensor | None:
    return None if row is None else torch.tensor([row])


def from_json(values: dict[str, Any]) -> Record:
    """The record of `to_json`."""
    batch = SpectraBatch(
        counts_BC=torch.tensor([values["counts"]]),
        background_BC=torch.tensor([values["background"]]),
        background_scale_B=torch.tensor([values["background_scale"]]),
        exposure_B=torch.tensor([values["exposure_s"]]),
        area_BA=_batch(values["area"]),
        redistribution_BQA=_batch(values["redistribution"]),
    )
    return Record(values["name"], batch, tuple(values["flags"]), values["areascale"])


def main() -> None:
    """Answer jobs until the input ends."""
    torch.set_num_threads(1)
    # Answers keep the real output; what libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    limit_memory(int(sys.argv[1]) * MB)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        before = time.process_time()
        limit_cpu(int(sys.argv[2]))
        answer = _answer(line)
        print(
            json.dumps({**answer, "cpu_s": time.process_time() - before}), file=answers, flush=True
        )
        if answer.get("spent"):  # what it holds is not all given back
            break


def _answer(line: str) -> dict[str, Any]:
    values = json.loads(line)
    name = values["image" if "image" in values else "pha"]["name"]
    try:
        if "image" in values:
            read_image_job(configs.from_dict(ImageJob, values))
            return {"image": name}
        return {"record": to_json(read_job(configs.from_dict(Job, values)))}
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
