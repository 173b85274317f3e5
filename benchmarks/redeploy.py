"""New code for all applications under load: what clients lose.

    wolter bench redeploy --json FILE

A server of this process answers with `n` replicas of each deployment. A client of each, the dear
ones too, keeps its connection and asks again `PAUSE_S` after every answer. First they are left
alone for `ALONE_S`; then one application after another gets new code, and one request takes a
minute to arrive. An answer belongs to the part in which it came.
`failed` are all answers but 200 and 429; `failed_alone` those of the first part.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from benchmarks._replicas import JSON, Load, Request, alive, asked_of, say, server_of, until

from wolter.serve import application
from wolter.serve.config import ServeConfig
from wolter.serve.models import choose
from wolter.serve.parts import page, parts

PAUSE_S = 1.0  # two cores answer eight clients and load new replicas beside them
ALONE_S = 180.0  # dear requests have a minute or two each
SLOW_S = 60.0
PIECES = 30


def run(n: int = 2) -> dict[str, Any]:
    """Redeploy all applications of a server with `n` replicas of each."""
    with server_of(n) as (url, config), TemporaryDirectory() as name:
        found = _redeployed(url, config, asked_of(Path(name)))
    failed = _failed(found["answers"]) + (found["slow_request"] != 200)
    return {"replicas": n, **found, "failed": failed, "failed_alone": _failed(found["alone"])}


def _failed(answers: dict[str, Counter[int]]) -> int:
    counts = [each for told in answers.values() for each in told.items()]
    return sum(count for status, count in counts if status not in (200, 429))


def _redeployed(url: str, config: ServeConfig, asked: dict[str, Request]) -> dict[str, Any]:
    loads = {name: Load(url, request, False, 1, PAUSE_S) for name, request in asked.items()}
    time.sleep(ALONE_S)
    alone = {name: load.answers.copy() for name, load in loads.items()}
    slow: list[int] = []
    thread = threading.Thread(target=lambda: slow.append(_slow(url)))
    thread.start()
    time.sleep(5)
    chosen = choose(config)
    others = parts(config, chosen)
    start = time.perf_counter()
    for part in [page(others, config), *others]:
        before = {name: set(alive(name)) for name in asked if name.startswith(f"{part.name}#")}
        application.deploy([part], config, chosen, version="2")
        say(f"redeploy: {part.name}")
        until(lambda before=before: all(_replaced(*each) for each in before.items()), part.name)  # type: ignore[misc]
    seconds = time.perf_counter() - start
    thread.join()
    time.sleep(3)
    for load in loads.values():
        load.end()
    return {
        "alone": alone,
        "answers": {name: load.answers - alone[name] for name, load in loads.items()},
        "slow_request": slow[0],
        "seconds": round(seconds, 1),
    }


def _replaced(deployment: str, before: set[str]) -> bool:
    from ray import serve

    told = serve.status().applications[deployment.partition("#")[0]]
    return told.status.value == "RUNNING" and not before & set(alive(deployment))


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
