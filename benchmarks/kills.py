"""Replicas that are killed, and a redeploy, under load: what clients lose, and for how long.

    wolter bench kills --json FILE

A server of this process answers, with two replicas of each deployment and then with one. `killed`:
of each deployment one replica is killed `n` times, while clients ask without a pause. `lost` are
answers that failed (0: no answer) beside `in_flight`, the clients; 503 says that nothing was begun.
`retrying` counts what `wolter.client` lost. `recovery_s` is the time until all replicas are back.
`redeployed`: every application gets new code, while clients keep their connections and one
request takes a minute to arrive.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from benchmarks._serve_load import photons, spectrum

from wolter.client import Client
from wolter.cluster import connected
from wolter.errors import FailedError, InputError
from wolter.serve import application, environment
from wolter.serve.config import ServeConfig
from wolter.serve.models import choose
from wolter.serve.parts import page, parts

CLIENTS = 2  # of each kind
LONGEST_S = 180.0  # until a replica is back
SLOW_S = 60.0
PIECES = 30
JSON = {"counts": [1] * 256, "exposure_s": 25_000}
Request = dict[str, Any]


def run(n: int = 10) -> dict[str, Any]:
    """Kill each replica `n` times."""
    found = {}
    for replicas in (2, 1):
        with _server(replicas) as (url, config), TemporaryDirectory() as name:
            asked = _requests(Path(name))
            killed = {}
            for deployment, request in asked.items():
                killed[deployment] = _killed(url, deployment, request, n)
                _say(f"{replicas} of {deployment}: {json.dumps(killed[deployment])}")
            redeployed = _redeployed(url, config, asked)
            _say(f"{replicas} redeployed: {json.dumps(redeployed)}")
            found[f"replicas_{replicas}"] = {"killed": killed, "redeployed": redeployed}
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _requests(folder: Path) -> dict[str, Request]:
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


class _Load:
    """Clients that ask without a pause, each on a connection that it keeps; and their answers."""

    def __init__(self, url: str, request: Request, retrying: bool) -> None:
        self.answers: Counter[int] = Counter()
        self._url, self._request, self._retrying = url, request, retrying
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with requests.Session() as session:
            while not self._ended.is_set():
                status = self._status(session)
                self.answers[status] += 1
                if status in (0, 429, 503):
                    time.sleep(0.05)

    def _status(self, session: requests.Session) -> int:
        method, path = self._request["method"], self._request["url"]
        more = {k: v for k, v in self._request.items() if k not in ("method", "url")}
        if not self._retrying:
            try:
                return session.request(method, self._url + path, timeout=120, **more).status_code
            except requests.RequestException:
                return 0
        client = Client(self._url, tries=10, session=session)
        try:
            return client.request(method, path, **more).status_code
        except (InputError, FailedError):
            return 0

    def end(self) -> dict[str, int]:
        """End; number of answers by status."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return {str(status): n for status, n in sorted(self.answers.items())}


def _killed(url: str, deployment: str, request: Request, n: int) -> dict[str, Any]:
    import ray

    wanted = len(_alive(deployment))
    assert wanted, deployment
    plain, retrying = _Load(url, request, False), _Load(url, request, True)
    recovery = []
    for _ in range(n):
        _until(_grown(plain, 5), deployment)
        victim = _alive(deployment)[0]
        start = time.perf_counter()
        ray.kill(ray.get_actor(victim, namespace="serve"), no_restart=True)
        _until(lambda victim=victim: _back(deployment, victim, wanted), deployment)  # type: ignore[misc]
        _until(_grown(plain, 1), deployment)
        recovery.append(time.perf_counter() - start)
    told, again = plain.end(), retrying.end()
    lost = {status: count for status, count in told.items() if status not in ("200", "429", "503")}
    return {
        "kills": n,
        "in_flight": CLIENTS * n,
        "answers": told,
        "lost": lost,
        "retrying": again,
        "recovery_s": {
            "median": round(sorted(recovery)[n // 2], 1),
            "longest": round(max(recovery), 1),
        },
    }


def _redeployed(url: str, config: ServeConfig, asked: dict[str, Request]) -> dict[str, Any]:
    from ray import serve

    loads = {name: _Load(url, request, False) for name, request in asked.items()}
    slow: list[int] = []
    thread = threading.Thread(target=lambda: slow.append(_slow(url)))
    thread.start()
    time.sleep(5)
    chosen = choose(config)
    others = parts(config, chosen)
    before = {name: set(_alive(name)) for name in asked}
    start = time.perf_counter()
    application.deploy([page(others, config), *others], config, chosen, version="2")
    _until(
        lambda: all(
            _alive(name) and not before[name] & set(_alive(name)) for name in asked
        )
        and all(each.status.value == "RUNNING" for each in serve.status().applications.values()),
        "redeploy",
    )  # fmt: skip
    seconds = time.perf_counter() - start
    thread.join()
    time.sleep(3)
    return {
        "answers": {name: load.end() for name, load in loads.items()},
        "slow_request": slow[0],
        "seconds": round(seconds, 1),
    }


def _slow(url: str) -> int:
    """Status of a request whose body takes a minute to arrive."""
    body = json.dumps(JSON).encode()

    def pieces() -> Iterator[bytes]:
        size = -(-len(body) // PIECES)
        for start in range(0, len(body), size):
            time.sleep(SLOW_S / PIECES)
            yield body[start : start + size]

    try:
        return requests.post(
            f"{url}/v1/spectra/parameters?family=mlp", data=pieces(), timeout=120,
            headers={"content-type": "application/json"},
        ).status_code  # fmt: skip
    except requests.RequestException:
        return 0


def _grown(load: _Load, by: int) -> Callable[[], bool]:
    before = load.answers[200]
    return lambda: load.answers[200] >= before + by


def _alive(deployment: str) -> list[str]:
    """Names of the actors of a deployment's replicas."""
    import ray

    named = [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]
    return sorted(name for name in named if name.startswith(f"SERVE_REPLICA::{deployment}#"))


def _back(deployment: str, victim: str, wanted: int) -> bool:
    from ray import serve

    name, _, part = deployment.partition("#")
    told = serve.status().applications[name].deployments[part]
    return (
        victim not in _alive(deployment)
        and told.status.value == "HEALTHY"
        and told.replica_states.get("RUNNING", 0) == wanted
        and _reached(deployment)
    )


def _reached(deployment: str) -> bool:
    """True if HAProxy knows the replicas that are alive; another kill before is a second loss."""
    (config,) = Path(os.environ[environment.FOLDER]).glob("*/c.cfg")
    start = f"SERVE_REPLICA_{deployment.replace('#', '-')}-"
    words = (line.split() for line in config.read_text().splitlines())
    known = {each[1] for each in words if each[:1] == ["server"] and each[1].startswith(start)}
    alive = {name.replace("::", "_").replace("#", "-") for name in _alive(deployment)}
    return known == alive or deployment.endswith("-dear")  # which HAProxy does not ask


def _until(true: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + LONGEST_S
    while not true():
        if time.monotonic() > ends:
            raise FailedError(f"{what}: not back after {LONGEST_S:.0f} s")
        time.sleep(0.1)


@contextmanager
def _server(replicas: int) -> Iterator[tuple[str, ServeConfig]]:
    config = ServeConfig(port=0, replicas=replicas)
    environment.prepare()
    try:
        with connected():
            yield application.start(config), config
            application.stop()
    finally:
        environment.tidy()
