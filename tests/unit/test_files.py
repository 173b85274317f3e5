"""Files are written whole or not at all, and a full disk is told in one line."""

import errno
import resource
import signal

import numpy as np
import pyarrow as pa
import pytest
import torch
from astropy.table import Table
from tests.synthetic import SPEC

from wolter import family as families
from wolter.data.row_writer import RowWriter
from wolter.data.shards import write_shard
from wolter.data.tables import write_rejects, write_table
from wolter.errors import InputError
from wolter.files import make_folder, telling_full, why_full, write_atomically
from wolter.registry.checkpoint import Card, save_model
from wolter.train.loop import build
from wolter.xray.spectral.writing import write_spectrum

NOISE = np.random.default_rng(0).random(40_000)  # 320 kB that no compression makes smaller
LIMIT = 65_536


@pytest.fixture
def small_files():
    """No file may be larger than 64 kB: what an unprivileged process can have of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def spectrum(n=30_000):
    from wolter.xray.ogip.pha import Spectrum

    return Spectrum(counts_C=torch.arange(n).double(), exposure_s=10.0)


WRITERS = {
    "bytes": lambda path: write_atomically(path / "out", NOISE.tobytes()),
    "shard": lambda path: write_shard(path, 0, pa.table({"x": NOISE})),
    "rejects": lambda path: write_rejects([(str(x), "why") for x in NOISE], path / "r.parquet"),
    "ingest": lambda path: _ingested(path),
    "parquet": lambda path: write_table(Table({"x": NOISE}), path / "t.parquet"),
    "csv": lambda path: write_table(Table({"x": NOISE}), path / "t.csv"),
    "votable": lambda path: write_table(Table({"x": NOISE}), path / "t.vot"),
    "fits": lambda path: write_table(Table({"x": NOISE}), path / "t.fits"),
    "spectrum": lambda path: write_spectrum(path / "s.pha", spectrum()),
    "gzip": lambda path: write_spectrum(path / "s.pha.gz", spectrum(60_000)),
    "model": lambda path: _checkpoint(path),
}


def _ingested(path):
    writer = RowWriter(path)
    writer.rejects = [(str(x), "why") for x in NOISE]
    writer.finish("spectra", SPEC, {})


def _checkpoint(path):
    family = families.load("mlp")
    module = build(family, family.config(width=512), SPEC, 0)
    save_model(path, Card("mlp", {}, SPEC), module)


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_tells_that_there_is_no_room_and_leaves_nothing(writer, tmp_path, request):
    request.getfixturevalue("small_files")
    told = r"^\S+: cannot be written: file too large \([\d,.]+ \w+ needed, .+ free\); "
    with pytest.raises(InputError, match=told) as caught:
        WRITERS[writer](tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("writer", ["bytes", "shard", "parquet", "fits"])
def test_what_was_there_stays(writer, tmp_path, request):
    names = {"bytes": "out", "shard": "part-00000.parquet", "parquet": "t.parquet"}
    file = tmp_path / names.get(writer, "t.fits")
    file.write_bytes(b"before")
    request.getfixturevalue("small_files")
    with pytest.raises(InputError):
        WRITERS[writer](tmp_path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [
        (file.name, b"before")
    ]


@pytest.mark.parametrize("writer", ["bytes", "shard", "ingest", "parquet", "fits", "model"])
def test_a_disk_that_is_really_full(writer, full_disk):
    (full_disk / "other").write_bytes(bytes(200_000))
    told = r"^\S+: cannot be written: no space left \([\d,.]+ \w+ needed, .+ free\); make room"
    with pytest.raises(InputError, match=told):
        WRITERS[writer](full_disk)
    assert [each.name for each in full_disk.iterdir()] == ["other"]


def test_a_full_disk_is_known_by_number_cause_and_word():
    assert why_full(OSError(errno.ENOSPC, "x")) == "no space left"
    assert why_full(OSError(errno.EDQUOT, "x")) == "quota used up"
    assert why_full(RuntimeError("(sqlite3.OperationalError) database or disk is full"))
    outer = RuntimeError("a task failed")
    outer.cause = OSError(errno.ENOSPC, "x")  # as Ray's errors have it
    assert why_full(outer)
    assert not why_full(OSError(errno.EACCES, "x"))
    assert not why_full(ValueError("no such file"))
    outer.cause = outer
    assert not why_full(outer)


def test_other_writers_are_told_of_alike(tmp_path):
    told = r"db: cannot be written: no space left \(1.0 MB needed, .* free\)"
    with pytest.raises(InputError, match=told), telling_full(tmp_path / "db", 1_000_000):
        raise RuntimeError("database or disk is full")
    with pytest.raises(RuntimeError, match="else"), telling_full(tmp_path / "db"):
        raise RuntimeError("something else")


def test_another_reason_is_told_as_such(tmp_path):
    with pytest.raises(InputError, match=r"gone/out: cannot be written \(No such file"):
        write_atomically(tmp_path / "gone" / "out", b"")
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"out: cannot be written \(Is a directory"):
        write_atomically(tmp_path / "out", b"")
    assert not list(tmp_path.glob(".*"))


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "out", b"")
    assert not list(tmp_path.iterdir())


def test_names_as_long_as_they_may_be(tmp_path):
    file = tmp_path / ("x" * 255)
    write_atomically(file, b"all")
    assert file.read_bytes() == b"all"


def test_a_folder_on_a_full_disk(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "x")

    monkeypatch.setattr("pathlib.Path.mkdir", full)
    with pytest.raises(InputError, match=r"out: cannot be written: no space left \(.* free\)"):
        make_folder(tmp_path / "out")
