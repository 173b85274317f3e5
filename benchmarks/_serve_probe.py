"""Times of routes that are asked at even times, by processes of their own."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

EVERY_S = 0.05


def probe(url: str, paths: Mapping[str, Sequence[str]], seconds: float) -> dict[str, Any]:
    """Milliseconds and statuses by name; each request has a connection of its own.

    Args:
        url: the server.
        paths: by name, what is asked in turn.
        seconds: how long.
    """
    command = [sys.executable, str(Path(__file__).with_name("_asking.py"))]
    asking = {}
    for name, turns in paths.items():
        asking[name] = subprocess.Popen(
            [*command, url, str(seconds), str(EVERY_S)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        told = asking[name].stdin
        assert told is not None
        json.dump(list(turns), told)
        told.close()
    found = {}
    for name, process in asking.items():
        assert process.stdout is not None
        values = json.loads(process.stdout.read())
        process.wait()
        milliseconds = np.array([value for value, _ in values])
        statuses = [status for _, status in values]
        found[name] = {
            "statuses": {str(status): statuses.count(status) for status in sorted(set(statuses))},
            "p50_ms": round(float(np.quantile(milliseconds, 0.5)), 1),
            "p95_ms": round(float(np.quantile(milliseconds, 0.95)), 1),
            "p99_ms": round(float(np.quantile(milliseconds, 0.99)), 1),
            "max_ms": round(float(milliseconds.max()), 1),
        }
    return found
