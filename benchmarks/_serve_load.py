"""Clients that keep every kind of work of a server busy."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
from benchmarks import liveness

SECONDS = 5.0  # until all queues are full
KINDS = ("images", "refinements", "uploads", "bulk spectra")


def work(folder: Path) -> dict[str, dict[str, Any]]:
    """A request of every kind of work, by its name."""
    return liveness.work(folder)


def keep_busy(
    url: str, requests: Mapping[str, dict[str, Any]], seconds: float
) -> dict[str, list[int]]:
    """Statuses that clients of every kind got, each asking again at once for so many seconds."""
    stop, done = threading.Event(), {kind: list[int]() for kind in requests}
    threads = [
        threading.Thread(target=_keep, args=(url, request, stop, done[kind]), daemon=True)
        for kind, request in requests.items()
        for _ in range(liveness.CLIENTS[kind])
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return done


def statuses(done: Mapping[str, list[int]]) -> dict[str, dict[str, int]]:
    """Number of answers by kind of work and status."""
    return {
        kind: {str(status): found.count(status) for status in sorted(set(found))}
        for kind, found in done.items()
    }


def _keep(url: str, request: dict[str, Any], stop: threading.Event, done: list[int]) -> None:
    with httpx2.Client(base_url=url, timeout=200) as client:
        while not stop.is_set():
            try:
                done.append(client.post(**request).status_code)
            except httpx2.HTTPError:
                done.append(0)
            if done[-1] in (0, 429):
                time.sleep(0.2)
