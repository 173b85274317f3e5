"""Liveness of a server whose every kind of work is saturated.

    wolter bench liveness --json FILE

A server runs as users start it (`wolter serve`, pretrained weights or champions), on all cores of
the machine. Clients keep it busy for a while: images that are super-resolved, spectra whose
posteriors are refined, uploads, and requests of 10,000 spectra as JSON; meanwhile processes of
their own ask `/livez` and `/readyz` 20 times a second, each time on a new connection. `idle` is the
same without the others.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import torch
from astropy.io import fits
from benchmarks._served import serving

from wolter.cluster import cores
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.observation import Spectrum, write_spectrum

SPECTRA, IMAGES = "/v1/spectra/parameters", "/v1/images/enhance"
CLIENTS = {"images": 4, "refinements": 4, "uploads": 8, "bulk spectra": 8}
PATHS = ("/livez", "/readyz")
ASKED_S = 0.05
SHAPE = (403, 411)
HEADER = {
    "EXPOSURE": 2e4, "TELESCOP": "XMM", "INSTRUME": "EPN", "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN", "CRPIX1": 200.0, "CRPIX2": 200.0, "CRVAL1": 30.0, "CRVAL2": -20.0,
    "CDELT1": -4 / 3600, "CDELT2": 4 / 3600, "CUNIT1": "deg", "CUNIT2": "deg",
}  # fmt: skip


def run(n: int = 30) -> dict[str, Any]:
    """Keep a server busy for `n` seconds."""
    with tempfile.TemporaryDirectory() as name, serving() as server:
        requests = work(Path(name))
        idle = _ask(server.url, 5.0)
        stop, done = threading.Event(), {kind: [] for kind in requests}
        threads = [
            threading.Thread(
                target=_keep, args=(server.url, requests[kind], stop, done[kind]), daemon=True
            )
            for kind, clients in CLIENTS.items()
            for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        time.sleep(5)  # until all queues are full
        busy = _ask(server.url, float(n))
        stop.set()
        # What is under way fails as the server ends, which says nothing of how busy it was.
        answered = {kind: list(statuses) for kind, statuses in done.items()}
        peak_mb, _ = server.peaks()
    answers = {
        kind: {str(status): statuses.count(status) for status in sorted(set(statuses))}
        for kind, statuses in answered.items()
    }
    return {
        "cores": cores(),
        "clients": CLIENTS,
        "idle": idle,
        "busy": busy,
        "answers": answers,
        "peak_mb": round(peak_mb),
    }


def _keep(url: str, request: dict[str, Any], stop: threading.Event, done: list[int]) -> None:
    with httpx2.Client(base_url=url, timeout=200) as client:
        while not stop.is_set():
            try:
                done.append(client.post(**request).status_code)
            except httpx2.HTTPError:
                done.append(0)
            if done[-1] == 429:
                time.sleep(0.2)


def _ask(url: str, seconds: float) -> dict[str, Any]:
    """Milliseconds of requests that other processes send at even times."""
    command = [sys.executable, str(Path(__file__).with_name("_asking.py"))]
    asking = {
        path: subprocess.Popen(
            [*command, url + path, str(seconds), str(ASKED_S)], stdout=subprocess.PIPE, text=True
        )
        for path in PATHS
    }
    found = {}
    for path, process in asking.items():
        values = json.loads(process.communicate()[0])
        milliseconds = np.array([value for value, _ in values])
        found[path] = {
            "requests": len(values),
            "failed": sum(status != 200 for _, status in values),
            "p50_ms": round(float(np.quantile(milliseconds, 0.5)), 1),
            "p99_ms": round(float(np.quantile(milliseconds, 0.99)), 1),
            "max_ms": round(float(milliseconds.max()), 1),
        }
    return found


def work(folder: Path) -> dict[str, dict[str, Any]]:
    """A request of every kind of work, by its name."""
    batch = Simulator(SimulateConfig(components=False)).draw(0, 0)[:250]
    counts = batch.counts_BC.int().tolist() * 40
    body = {"counts": counts, "exposure_s": float(batch.exposure_B[0])}
    bulk = {
        "url": SPECTRA,
        "content": json.dumps(body, separators=(",", ":")).encode(),
        "headers": {"content-type": "application/json"},
    }
    pha, image = spectrum(folder), photons(folder)
    seconds = np.full(SHAPE, 2e4, np.float32)
    fits.writeto(folder / "map.fits", seconds, fits.Header(HEADER))
    exposure = ("exposure_map", ("map.fits", (folder / "map.fits").read_bytes()))
    query = {"response": "embedded"}
    return {
        "images": {"url": IMAGES, "files": [image, exposure]},
        "refinements": {"url": SPECTRA, "params": query | {"refine": "true"}, "files": [pha]},
        "uploads": {"url": SPECTRA, "params": query, "files": [pha] * 16},
        "bulk spectra": bulk,
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
