"""Spectra a second through the server, beside the same model called in this process."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
import torch
from benchmarks._serve_load import bulk, spectra

from wolter.cluster import cores
from wolter.registry import pretrained
from wolter.registry.checkpoint import load_model
from wolter.spectra.predict import estimate

SPECTRA = {"deepspectra": 10_000, "posterior": 500}  # of one request, by family
ROUNDS = 3
IN_FLIGHT = 2  # requests of a bulk client: one is read while another is predicted


def bulk_rates(url: str) -> dict[str, Any]:
    """Spectra a second of both sides by family, the best of a few rounds; and their ratio.

    `alone` is of a client that waits for each answer before it sends the next request.
    """
    torch.set_num_threads(cores())
    found = {}
    for family, n in SPECTRA.items():
        batch = spectra(n)
        sent = bulk(batch, family)
        model = load_model(pretrained.find(family, "champion")[0])

        def post(_: int, sent: dict[str, Any] = sent) -> None:
            requests.post(
                url + sent["url"], params=sent["params"], data=sent["content"],
                headers=sent["headers"], timeout=200,
            ).raise_for_status()  # fmt: skip

        here, alone, there = [], [], []
        for _ in range(ROUNDS):
            here.append(_seconds(lambda model=model, batch=batch: estimate(model, batch)))  # type: ignore[misc]
            alone.append(_seconds(lambda post=post: post(0)))  # type: ignore[misc]
            with ThreadPoolExecutor(IN_FLIGHT) as pool:
                many = range(2 * IN_FLIGHT)
                taken = _seconds(lambda pool=pool, post=post, many=many: list(pool.map(post, many)))  # type: ignore[misc]
                there.append(taken / len(many))
        found[family] = {
            "spectra": n,
            "in_process_per_s": round(n / min(here)),
            "alone_per_s": round(n / min(alone)),
            "http_per_s": round(n / min(there)),
            "share": round(min(here) / min(there), 3),
        }
    return found


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
