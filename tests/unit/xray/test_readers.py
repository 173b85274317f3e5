"""Ingest, predict, fit and the server accept and refuse alike, for the same reason."""

import re

import numpy as np
import pytest
from tests.readers import READERS, read_by_all

COUNTS = np.arange(60) + 1


def spectrum(files, counts=COUNTS, kind="REDIST", size=1, **options):
    """A spectrum of 60 channels of 0.2 keV, with its ARF and RMF beside it."""
    edges = np.linspace(0.1, 12.1, 61)
    files.rmf(size * np.eye(60), edges, edges, kind=kind)
    files.arf(np.full(60, 100.0), edges)
    named = {"RESPFILE": "a.rmf", "ANCRFILE": "a.arf", "DETCHANS": 60} | options
    return files.pha(np.asarray(counts), **named)


PAD = b" " * 23


def edited(old: bytes, new: bytes):
    def edit(path):
        content = path.read_bytes()
        at = content.index(old)
        path.write_bytes(content[:at] + new + content[at + len(new) :])

    return edit


def same(left: str, right: str) -> bool:
    """Whether two messages say the same, whatever their paths, remedies and details."""

    def core(message: str) -> str:
        plain = re.sub(r"\S*/", "", message)
        return re.split(r"[;(]", plain)[0].strip()

    return core(left) == core(right)


CASES = {
    "good": lambda files: spectrum(files),
    "another name": lambda files: edit(files, edited(b"'SPECTRUM'", b"'PHA     '")),
    "padded": lambda files: edit(files, lambda p: p.write_bytes(p.read_bytes() + b"\0" * 40)),
    "not ascii": lambda files: edit(files, edited(b"HDUCLAS1=", b"HDUCLAS1\xe9")),
    "no value": lambda files: edit(files, edited(b"DETCHANS=", b"DETCHANS=".ljust(40))),
    "bad object": lambda files: edit(files, edited(b"EXTEND  =", b"OBJECT  = 1.2.3 /" + PAD)),
    "bad exposure": lambda files: edit(files, edited(b"EXPOSURE=", b"EXPOSURE= 1.2.3 /" + PAD)),
    "no exposure": lambda files: spectrum(files, EXPOSURE=None),
    "negative": lambda files: spectrum(files, -COUNTS),
    "fractional": lambda files: spectrum(files, COUNTS + 0.5, POISSERR=False),
    "net": lambda files: spectrum(files, HDUCLAS2="NET"),
    "no area": lambda files: spectrum(files, ANCRFILE="none"),
    "full by mistake": lambda files: spectrum(files, kind="FULL"),
    "area twice": lambda files: spectrum(files, kind="FULL", size=100),
    "no response": lambda files: spectrum(files, RESPFILE="none"),
    "its own background": lambda files: spectrum(files, BACKFILE="a.pha"),
    "cut": lambda files: edit(files, lambda p: p.write_bytes(p.read_bytes()[:6000])),
    "empty": lambda files: edit(files, lambda p: p.write_bytes(b"")),
    "text": lambda files: edit(files, lambda p: p.write_text("no FITS" * 999)),
    "no quality": lambda files: spectrum(files, QUALITY=5),
    "other columns": lambda files: edit(files, edited(b"'COUNTS  '", b"'FLUX    '")),
}  # fmt: skip
READ = (
    "good",
    "another name",
    "padded",
    "not ascii",
    "no value",
    "bad object",
    "full by mistake",
)


def edit(files, change):
    path = spectrum(files)
    change(path)
    return path


@pytest.mark.parametrize("case", CASES)
def test_all_readers_agree(files, case):
    answers = read_by_all(CASES[case](files))
    assert set(answers) == set(READERS)
    if case in READ:
        for counts in answers.values():
            assert not isinstance(counts, str), counts
            assert counts.sum() == COUNTS[1:49].sum()  # 0.3 to 10 keV
        return
    messages = list(answers.values())
    assert all(isinstance(message, str) for message in messages)
    assert all(same(message, messages[0]) for message in messages), messages
