"""Times of routes that are asked at even times, by processes of their own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

EVERY_S = 0.05


def probe(url: str, paths: Sequence[str], seconds: float) -> dict[str, Any]:
    """Milliseconds and failures by path; each request has a connection of its own."""
    command = [sys.executable, str(Path(__file__).with_name("_asking.py"))]
    asking = {
        path: subprocess.Popen(
            [*command, url + path, str(seconds), str(EVERY_S)], stdout=subprocess.PIPE, text=True
        )
        for path in paths
    }
    found = {}
    for path, process in asking.items():
        values = json.loads(process.communicate()[0])
        milliseconds = np.array([value for value, _ in values])
        found[path] = {
            "requests": len(values),
            "failed": sum(status != 200 for _, status in values),
            "p50_ms": round(float(np.quantile(milliseconds, 0.5)), 1),
            "p95_ms": round(float(np.quantile(milliseconds, 0.95)), 1),
            "p99_ms": round(float(np.quantile(milliseconds, 0.99)), 1),
        }
    return found
