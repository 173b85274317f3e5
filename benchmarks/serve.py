"""The server: what it adds to a trivial route, and what answers while everything is saturated.

    wolter bench serve --json FILE

Both sides run on this machine in one run. `trivial`: requests a second of a route that computes
nothing (`/v1/models`), beside bare uvicorn with the same body. `saturated`: milliseconds of cheap
routes while refinements, images, uploads and bulk requests fill every queue, and the statuses that
these got. `memory`: MB of all processes idle, at the peak, and a while after.
"""

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks._serve_load import SECONDS, keep_busy, statuses, work
from benchmarks._serve_probe import probe
from benchmarks._serve_trivial import trivial
from benchmarks._served import serving

CHEAP = ("/livez", "/readyz", "/v1/models")
IDLE_S = 20.0  # after the load, until memory is looked at again
WITHIN = 1.3  # of idle


def run(n: int = 20) -> dict[str, Any]:
    """Measure for `n` seconds each."""
    with tempfile.TemporaryDirectory() as name, serving() as server:
        requests = work(Path(name))
        keep_busy(server.url, requests, 5.0)  # what is imported at first is no memory of the load
        time.sleep(IDLE_S)
        idle_mb = server.memory_mb()
        alone = probe(server.url, CHEAP, 5.0)
        share = trivial(server.url, "/v1/models", float(min(n, 5)))
        server.begin()
        answered: dict[str, list[int]] = {}
        load = threading.Thread(
            target=lambda: answered.update(keep_busy(server.url, requests, n + SECONDS))
        )
        load.start()
        time.sleep(SECONDS)  # until all queues are full
        busy = probe(server.url, CHEAP, float(n))
        load.join()
        peak_mb, _ = server.peaks()
        time.sleep(IDLE_S)
        after_mb = server.memory_mb()
    return {
        "trivial": share,
        "idle": alone,
        "saturated": busy,
        "answers": statuses(answered),
        "memory": {
            "idle_mb": round(idle_mb),
            "peak_mb": round(peak_mb),
            "after_mb": round(after_mb),
            "after_over_idle": round(after_mb / idle_mb, 3),
            "within": after_mb <= WITHIN * idle_mb,
        },
    }
