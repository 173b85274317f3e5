"""Speed and memory of enhancing frames with the slides' network, on the CPU and on a GPU.

Weights are random: they do not change the time. Shapes: B batch.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from wolter import family as families
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.tiling import enhance
from wolter.memory import keep_freed
from wolter.models.sweere2022 import PRESETS
from wolter.train.loop import build

FRAME, LARGE = 416, 2048
SPEC = ImageSpec((FRAME, FRAME), exposure_s=(2e4, 2e4))


def on_cpu(rounds: int = 5) -> dict[str, Any]:
    """Seconds a frame of 416 x 416, and what 2048 x 2048 need, each in a process of its own."""
    return {"cpu_s_per_frame": _child(FRAME, rounds)[0], "large_frame": _large()}


def _large() -> dict[str, float]:
    seconds, most = _child(LARGE, 1)
    return {"pixels": LARGE, "seconds": seconds, "peak_gb": most, "peak_gb_before": _child(8, 1)[1]}


def _child(side: int, rounds: int) -> tuple[float, float]:
    """Median seconds, and the most memory that the process ever had, GB."""
    code = f"from benchmarks._enhancing import _told; _told({side}, {rounds})"
    root = Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    seconds, most = json.loads(run.stdout.splitlines()[-1])
    return seconds, most


def _told(side: int, rounds: int) -> None:
    keep_freed()  # as the command does
    module, batch = _network(), _frames(1, side)
    family = families.load("sweere2022")
    seconds = _median(lambda: enhance(family, module, batch, 2), rounds)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps([seconds, most]))


def on_gpu(size: int = 16, rounds: int = 20) -> dict[str, Any] | None:
    """Frames a second, channels last in both, plain and as a GPU likes them; None without one."""
    if not torch.cuda.is_available():
        return None
    batch = _frames(size, FRAME).to("cuda")
    rates = {}
    for name, fast in (("float32", False), ("bf16, compiled", True)):
        module = _network().cuda()
        run = cast("nn.Module", torch.compile(module)) if fast else module

        @torch.inference_mode()
        def once(run: nn.Module = run, fast: bool = fast) -> None:
            with torch.autocast("cuda", torch.bfloat16, enabled=fast):
                run(batch)
            torch.cuda.synchronize()

        once()
        rates[name] = size / _median(once, rounds)
    return {"device": torch.cuda.get_device_name(), "batch": size, "frames_per_s": rates}


def _network() -> nn.Module:
    return build(families.load("sweere2022"), PRESETS["slides"], SPEC, 0).eval()


def _frames(n: int, side: int) -> ImageBatch:
    generator = torch.Generator().manual_seed(0)
    exposure_BHW = torch.full((n, side, side), 2e4)
    counts_BHW = torch.poisson(torch.full((n, side, side), 0.3), generator)
    return ImageBatch(counts_BHW, exposure_BHW, torch.full((n, side, side), 0.2))


def _median(work: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
