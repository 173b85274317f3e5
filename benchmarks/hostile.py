"""Requests that a hostile client sends to a server, and what they cost.

    wolter bench hostile --json FILE

A server runs as users start it (`wolter serve`). Of every case: status and seconds of the answer,
memory of all processes of the server beyond that before, and bytes on its disk, both at their peak;
and `neighbour_s`, the slowest of the ordinary uploads that another client sends meanwhile.
"""

import gzip
import io
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from astropy.io import fits
from benchmarks._serve_load import IMAGES, SPECTRA, photons, spectrum
from benchmarks._served import MB, Watched, serving

Request = dict[str, Any]
JSON = {"content-type": "application/json"}


def run() -> dict[str, Any]:
    """Send every case, one after the other."""
    with tempfile.TemporaryDirectory() as name, serving() as server:
        folder = Path(name)
        pha, image = spectrum(folder), photons(folder)
        ordinary = {"url": SPECTRA, "params": {"response": "embedded"}, "files": [pha]}
        _ask(server.url, ordinary)
        table = {}
        for case, make in _cases(pha[1][1], image[1][1]).items():
            table[case] = _measure(server, make(), ordinary)
        with httpx2.Client(timeout=30) as client:
            after = client.get(f"{server.url}/readyz").status_code
    return {"cases": table, "ready_afterwards": after, "faults": _faults(table)}


def _faults(table: dict[str, dict[str, Any]]) -> int:
    return sum(row["status"] == 0 or row["status"] >= 500 for row in table.values())


def _ask(url: str, request: Request) -> tuple[int, float, str]:
    begin = time.perf_counter()
    try:
        with httpx2.Client(base_url=url, timeout=200) as client:
            response = client.request(**{"method": "POST"} | request)
        status, text = response.status_code, response.text[:160]
    except httpx2.HTTPError as error:
        status, text = 0, repr(error)
    return status, time.perf_counter() - begin, "" if status == 200 else text


def _measure(server: Watched, request: Request, ordinary: Request) -> dict[str, Any]:
    ended, waits = threading.Event(), []

    def neighbour() -> None:
        while not ended.is_set():
            waits.append(_ask(server.url, ordinary)[:2])

    thread = threading.Thread(target=neighbour)
    before = server.memory_mb()
    server.begin()
    thread.start()
    status, seconds, told = _ask(server.url, request)
    ended.set()
    thread.join()
    memory, disk = server.peaks()
    return {
        "status": status,
        "seconds": round(seconds, 2),
        "memory_mb": round(max(memory - before, 0)),
        "disk_mb": round(disk, 1),
        "neighbour_s": round(max(wait for _, wait in waits), 2),
        "neighbour_failed": sum(code != 200 for code, _ in waits),
        "told": told,
    }


def _cases(pha: bytes, image: bytes) -> dict[str, Callable[[], Request]]:
    """A request of every case, made when it is its turn."""
    embedded = {"response": "embedded"}

    def files(*sent: tuple[str, str, bytes], url: str = SPECTRA, **query: str) -> Request:
        named = [(role, (name, content)) for role, name, content in sent]
        return {"url": url, "files": named, "params": query or ({} if url == IMAGES else embedded)}

    def many(n: int, content: bytes) -> Request:
        return files(*(("pha", f"{i}.pha", content) for i in range(n)))

    def counts(**values: Any) -> Request:
        body = {"counts": [1] * 256, "exposure_s": 25_000} | values
        return {"url": SPECTRA, "content": json.dumps(body).encode(), "headers": JSON}

    def text(content: bytes) -> Request:
        return {"url": SPECTRA, "content": content, "headers": JSON}

    def changed(key: str, value: Any, of: bytes = pha, unit: int = 1) -> bytes:
        with fits.open(io.BytesIO(of)) as hdus:
            hdus[unit].header[key] = value
            return _bytes(hdus)

    def pixel(value: float) -> bytes:
        with fits.open(io.BytesIO(image)) as hdus:
            pixels = hdus[0].data.astype(np.float64)
            pixels[50, 50] = value
            return _bytes(fits.HDUList([fits.PrimaryHDU(pixels, hdus[0].header)]))

    form = {"content-type": "multipart/form-data; boundary=x"}
    head = b'--x\r\ncontent-disposition: form-data; name="pha"; filename="a"\r\n'
    return {
        "three files that inflate to 594 MB": lambda: many(3, _bomb(pha, 198)),
        "one file that inflates to 1 GB": lambda: files(("pha", "a.pha", _bomb(pha, 1024))),
        "256 files that inflate to 190 MB": lambda: many(256, _bomb(pha, 0.74)),
        "256 spectra of a million channels": lambda: many(256, _wide(pha)),
        "a header of 95,000 cards": lambda: files(("image", "a.fits", _long(image)), url=IMAGES),
        "an image of 144 million pixels, compressed": lambda: files(
            ("image", "a.fits", _compressed(12_000)), url=IMAGES, exposure="1e4"
        ),
        "an image whose header announces 1e18 pixels": lambda: files(
            ("image", "a.fits", _announced(image)), url=IMAGES
        ),
        "pixels of 3e38": lambda: files(("image", "a.fits", pixel(3e38)), url=IMAGES),
        "exposure=inf": lambda: files(("image", "a.fits", image), url=IMAGES, exposure="inf"),
        "an image named in another script": lambda: files(
            ("image", "образ 像.fits", image), url=IMAGES, exposure="2e4"
        ),
        "EXPOSURE of 1e300": lambda: files(("pha", "a.pha", changed("EXPOSURE", 1e300))),
        "a spectrum that is its own background": lambda: files(
            ("pha", "a.pha", pha), ("background", "b.pha", pha)
        ),
        "counts of 3e38": lambda: counts(counts=[3e38] * 256),
        "counts as text": lambda: counts(counts=["3"] * 256),
        "background_scale: []": lambda: counts(background=[1] * 256, background_scale=[]),
        "a number of 100,000 digits": lambda: text(b'{"counts": [' + b"9" * 100_000 + b"]}"),
        "a million brackets": lambda: text(b"[" * 1_000_000),
        "15 MB of counts": lambda: text(
            b'{"exposure_s": 1, "counts": [' + b"1," * (15 * MB // 2) + b"1]}"
        ),
        "17 MB of counts": lambda: text(b" " * (17 * MB)),
        "101 MB of files": lambda: files(*(("pha", str(i), bytes(17 * MB)) for i in range(6))),
        "a request of 10,000 parts": lambda: {
            "url": SPECTRA,
            "content": (head + b"\r\na\r\n") * 10_000 + b"--x--\r\n",
            "headers": form,
        },
        "20 MB of line ends": lambda: {
            "url": SPECTRA,
            "content": head + b"\r\n" + b"\r\n-" * (20 * MB // 3) + b"\r\n--x--\r\n",
            "headers": form,
        },
        "a header of a part of 4 MB": lambda: {
            "url": SPECTRA,
            "content": head + b"x-a: " + b"a" * (4 * MB) + b"\r\n\r\na\r\n--x--\r\n",
            "headers": form,
        },
        "no route": lambda: {"url": "/v1/none"},
        "another method": lambda: {"url": SPECTRA, "method": "DELETE"},
        "an unknown query": lambda: files(("pha", "a.pha", pha), refined="true"),
    }


def _bytes(hdus: fits.HDUList) -> bytes:
    stream = io.BytesIO()
    hdus.writeto(stream, output_verify="ignore")
    return stream.getvalue()


def _bomb(content: bytes, mb: float) -> bytes:
    return gzip.compress(content + bytes(int(mb * MB) - len(content)))


def _wide(pha: bytes) -> bytes:
    with fits.open(io.BytesIO(pha)) as hdus:
        hdus[1].header["DETCHANS"] = 2**20
        return gzip.compress(_bytes(hdus))


def _long(image: bytes) -> bytes:
    head, data = image.split(b"END".ljust(80), 1)
    cards = b"".join((b"KEY%05d=                    1" % i).ljust(80) for i in range(95_000))
    header = head + cards + b"END".ljust(80)
    return gzip.compress(header.ljust(-(-len(header) // 2880) * 2880) + data.lstrip(b" "))


def _compressed(side: int) -> bytes:
    tiles = fits.CompImageHDU(np.zeros((side, side), np.int16), compression_type="GZIP_1")
    return gzip.compress(_bytes(fits.HDUList([fits.PrimaryHDU(), tiles])))


def _announced(image: bytes) -> bytes:
    card = b"NAXIS1  = "
    at = image.index(card)
    return image[:at] + card + b"1000000000000000".rjust(20) + image[at + 30 :]
