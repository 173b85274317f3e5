"""Servers with several replicas, and clients that ask each deployment without a pause."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from benchmarks._serve_load import photons, spectrum

from wolter.client import Client
from wolter.cluster import connected
from wolter.errors import FailedError, InputError
from wolter.serve import application, environment
from wolter.serve.config import ServeConfig

CLIENTS = 2  # of each kind
LONGEST_S = 180.0  # until a replica is back, or an answer: a server says 408 before that
JSON = {"counts": [1] * 256, "exposure_s": 25_000}
Request = dict[str, Any]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def asked_of(folder: Path) -> dict[str, Request]:
    """A request of each deployment, by APPLICATION#DEPLOYMENT."""
    pha, image = spectrum(folder), photons(folder)
    spectra = {"method": "POST", "url": "/v1/spectra/parameters"}
    query = {"response": "embedded", "refine": "true"}
    embedding = {"method": "POST", "url": "/v1/spectra/embedding", "files": [pha]}
    embedding["params"] = {"response": "embedded"}
    scs = {"RA": 10.0, "DEC": 10.0, "SR": 1.0}
    adql = {"LANG": "ADQL", "QUERY": "SELECT TOP 5 * FROM source"}
    return {
        "page#page": {"method": "GET", "url": "/v1/models"},
        "catalogue#catalogue": {
            "method": "GET", "url": "/v1/catalogue/cone?ra=10&dec=10&radius=1",
        },
        "cone#cone": {"method": "GET", "url": "/scs", "params": scs},
        "adql#adql": {"method": "GET", "url": "/tap/sync", "params": adql},
        "spectra-parameters#spectra-parameters": spectra
        | {"params": {"family": "mlp"}, "json": JSON},
        "spectra-parameters#spectra-parameters-dear": spectra | {"params": query, "files": [pha]},
        "spectra-embedding#spectra-embedding": embedding,
        "images-enhance#images-enhance": {
            "method": "POST", "url": "/v1/images/enhance", "params": {"exposure": 2e4},
            "files": [image],
        },
    }  # fmt: skip


class Load:
    """Clients that ask again and again, each on a connection that it keeps; and their answers.

    Args:
        url: of the server.
        request: that they send.
        retrying: by `wolter.client`.
        clients: how many.
        pause_s: between an answer and the next request.
    """

    def __init__(
        self,
        url: str,
        request: Request,
        retrying: bool,
        clients: int = CLIENTS,
        pause_s: float = 0.0,
    ) -> None:
        self.answers: Counter[int] = Counter()
        self._url, self._request, self._retrying = url, request, retrying
        self._pause_s, self._ended = pause_s, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with requests.Session() as session:
            while not self._ended.is_set():
                status = self._status(session)
                self.answers[status] += 1
                time.sleep(max(self._pause_s, 0.05 if status in (0, 429, 503) else 0.0))

    def _status(self, session: requests.Session) -> int:
        method, path = self._request["method"], self._request["url"]
        more = {k: v for k, v in self._request.items() if k not in ("method", "url")}
        if not self._retrying:
            try:
                more["timeout"] = LONGEST_S
                return session.request(method, self._url + path, **more).status_code
            except requests.RequestException:
                return 0
        client = Client(self._url, tries=10, session=session)
        try:
            return client.request(method, path, **more).status_code
        except (InputError, FailedError, requests.RequestException):
            return 0

    def end(self) -> dict[str, int]:
        """End; number of answers by status."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return {str(status): n for status, n in sorted(self.answers.items())}


def grown(load: Load, by: int) -> Callable[[], bool]:
    before = load.answers[200]
    return lambda: load.answers[200] >= before + by


def alive(deployment: str) -> list[str]:
    """Names of the actors of a deployment's replicas."""
    import ray

    named = [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]
    return sorted(name for name in named if name.startswith(f"SERVE_REPLICA::{deployment}#"))


def until(true: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + LONGEST_S
    while not true():
        if time.monotonic() > ends:
            raise FailedError(f"{what}: not back after {LONGEST_S:.0f} s")
        time.sleep(0.1)


@contextmanager
def server_of(replicas: int) -> Iterator[tuple[str, ServeConfig]]:
    config = ServeConfig(port=0, replicas=replicas)
    environment.prepare()
    try:
        with connected():
            yield application.start(config), config
            application.stop()
    finally:
        environment.tidy()
