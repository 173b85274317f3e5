"""Requests that careless and hostile clients send, drawn at random."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.damage import Rng, damaged, odd_names

SPECTRA, IMAGES = "/v1/spectra/parameters", "/v1/images/enhance"
NUMBERS: list[Any] = [
    0, -1, 1, 3e38, 1e13, 1e-320, -0.0, 1.5, 2**63, 10**400, float("nan"), float("inf"), "3", "",
    True, None, [], [1], {}, "é",
]  # fmt: skip
QUERIES = {
    "family": ["posterior", "mlp", "cnn", "", "a" * 5000, "../x", "é", "\0", "nan"],
    "response": ["files", "embedded", "mine", "", "inf"],
    "instrument": ["epic_pn", "acis_s", "hubble", "", "a" * 5000, "../x", "\0"],
    "no_background": ["true", "false", "2", "", "nan", "-1"],
    "components": ["true", "1", "maybe"],
    "refine": ["true", "false", "inf", "yes", "[]"],
    "task": ["superres", "denoise", "colour", "", "--x", "superres-denoise", "é"],
    "exposure": ["1e4", "inf", "-inf", "nan", "-1", "0", "1e13", "1e-320", "1e400", "x", "", "３"],
    "other": ["1", "", "\n"],
}
Drawn = tuple[str, str, dict[str, Any]]  # what it is, method, and arguments of the request


def _choice(rng: Rng, values: list[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def _query(rng: Rng, url: str) -> list[tuple[str, str]]:
    """Mostly good, so that the files behind it are read."""
    if rng.random() < 0.75:
        good = {
            SPECTRA: [("refine", "true"), ("family", "mlp"), ("components", "1")],
            IMAGES: [("task", "superres"), ("exposure", "1e4")],
        }
        return [_choice(rng, good[url])] if rng.random() < 0.4 else []
    names = [_choice(rng, list(QUERIES)) for _ in range(int(rng.choice([1, 1, 2, 3])))]
    return [(name, _choice(rng, QUERIES[name])) for name in names]


def counts(rng: Rng) -> Drawn:
    """Counts as JSON, with wrong values, shapes, types and fields."""
    n = int(rng.choice([1, 1, 2, 3]))
    body: dict[str, Any] = {
        "counts": rng.poisson(3, (n, 256)).tolist(),
        "exposure_s": 25_000,
        "background": rng.poisson(1, (n, 256)).tolist(),
        "background_scale": [0.3] * n,
        "names": [f"s{i}" for i in range(n)],
        "energy_edges": np.linspace(0.2, 12, 257).tolist(),
    }
    for key in list(body)[2:]:
        if rng.random() < 0.4:
            del body[key]
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        key = _choice(rng, [*body, "surprise"])
        value, kind = _choice(rng, NUMBERS), int(rng.integers(5))
        old = body.get(key)
        if kind == 0 or not isinstance(old, list) or not old:
            body[key] = value
        elif kind == 1:
            old[int(rng.integers(len(old)))] = value
        elif kind == 2 and isinstance(old[0], list) and old[0]:
            old[0][int(rng.integers(len(old[0])))] = value
        elif kind == 3:
            body[key] = old[: int(rng.integers(len(old) + 1))]
        else:
            body[key] = [old]
    text = json.dumps(body).encode()
    if rng.random() < 0.2:
        text = _garbled(rng, text)
    kinds = ["application/json", "application/json", "application/json; charset=utf-16", "text/x"]
    headers = {"content-type": _choice(rng, kinds)}
    return "counts", "POST", {"url": SPECTRA, "content": text, "headers": headers}


def _garbled(rng: Rng, content: bytes) -> bytes:
    at, size = int(rng.integers(len(content))), int(rng.choice([1, 5, 80]))
    junk = bytes(rng.integers(0, 256, size, dtype=np.uint8))
    return _choice(rng, [content[:at], content[:at] + junk + content[at:], content[at:], b"", junk])


def files(rng: Rng, folder: Path, names: dict[str, str], url: str) -> Drawn:
    """Files of a request, one or more damaged, lost, repeated or in the wrong field."""
    contents = {role: (folder / name).read_bytes() for role, name in names.items()}
    sent = [(role, (names[role], contents[role], "application/fits")) for role in names]
    told = []
    for _ in range(int(rng.choice([1, 1, 1, 2]))):
        i = int(rng.integers(len(sent)))
        role, (name, content, kind) = sent[i]
        change = float(rng.random())
        if change < 0.7 and content[:6] == b"SIMPLE" and content == contents.get(role):
            what, content = damaged(rng, content)
            told.append(f"{role}: {what}")
        elif change < 0.8:
            name = odd_names(rng, ".fits")
        elif change < 0.85:
            role = _choice(rng, [*names, "other", ""])
        elif change < 0.9:
            sent.append((role, (name, content, kind)))
        elif change < 0.95 and len(sent) > 1:
            del sent[i]
            continue
        else:
            content = contents[_choice(rng, list(contents))]
        sent[i] = (role, (name, content, kind))
        told.append(f"{role} {name!r}")
    return "; ".join(told) or "files", "POST", {"url": url, "files": sent}


def raw(rng: Rng, folder: Path, names: dict[str, str]) -> Drawn:
    """Bodies that are no multipart, or nearly."""
    name = next(iter(names.values()))
    part = (
        b'--x\r\ncontent-disposition: form-data; name="pha"; filename="' + name.encode() + b'"'
        b"\r\ncontent-type: a/b\r\n\r\n" + (folder / name).read_bytes() + b"\r\n--x--\r\n"
    )
    body = _garbled(rng, part[:400] if rng.random() < 0.5 else part)
    kinds = ["multipart/form-data; boundary=x", "multipart/form-data", "multipart/form-data; b=é",
             "multipart/form-data; boundary=" + "y" * 300, "multipart/mixed; boundary=x",
             ""]  # fmt: skip
    headers = {"content-type": _choice(rng, kinds).encode()}
    return (
        "raw",
        "POST",
        {"url": _choice(rng, [SPECTRA, IMAGES]), "content": body, "headers": headers},
    )


def draw(rng: Rng, folder: Path) -> Drawn:
    """A request, with a query that may be wrong as well.

    Args:
        rng: decides all.
        folder: holds source.pha, background.pha, pn.rsp and field.fits.
    """
    spectrum = {"pha": "source.pha", "rmf": "pn.rsp", "background": "background.pha"}
    image = {"image": "field.fits", "exposure_map": "field.fits", "mask": "field.fits"}
    made: list[Callable[[], Drawn]] = [
        lambda: counts(rng),
        lambda: files(rng, folder, spectrum, SPECTRA),
        lambda: files(rng, folder, spectrum, SPECTRA),
        lambda: files(rng, folder, image, IMAGES),
        lambda: files(rng, folder, {"image": "field.fits"}, IMAGES),
        lambda: raw(rng, folder, spectrum),
    ]
    what, method, request = _choice(rng, made)()
    query = _query(rng, request["url"])
    if rng.random() < 0.03:
        method = _choice(rng, ["GET", "PUT", "DELETE", "HEAD", "PATCH"])
    if rng.random() < 0.03:
        request["url"] += _choice(rng, ["/", "/x", "%00", "?", "/../../etc/passwd"])
    return f"{method} {request['url']} {query} {what}", method, request | {"params": query}
