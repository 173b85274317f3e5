"""Queries of a catalogue: cones, positions and similar sources, in process and over HTTP.

    wolter bench catalogue --json FILE

A release of random sources is made, and asked by one client, in process and through uvicorn on
this machine. Cones beside those of brute force over all positions, which are also what they must
equal; similar sources beside brute force over all latents. Times are in ms, of the middle and of
the 95th in a hundred requests.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import uvicorn
from benchmarks._catalogue_http import MATCH, RADIUS, http_times, places, timed, told
from benchmarks._random_release import write_random_release

from wolter.catalogue.cone import cone, cones
from wolter.catalogue.neighbours import similar_to_latent
from wolter.catalogue.sphere import separations, unit_vectors
from wolter.catalogue.store import Snapshot, Store
from wolter.serve.catalogue.app import build_app

EXACT = 1_000  # cones that are compared with brute force


def run(n: int = 1_000_000, rounds: int = 200, positions: int = 10_000) -> dict[str, Any]:
    """Measure all queries.

    Args:
        n: sources.
        rounds: requests of each kind that are timed.
        positions: positions that are matched at once.
    """
    found: dict[str, Any] = {"sources": n, "radius_deg": RADIUS}
    with TemporaryDirectory() as name:
        root = Path(name)
        start = time.perf_counter()
        path = write_random_release(root, n)
        found["write_s"] = round(time.perf_counter() - start, 2)
        found["bytes"] = sum(file.stat().st_size for file in path.rglob("*"))
        store = Store(root)
        with store.open() as snapshot:
            start = time.perf_counter()
            snapshot.warm()
            found["warm_s"] = round(time.perf_counter() - start, 2)
            found["columns"] = len(snapshot.source.columns)
            found |= _exact(snapshot) | _cones(snapshot, rounds) | _similar(snapshot, rounds)
            found |= _positions(snapshot, positions)
        with _served(root) as url:
            found |= http_times(url, rounds, positions)
        store.close()
    return found


def _exact(snapshot: Snapshot) -> dict[str, Any]:
    rng, equal, brute = np.random.default_rng(1), 0, []
    ra_P, dec_P = places(rng, EXACT)
    radius_P = 10 ** rng.uniform(-3, 1.5, EXACT)
    for ra, dec, radius in zip(ra_P, dec_P, radius_P, strict=True):
        row_M, _ = snapshot.positions.within(ra, dec, radius)
        start = time.perf_counter()
        centre_3 = unit_vectors(np.array([ra]), np.array([dec]))[0]
        expected_M = np.flatnonzero(separations(snapshot.positions.xyz_N3, centre_3) <= radius)
        brute.append(time.perf_counter() - start)
        equal += np.array_equal(row_M, expected_M)
    return {"cones": EXACT, "cones_equal_to_brute_force": equal, "brute_force_ms": told(brute)}


def _cones(snapshot: Snapshot, rounds: int) -> dict[str, Any]:
    ra_P, dec_P = places(np.random.default_rng(2), rounds)
    columns = snapshot.source.columns

    def ask(i: int) -> None:
        cone(snapshot, ra_P[i], dec_P[i], RADIUS, columns, 10_000)

    return {"cone_ms": timed(ask, rounds)}


def _similar(snapshot: Snapshot, rounds: int) -> dict[str, Any]:
    rng, columns = np.random.default_rng(3), snapshot.source.columns[:1]
    latents_VL = snapshot.neighbours.latents_VL
    asked_RL = rng.normal(size=(rounds, latents_VL.shape[1])).astype(np.float32)
    answers: list[list[float]] = []

    def ask(i: int) -> None:
        found = similar_to_latent(snapshot, asked_RL[i].tolist(), columns, 10)
        answers.append(found.rows["distance"].to_pylist())

    times, right = timed(ask, rounds), 0
    for latent_L, answer_10 in zip(asked_RL, answers[-rounds:], strict=True):
        distance_V = np.linalg.norm(latents_VL.astype(np.float64) - latent_L, axis=1)
        tenth = np.partition(distance_V, 9)[9]
        right += int((np.array(answer_10) <= tenth * (1 + 1e-6)).sum())
    return {"similar_10_ms": times, "similar_recall": right / (10 * rounds)}


def _positions(snapshot: Snapshot, n: int) -> dict[str, Any]:
    ra_P, dec_P = places(np.random.default_rng(4), n)
    names, columns = [str(i) for i in range(n)], snapshot.source.columns
    start = time.perf_counter()
    found = cones(snapshot, names, ra_P, dec_P, MATCH, columns, 100_000)
    rate = n / (time.perf_counter() - start)
    return {"positions_per_s": round(rate), "positions_matched": len(found.rows)}


@contextmanager
def _served(root: Path) -> Iterator[str]:
    app = build_app(root, watchlists=root / "watchlists.sqlite")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()
