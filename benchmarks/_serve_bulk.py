"""Spectra a second through the server, beside the same model called in this process."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import requests
import torch
from benchmarks._serve_load import SPECTRA as SPECTRA_PATH
from benchmarks._serve_load import bulk, spectra

from wolter.client import Client
from wolter.cluster import cores
from wolter.registry import pretrained
from wolter.registry.checkpoint import load_model
from wolter.spectra.predict import estimate
from wolter.spectra.schema import SpectraBatch

SPECTRA = {"deepspectra": 10_000, "posterior": 500}  # of one request, by family
ROUNDS = 9
IN_FLIGHT = 2  # requests of a bulk client: one is read while another is predicted


def bulk_rates(url: str) -> dict[str, Any]:
    """Spectra a second of both sides by family, and their ratio: medians of a few rounds.

    A round asks one side right after the other, as a shared machine is not equally fast all the
    time; `share` is the median of the rounds' ratios, `share_range` holds half of them. `arrays`
    are sent and answered as `Client.predict_arrays` does, `json` as JSON; `alone` is of a client
    that waits for each answer before it sends the next request.
    """
    torch.set_num_threads(cores())
    found = {}
    for family, n in SPECTRA.items():
        batch = spectra(n)
        model = load_model(pretrained.find(family, "champion")[0])
        asked = {"arrays": _arrays(url, batch, family), "json": _json(url, batch, family)}
        here: list[float] = []
        there: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            here.append(_seconds(lambda model=model, batch=batch: estimate(model, batch)))  # type: ignore[misc]
            for name, post in asked.items():
                there.setdefault(f"{name}_alone", []).append(_seconds(post))
                with ThreadPoolExecutor(IN_FLIGHT) as pool:
                    many = [post] * (2 * IN_FLIGHT)
                    taken = _seconds(lambda pool=pool, many=many: list(pool.map(_call, many)))  # type: ignore[misc]
                there.setdefault(name, []).append(taken / len(many))
        share_R = np.divide(here, there["arrays"])
        found[family] = {
            "spectra": n,
            "in_process_per_s": round(n / np.median(here)),
            **{f"{name}_per_s": round(n / np.median(times)) for name, times in there.items()},
            "share": round(float(np.median(share_R)), 3),
            "share_range": np.percentile(share_R, [25, 75]).round(3).tolist(),
            "json_share": round(float(np.median(np.divide(here, there["json"]))), 3),
        }
    return found


def _arrays(url: str, batch: SpectraBatch, family: str) -> Callable[[], Any]:
    counts_BC = batch.counts_BC.numpy().astype(np.uint16)
    sent = {"counts": counts_BC, "exposure_s": batch.exposure_B.numpy()}
    what = SPECTRA_PATH.removeprefix("/v1/")
    return lambda: Client(url, timeout_s=200).predict_arrays(
        what, sent, progress=False, family=family
    )


def _json(url: str, batch: SpectraBatch, family: str) -> Callable[[], Any]:
    sent = bulk(batch, family)

    def post() -> None:
        requests.post(
            url + sent["url"], params=sent["params"], data=sent["content"],
            headers=sent["headers"], timeout=200,
        ).raise_for_status()  # fmt: skip

    return post


def _call(post: Callable[[], Any]) -> Any:
    return post()


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
