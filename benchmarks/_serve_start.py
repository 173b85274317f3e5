"""Start of a server, seen by clients: when each path first answers, with what, and until when.

The clock starts with the command. `proxy_s` is the first answer of all: Ray and Ray Serve run, and
HAProxy listens. `begun_s` is when a path first answers with something else than an error, `waiting`
how it answered until then, and `silent_503` counts refusals without a reason or a Retry-After.
"""

import collections
import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Any

import requests
from benchmarks._served import serving

EVERY_S = 0.25
LIVE_S = 0.02  # of `LIVE` and of the first answer of all: the others would take a core
LONGEST_S = 300.0
LIVE = "/livez"
PATHS = {
    LIVE: LIVE,
    "/readyz": "/readyz",
    "page": "/",
    "catalogue": "/v1/catalogue/releases",
    "cone": "/scs?RA=10&DEC=10&SR=0",
    "adql": "/tap/availability",
    "models": "/v1/spectra/parameters",
}
UP = {200, 405}
"""Statuses of an application that answers: the path of models takes POST alone."""


class Watcher:
    """Asks one path until it answers, on a new connection each time.

    Args:
        url: address of the server.
        path: that is asked.
        begun: moment that seconds are counted from, of `time.monotonic`.
    """

    def __init__(self, url: str, path: str, begun: float) -> None:
        self.url, self.path, self.begun = url, path, begun
        self.first_s: float | None = None
        self.up_s: float | None = None
        self.statuses: collections.Counter[int] = collections.Counter()
        self.silent = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while time.monotonic() < self.begun + LONGEST_S:
            with contextlib.suppress(requests.RequestException):
                if self._ask(requests.get(self.url + self.path, timeout=10)):
                    return
            time.sleep(LIVE_S if self.path == LIVE else EVERY_S)

    def _ask(self, answer: requests.Response) -> bool:
        now = time.monotonic() - self.begun
        self.first_s = now if self.first_s is None else self.first_s
        if answer.status_code in UP:
            self.up_s = now
            return True
        self.statuses[answer.status_code] += 1
        told = answer.status_code == 503 and "retry-after" in answer.headers and answer.text
        self.silent += not told
        return False

    def told(self) -> dict[str, Any]:
        """Figures of the path."""
        return {
            "begun_s": None if self.up_s is None else round(self.up_s, 2),
            "waiting": {str(status): n for status, n in sorted(self.statuses.items())},
            "silent_503": self.silent,
        }


def start_times(home: Path) -> dict[str, Any]:
    """Start a server, and tell when its paths answer; seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, begun = f"http://127.0.0.1:{port}", time.monotonic()
    watchers = {name: Watcher(url, path, begun) for name, path in PATHS.items()}
    with serving("--port", str(port), home=home, every_s=5.0):
        serving_s = time.monotonic() - begun
        for each in watchers.values():
            each.thread.join(30)
    proxy_s = min(each.first_s for each in watchers.values() if each.first_s is not None)
    live_s = watchers[LIVE].up_s
    return {
        "proxy_s": round(proxy_s, 2),
        "page_after_proxy_s": None if live_s is None else round(live_s - proxy_s, 2),
        "serving_s": round(serving_s, 2),
        "paths": {name: each.told() for name, each in watchers.items()},
    }
