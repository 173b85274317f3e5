"""Spectra a second through the server, beside the same model called in this process."""

import time
from typing import Any

import requests
import torch
from benchmarks._serve_load import BULK, bulk, spectra

from wolter.cluster import cores
from wolter.registry import pretrained
from wolter.registry.checkpoint import load_model
from wolter.spectra.predict import estimate

FAMILIES = ("deepspectra", "posterior")
ROUNDS = 3


def bulk_rates(url: str) -> dict[str, Any]:
    """Spectra a second of both sides by family, the best of a few rounds; and their ratio."""
    torch.set_num_threads(cores())
    batch = spectra(BULK)
    sent = bulk(batch)
    found = {}
    for family in FAMILIES:
        model = load_model(pretrained.find(family, "champion")[0])
        estimate(model, batch[:500])
        here, there = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            estimate(model, batch)
            here.append(time.perf_counter() - start)
            start = time.perf_counter()
            requests.post(
                url + sent["url"], params={"family": family}, data=sent["content"],
                headers=sent["headers"], timeout=600,
            ).raise_for_status()  # fmt: skip
            there.append(time.perf_counter() - start)
        found[family] = {
            "in_process_per_s": round(BULK / min(here)),
            "http_per_s": round(BULK / min(there)),
            "share": round(min(here) / min(there), 3),
        }
    return found
