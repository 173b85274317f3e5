"""Spectra a second through the server, beside the same model called in this process."""

import time
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


def bulk_rates(url: str) -> dict[str, Any]:
    """Spectra a second of both sides by family, the best of a few rounds; and their ratio."""
    torch.set_num_threads(cores())
    found = {}
    for family, n in SPECTRA.items():
        batch = spectra(n)
        sent = bulk(batch, family)
        model = load_model(pretrained.find(family, "champion")[0])
        here, there = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            estimate(model, batch)
            here.append(time.perf_counter() - start)
            start = time.perf_counter()
            requests.post(
                url + sent["url"], params=sent["params"], data=sent["content"],
                headers=sent["headers"], timeout=200,
            ).raise_for_status()  # fmt: skip
            there.append(time.perf_counter() - start)
        found[family] = {
            "spectra": n,
            "in_process_per_s": round(n / min(here)),
            "http_per_s": round(n / min(there)),
            "share": round(min(here) / min(there), 3),
        }
    return found
