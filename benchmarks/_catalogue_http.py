"""Times of a catalogue over HTTP, and how times are told."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import requests

RADIUS = 0.5  # deg
MATCH = 1 / 60  # deg, of positions


def places(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Places over the sky: some at the poles, some at right ascension zero."""
    ra_P, dec_P = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    ra_P[: n // 10] = 0.0
    dec_P[: n // 50], dec_P[n // 50 : n // 25] = 90.0, -90.0
    return ra_P, dec_P


def http_times(url: str, rounds: int, positions: int) -> dict[str, Any]:
    """Times of cones, similar sources and many positions, by one client.

    Args:
        url: of the catalogue's REST routes.
        rounds: requests of each kind.
        positions: that are matched at once.
    """
    rng = np.random.default_rng(5)
    ra_P, dec_P = places(rng, rounds)
    latents = rng.normal(size=(rounds, 8)).tolist()
    with requests.Session() as session:

        def ask(i: int) -> None:
            params = {"ra": ra_P[i], "dec": dec_P[i], "radius": RADIUS}
            session.get(f"{url}/cone", params=params).raise_for_status()

        def similar(i: int) -> None:
            session.post(f"{url}/similar", json={"latent": latents[i]}).raise_for_status()

        def trivial(_: int) -> None:
            session.get(f"{url}/openapi.json").raise_for_status()

        trivial(0)
        found: dict[str, Any] = {
            "http_trivial_ms": timed(trivial, rounds),
            "http_cone_ms": timed(ask, rounds),
            "http_similar_10_ms": timed(similar, rounds),
        }
        ra_P, dec_P = places(rng, positions)
        sent = [{"ra": a, "dec": d} for a, d in zip(ra_P.tolist(), dec_P.tolist(), strict=True)]
        start = time.perf_counter()
        session.post(
            f"{url}/positions", params={"radius": MATCH}, json={"positions": sent}
        ).raise_for_status()
        found["http_positions_per_s"] = round(positions / (time.perf_counter() - start))
    return found


def timed(ask: Callable[[int], None], rounds: int) -> dict[str, float]:
    """Middle and 95th in a hundred of the milliseconds of calls, the first few left out."""
    for i in range(min(5, rounds)):
        ask(i)
    taken = []
    for i in range(rounds):
        start = time.perf_counter()
        ask(i)
        taken.append(time.perf_counter() - start)
    return told(taken)


def told(seconds: list[float]) -> dict[str, float]:
    """Middle and 95th in a hundred, ms."""
    p50, p95 = np.percentile(np.array(seconds) * 1e3, [50, 95])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}
