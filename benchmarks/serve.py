"""The server: catalogue, bulk spectra, a trivial route; what answers while all is saturated.

    wolter bench serve --json FILE

A server runs as users start it (`wolter serve`, on all cores), over a release of random sources.
Clients and server share this machine, and both sides are measured in one run.

`start`: seconds from the command until HAProxy answers, and until each path does; what the paths
answer until then (503 with a reason and Retry-After, never 404).
`catalogue`: cones, similar sources and positions over HTTP, beside `in_process`.
`bulk`: spectra a second of one large request, beside the same model called in this process.
`trivial`: requests a second of a route that computes nothing, beside bare uvicorn.
`saturated`: milliseconds and statuses of cheap routes, each request on a new connection, while
queries in ADQL, refinements, images, uploads and bulk spectra fill every queue; `idle`: the same
without these. `answers`: the statuses that the load got. `memory`: MB of all processes idle, at the
peak, and a while after; idle is after a first short load, as imports are no memory of the load.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks._catalogue_http import RADIUS, http_times, places, timed
from benchmarks._random_release import write_random_release
from benchmarks._serve_bulk import bulk_rates
from benchmarks._serve_load import CLIENTS, FULL_S, keep_busy, statuses, work
from benchmarks._serve_probe import probe
from benchmarks._serve_start import start_times
from benchmarks._serve_trivial import trivial
from benchmarks._served import serving

from wolter.catalogue.cone import cone
from wolter.catalogue.store import Store
from wolter.cluster import cores

SOURCES = 1_000_000
ROUNDS = 200
POSITIONS = 10_000
IDLE_S = 20.0  # after the load, until memory is looked at again
WITHIN = 1.3  # of idle


def run(n: int = SOURCES, seconds: float = 20.0) -> dict[str, Any]:
    """Measure a server over `n` sources, so many seconds under load."""
    with tempfile.TemporaryDirectory(prefix="w-", dir="/tmp") as name:
        home, sent = Path(name) / "home", Path(name) / "sent"
        sent.mkdir()
        write_random_release(home / "catalogue" / "releases", n)
        requests = work(sent)
        _say("start")
        begun = start_times(home)
        with serving(home=home, every_s=0.5) as server:
            found: dict[str, Any] = {"sources": n, "cores": cores(), "clients": CLIENTS}
            found["start"] = begun
            time.sleep(IDLE_S)  # models are still checked when the server begins to answer
            _say("catalogue")
            found["catalogue"] = http_times(f"{server.url}/v1/catalogue", ROUNDS, POSITIONS)
            found["catalogue"]["in_process_cone_ms"] = _in_process(home / "catalogue" / "releases")
            _say("bulk spectra")
            found["bulk"] = bulk_rates(server.url)
            _say("a trivial route")
            found["trivial"] = trivial(server.url, "/v1/models", 5.0)
            _say("idle")
            keep_busy(server.url, requests, 5.0)
            time.sleep(IDLE_S)
            idle_mb = server.memory_mb()
            paths = _cheap()
            found["idle"] = probe(server.url, paths, 5.0)
            _say("under load")
            server.begin()
            answered: dict[str, list[int]] = {}
            load = threading.Thread(
                target=lambda: answered.update(keep_busy(server.url, requests, seconds + FULL_S))
            )
            load.start()
            time.sleep(FULL_S)
            found["saturated"] = probe(server.url, paths, seconds)
            load.join()
            peak_mb, _ = server.peaks()
            time.sleep(IDLE_S)
            after_mb = server.memory_mb()
    found["answers"] = statuses(answered)
    found["memory"] = {
        "idle_mb": round(idle_mb),
        "peak_mb": round(peak_mb),
        "after_mb": round(after_mb),
        "after_over_idle": round(after_mb / idle_mb, 3),
        "within": after_mb <= WITHIN * idle_mb,
    }
    return found


def _say(what: str) -> None:
    print(f"serve: {what}", file=sys.stderr, flush=True)


def _cheap() -> dict[str, list[str]]:
    """The cheap routes; cones all over the sky."""
    ra_P, dec_P = places(np.random.default_rng(6), ROUNDS)
    cones = [
        f"/v1/catalogue/cone?ra={ra:.6f}&dec={dec:.6f}&radius={RADIUS}"
        for ra, dec in zip(ra_P, dec_P, strict=True)
    ]
    alone = {path: [path] for path in ("/livez", "/readyz", "/v1/models")}
    return {**alone, "cone": cones}


def _in_process(root: Path) -> dict[str, float]:
    ra_P, dec_P = places(np.random.default_rng(2), ROUNDS)
    store = Store(root)
    with store.open() as snapshot:
        snapshot.warm()
        columns = snapshot.source.columns
        times = timed(lambda i: _ask(snapshot, ra_P[i], dec_P[i], columns), ROUNDS)
    store.close()
    return times


def _ask(snapshot: Any, ra: float, dec: float, columns: Any) -> None:
    cone(snapshot, ra, dec, RADIUS, columns, 10_000)
