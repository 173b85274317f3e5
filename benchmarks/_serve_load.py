"""Clients that keep every kind of work of a server busy."""

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import torch
from astropy.io import fits

from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.observation import Spectrum, write_spectrum

SPECTRA, IMAGES, QUERIES = "/v1/spectra/parameters", "/v1/images/enhance", "/tap/sync"
CLIENTS = {"images": 4, "refinements": 4, "uploads": 8, "bulk spectra": 8, "queries": 8}
BULK = 10_000  # spectra of one request
QUERY = "SELECT TOP 100 source_id, ra, dec FROM source WHERE SQRT(ra) > 2 ORDER BY SIN(ra) * dec"
FULL_S = 5.0  # until all queues are full
SHAPE = (403, 411)
HEADER = {
    "EXPOSURE": 2e4, "TELESCOP": "XMM", "INSTRUME": "EPN", "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN", "CRPIX1": 200.0, "CRPIX2": 200.0, "CRVAL1": 30.0, "CRVAL2": -20.0,
    "CDELT1": -4 / 3600, "CDELT2": 4 / 3600, "CUNIT1": "deg", "CUNIT2": "deg",
}  # fmt: skip


def work(folder: Path) -> dict[str, dict[str, Any]]:
    """A request of every kind of work, by its name."""
    pha, image = spectrum(folder), photons(folder)
    seconds = np.full(SHAPE, 2e4, np.float32)
    fits.writeto(folder / "map.fits", seconds, fits.Header(HEADER))
    exposure = ("exposure_map", ("map.fits", (folder / "map.fits").read_bytes()))
    query = {"response": "embedded"}
    return {
        "images": {"url": IMAGES, "files": [image, exposure]},
        "refinements": {"url": SPECTRA, "params": query | {"refine": "true"}, "files": [pha]},
        "uploads": {"url": SPECTRA, "params": query, "files": [pha] * 16},
        "bulk spectra": bulk(spectra(BULK), "deepspectra"),
        "queries": {"url": QUERIES, "data": {"LANG": "ADQL", "QUERY": QUERY}},
    }


def spectra(n: int) -> SpectraBatch:
    """Simulated spectra of the embedded EPIC-pn, all of one exposure."""
    batch = Simulator(SimulateConfig(components=False)).draw(0, 0)[:250]
    assert n % len(batch) == 0
    return SpectraBatch.concatenate([batch] * (n // len(batch)))


def bulk(batch: SpectraBatch, family: str) -> dict[str, Any]:
    """All spectra as one request of JSON to a family."""
    body = {"counts": batch.counts_BC.int().tolist(), "exposure_s": float(batch.exposure_B[0])}
    return {
        "url": SPECTRA,
        "params": {"family": family},
        "content": json.dumps(body, separators=(",", ":")).encode(),
        "headers": {"content-type": "application/json"},
    }


def spectrum(folder: Path) -> tuple[str, tuple[str, bytes]]:
    """A spectrum of EPIC-pn, as a file of a request."""
    response = epic_pn.response("medium")
    generator = torch.Generator().manual_seed(0)
    rate_C = torch.full((response.n_channels,), 2.0, dtype=torch.float64)
    words = {"telescope": "XMM", "instrument": "EPN", "filter": "Medium"}
    path = folder / "source.pha"
    write_spectrum(path, Spectrum(torch.poisson(rate_C, generator), 25_000.0, **words))
    return "pha", (path.name, path.read_bytes())


def photons(folder: Path) -> tuple[str, tuple[str, bytes]]:
    """An image of EPIC-pn's size, as a file of a request."""
    path = folder / "field.fits"
    counts = np.random.default_rng(0).poisson(0.4, SHAPE).astype(np.int32)
    fits.writeto(path, counts, fits.Header(HEADER))
    return "image", (path.name, path.read_bytes())


def keep_busy(
    url: str, requests: Mapping[str, dict[str, Any]], seconds: float
) -> dict[str, list[int]]:
    """Statuses that clients of every kind got, each asking again at once for so many seconds."""
    stop, done = threading.Event(), {kind: list[int]() for kind in requests}
    threads = [
        threading.Thread(target=_keep, args=(url, request, stop, done[kind]), daemon=True)
        for kind, request in requests.items()
        for _ in range(CLIENTS[kind])
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return done


def statuses(done: Mapping[str, list[int]]) -> dict[str, dict[str, int]]:
    """Number of answers by kind of work and status."""
    return {
        kind: {str(status): found.count(status) for status in sorted(set(found))}
        for kind, found in done.items()
    }


def _keep(url: str, request: dict[str, Any], stop: threading.Event, done: list[int]) -> None:
    with httpx2.Client(base_url=url, timeout=200) as client:
        while not stop.is_set():
            try:
                done.append(client.post(**request).status_code)
            except httpx2.HTTPError:
                done.append(0)
            if done[-1] in (0, 429):
                time.sleep(0.2)
