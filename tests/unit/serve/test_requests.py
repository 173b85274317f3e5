"""Files of a request: which fields it may have, how many are read at once, what a bad one stops."""

import asyncio
import io
import tempfile
import threading
import time
from types import SimpleNamespace

import pytest
from starlette.datastructures import FormData, UploadFile
from tests.refusals import refused

from wolter.answering.contract import FileField
from wolter.errors import InputError, TooLargeError
from wolter.serve import environment
from wolter.serve.config import ServeConfig
from wolter.serve.pool import Allowance
from wolter.serve.requests import StoredFiles, UploadReader, uploads_of
from wolter.serve.routes import MAX_FILES

FIELDS = (FileField("record", "whole ones", many=True), FileField("map", "of seconds"))


def form(**files):
    """A form of so many files by field."""
    items = [
        (field, UploadFile(io.BytesIO(b"x"), filename=f"{field}{i}.fits"))
        for field, n in files.items()
        for i in range(n)
    ]
    return FormData(items)


def test_fields_are_checked():
    found = uploads_of(form(record=2, map=1), FIELDS)
    assert {name: len(each) for name, each in found.items()} == {"record": 2, "map": 1}
    assert uploads_of(form(record=1), FIELDS)["map"] == []
    for bad, line in (
        (form(record=1, image=1), r"^unknown field 'image'; send record, map$"),
        (form(map=1), r"^no file in the field record; send whole ones$"),
        (form(record=1, map=2), r"^field map: 2 files; send one file$"),
        (FormData([*form(record=1).multi_items(), ("map", "words")]),
         r"^field map: not a file; send it as a file$"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=line):
            uploads_of(bad, FIELDS)


def test_so_many_requests_are_read_at_once():
    """Two for each reader: one that reads, one whose files are stored meanwhile."""
    reader = UploadReader(ServeConfig(parsers=3))
    lock, now, most = threading.Lock(), [0], [0]

    def work(stored):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1

    async def ask():
        await asyncio.gather(*(reader.read("kind/what", {}, work) for _ in range(20)))

    asyncio.run(ask())
    assert most == [6]


def stored_of(**config):
    """Files whose jobs are read by returning them."""
    pool = SimpleNamespace(
        config=ServeConfig(**config), read=lambda reading, allowance: (reading, allowance)
    )
    return StoredFiles("kind/what", {}, None, pool, Allowance(pool.config.request_cpu_s))


@pytest.mark.parametrize("error", [InputError("bad"), TooLargeError("large"), KeyboardInterrupt()])
def test_no_record_is_read_after_a_bad_one(error):
    read = []

    def one(item):
        read.append(item)
        time.sleep(0.05)
        if len(read) == 2:
            raise error
        return item

    with pytest.raises(type(error)):
        stored_of(parsers=1).each(one, [1, 2, 3, 4, 5, 6])
    assert read in ([1, 2], [1, 2, 3])  # the next one may have begun


def test_records_of_a_request_share_its_processor_time():
    stored = stored_of(parsers=2, request_cpu_s=3.0)
    reading, allowance = stored.read({"x": 1}, "a.fits")
    assert (reading.task, reading.name, reading.job) == ("kind/what", "a.fits", {"x": 1})
    assert stored.read({}, "b.fits")[1] is allowance

    def one(seconds):
        allowance.take(seconds)
        return seconds

    assert stored.each(one, [1.0, 1.0, 1.0]) == [1.0, 1.0, 1.0]
    with pytest.raises(TooLargeError, match="more than 3 s"):
        stored.each(one, [0.5])


def test_uploads_are_files_of_their_own_while_they_are_read(pha, picture_file):
    reader = UploadReader(ServeConfig(parsers=1))
    files = [(path.read_bytes(), path.name) for path in (pha, picture_file)]
    given = {
        "record": [UploadFile(io.BytesIO(data), filename=f"x/{name}") for data, name in files],
        "map": [],
    }
    with reader._stored("kind/what", given) as stored:
        folder = stored.folder
        assert [each.name for each in stored.files["record"]] == [name for _, name in files]
        kept = [(folder / f"record-{i}.fits").read_bytes() for i in range(2)]
        assert [each.path for each in stored.files["record"]] == [
            str(folder / f"record-{i}.fits") for i in range(2)
        ]
        assert kept == [data for data, _ in files]
        assert stored.files["map"] == ()
    assert not folder.exists()


def test_what_a_killed_replica_leaves_goes_with_its_server(pha, monkeypatch, tmp_path):
    server, scratch = tmp_path / "wolter-server", tmp_path / "scratch"
    for folder in (server, scratch):
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv(environment.FOLDER, str(server))
    monkeypatch.setenv("WOLTER_SERVE_SET", environment.FOLDER)
    reader = UploadReader(ServeConfig(parsers=1))
    given = {"record": [UploadFile(io.BytesIO(pha.read_bytes()), filename="a.pha")]}
    with reader._stored("kind/what", given) as stored:
        left = stored.folder.parent / "of-another-replica"
        left.mkdir()
        assert left.is_relative_to(scratch)
        assert left.parent.stat().st_mode & 0o777 == 0o700
    environment.tidy()
    assert not list(scratch.iterdir())
    assert not server.exists()


def test_so_many_files_may_be_sent(client):
    def post(n):
        files = [("pha", ("a.pha", b"x"))] * n
        return client.post("/v1/spectra/parameters", files=files)

    assert refused(post(MAX_FILES), 422).startswith("a.pha: not a FITS file")
    assert MAX_FILES == 256
    assert "256" in refused(post(257), 400)
