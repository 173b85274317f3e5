"""Damaged spectra, responses and backgrounds: an answer or one line, from every reader."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from tests.damage import damaged, odd_names
from tests.readers import READERS, read_by_all
from tests.unit.xray.conftest import Files

SETS = ("plain", "grating", "one file")


def make_set(folder: Path, kind: str) -> Path:
    """A spectrum of 60 channels with its files beside it, in a form that archives hold."""
    files = Files(folder)
    rng = np.random.default_rng(5)
    edges = np.linspace(0.1, 12.1, 41)
    channel_edges = np.linspace(0.05, 12.05, 61)
    matrix = np.zeros((40, 60))
    for row in range(40):
        matrix[row, max(0, row - 2) : row + 12] = 0.1
    counts = rng.poisson(30, 60)
    files.arf(np.linspace(50, 400, 40), edges)
    files.rmf(matrix, edges, channel_edges, variable=kind == "plain", descending=kind == "grating")
    named = {"RESPFILE": "a.rmf", "ANCRFILE": "a.arf", "DETCHANS": 60, "POISSERR": True}
    flags = {"GROUPING": np.where(np.arange(60) % 3, -1, 1), "QUALITY": np.zeros(60, int)}
    if kind == "grating":
        sides = {name: rng.poisson(4, 60) for name in ("BACKGROUND_UP", "BACKGROUND_DOWN")}
        return files.pha(counts, columns=sides | flags, BACKSCUP=4.0, BACKSCDN=4.0, **named)
    if kind == "one file":
        background = files.spectrum_hdu(rng.poisson(3, 60), HDUCLAS2="BKG", BACKSCAL=5.0)
        return files.pha_of(files.spectrum_hdu(counts, columns=flags, **named), background)
    files.pha(rng.poisson(3, 60), "b.pha", BACKSCAL=5.0, AREASCAL=1.0)
    return files.pha(
        counts, columns=flags, BACKSCAL=1.0, AREASCAL=1.0, BACKFILE="b.pha", TELESCOP="XMM", **named
    )


def add_words(folder: Path) -> None:
    """Give the headers as many cards that nobody reads as those of real files have."""
    for path in folder.iterdir():
        with fits.open(path, mode="update") as hdus:
            for hdu in hdus:
                for number in range(12):
                    hdu.header[f"WORD{number}"] = (f"value {number}", "of no concern")
                    hdu.header[f"NUMBER{number}"] = (1.5 * number, "[s] of no concern")
                hdu.header["DATE-OBS"] = "2004-05-06T07:08:09"
                hdu.header["HISTORY"] = "made up"
                hdu.header["COMMENT"] = "for a test"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, Path]:
    made = {}
    for kind in SETS:
        made[kind] = make_set(tmp_path_factory.mktemp("whole"), kind)
        add_words(made[kind].parent)
    return made


def check(answer: np.ndarray | str) -> None:
    """An answer that can be used, or one line with a remedy."""
    if isinstance(answer, str):
        assert answer.isprintable()
        assert ";" in answer or "?" in answer, answer
        assert len(answer) < 1500
        return
    assert np.isfinite(answer).all()
    assert (answer >= 0).all()


def damage(pha: Path, rng: np.random.Generator) -> tuple[str, Path, bytes]:
    """Damage the spectrum or a file beside it; what was done, where, and what was there."""
    names = sorted(path.name for path in pha.parent.iterdir() if path.is_file())
    # The spectrum as often as all others together.
    name = pha.name if rng.random() < 0.5 else str(rng.choice(names))
    path = pha.with_name(name)
    content = path.read_bytes()
    label, changed = damaged(rng, content)
    path.write_bytes(changed)
    return f"{name}: {label}", path, content


def run(whole: dict[str, Path], cases: range) -> tuple[int, int]:
    """Numbers of cases that were read and refused; every sixth by all readers alike."""
    read = refused = 0
    for case in cases:
        rng = np.random.default_rng([7, case])
        pha = whole[SETS[case % len(SETS)]]
        label, path, content = damage(pha, rng)
        names = list(READERS) if case % 6 == 0 else [list(READERS)[int(rng.integers(4))]]
        try:
            answers = read_by_all(pha, names)
        except Exception as error:
            raise AssertionError(
                f"case {case}, {label}: {type(error).__name__}: {error}"
            ) from error
        finally:
            path.write_bytes(content)
            shutil.rmtree(pha.with_name("kept"), ignore_errors=True)
        for answer in answers.values():
            try:
                check(answer)
            except AssertionError as error:
                raise AssertionError(f"case {case}, {label}: {error}") from error
        kinds = {isinstance(answer, str) for answer in answers.values()}
        assert len(kinds) == 1, f"case {case}, {label}: {answers}"
        refused += kinds == {True}
        read += kinds == {False}
    return read, refused


def test_damage_is_answered_or_told_in_one_line(whole):
    read, refused = run(whole, range(170))
    assert min(read, refused) > 15


@pytest.mark.slow
@pytest.mark.parametrize("piece", range(8))
def test_much_damage_is_answered_or_told_in_one_line(whole, piece):
    read, refused = run(whole, range(1000 + 500 * piece, 1500 + 500 * piece))
    assert min(read, refused) > 50


@pytest.mark.parametrize("case", range(30))
def test_odd_names_are_read_or_told(tmp_path, case):
    rng = np.random.default_rng([9, case])
    pha = make_set(tmp_path, "one file")
    response, own = (odd_names(rng, suffix)[-200:].replace("/", "_") for suffix in (".rmf", ".pha"))
    (tmp_path / "a.rmf").rename(tmp_path / response)
    if len(response.encode()) <= 68 and response.isascii() and response.isprintable():
        fits.setval(pha, "RESPFILE", value=response, ext=1)
    pha = pha.rename(tmp_path / own)
    answers = read_by_all(pha, ("ingest", "predict", "fit"))
    for answer in answers.values():
        check(answer)
    assert len({isinstance(answer, str) for answer in answers.values()}) == 1
    (tmp_path / "folder.pha").mkdir()
    for answer in read_by_all(tmp_path / "folder.pha", ("ingest", "predict", "fit")).values():
        assert "not a file" in answer
