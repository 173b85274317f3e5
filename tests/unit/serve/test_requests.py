"""Files of a request: which fields it may have, how many are read at once, what a bad one stops."""

import asyncio
import io
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from starlette.datastructures import FormData, UploadFile
from tests.refusals import refused

from wolter.errors import InputError
from wolter.serve import requests
from wolter.serve.config import ServeConfig
from wolter.serve.errors import TooLargeError
from wolter.serve.reading import Job, Upload
from wolter.serve.requests import MAX_FILES, UploadReader
from wolter.spectra.grid import default_grid
from wolter.spectra.schema import SpectraSpec

SPEC = SpectraSpec(default_grid())


def form(**files):
    """A form of so many files by field."""
    items = [
        (field, UploadFile(io.BytesIO(b"x"), filename=f"{field}{i}.fits"))
        for field, n in files.items()
        for i in range(n)
    ]
    return FormData(items)


@pytest.fixture
def reader(monkeypatch):
    """One whose work is told and not done."""
    reader = UploadReader(ServeConfig(parsers=1, max_refined=2))

    async def told(_, *arguments):
        return arguments

    monkeypatch.setattr(reader, "_in_thread", told)
    return reader


def test_so_many_spectra_may_be_refined(reader):
    def asked(n):
        return asyncio.run(reader.gridded(form(pha=n), partial(Job, spec=SPEC)))

    uploads, _ = asked(2)
    assert len(uploads["pha"]) == 2
    with pytest.raises(InputError, match=r"^refine: 3 spectra; send at most 2$"):
        asked(3)


def test_a_job_is_as_asked(reader):
    for use_background in (True, False):
        asked = partial(Job, spec=SPEC, response="embedded", use_background=use_background)
        for read in (reader.records, reader.gridded):
            _, how = asyncio.run(read(form(pha=1), asked))
            expected = Job(Upload("a", "b"), SPEC, use_background=use_background)
            assert how(Upload("a", "b"), response="files") == expected
            assert how(Upload("a", "b")).response == "embedded"


def test_an_image_comes_with_one_map_of_a_kind(reader):
    uploads, exposure_s = asyncio.run(reader.picture(form(image=1, mask=1, exposure_map=1), 5.0))
    assert {role: len(each) for role, each in uploads.items()} == {
        "image": 1, "exposure_map": 1, "mask": 1
    }  # fmt: skip
    assert exposure_s == 5.0
    for twice in ({"image": 2}, {"image": 1, "mask": 2}, {"image": 1, "exposure_map": 2}):
        with pytest.raises(
            InputError, match=r"^send one file in each of image, exposure_map, mask"
        ):
            asyncio.run(reader.picture(form(**twice), None))
    with pytest.raises(InputError, match=r"^no image; send a FITS file in the field image$"):
        asyncio.run(reader.picture(form(mask=1), None))


def test_fields_are_checked(reader):
    def read(given):
        return asyncio.run(reader.records(given, partial(Job, spec=SPEC)))

    with pytest.raises(
        InputError, match=r"^unknown field 'image'; send pha, rmf, arf, background$"
    ):
        read(form(pha=1, image=1))
    with pytest.raises(InputError, match=r"^field rmf: not a file; send it as a file$"):
        read(FormData([*form(pha=1).multi_items(), ("rmf", "words")]))
    with pytest.raises(
        InputError, match=r"^no spectrum; send one or more PHA files in the field p"
    ):
        read(form(rmf=1))


def test_so_many_requests_are_read_at_once():
    """Two for each reader: one that reads, one whose files are stored meanwhile."""
    reader = UploadReader(ServeConfig(parsers=3))
    lock, now, most = threading.Lock(), [0], [0]

    def work():
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1

    async def ask():
        await asyncio.gather(*(reader._in_thread(work) for _ in range(20)))

    asyncio.run(ask())
    assert most == [6]


@pytest.mark.parametrize("error", [InputError("bad"), TooLargeError("large"), KeyboardInterrupt()])
def test_no_spectrum_is_read_after_a_bad_one(error):
    reader, read = UploadReader(ServeConfig(parsers=1)), []

    def one(job, allowance):
        read.append(job)
        time.sleep(0.05)
        if len(read) == 2:
            raise error
        return job

    with pytest.raises(type(error)):
        reader._read([1, 2, 3, 4, 5, 6], one)
    assert read in ([1, 2], [1, 2, 3])  # the next one may have begun


def test_spectra_of_a_request_share_its_processor_time():
    reader = UploadReader(ServeConfig(parsers=2, request_cpu_s=3.0))

    def one(job, allowance):
        allowance.take(job)
        return job

    assert reader._read([1.0, 1.0, 1.0], one) == [1.0, 1.0, 1.0]
    with pytest.raises(TooLargeError, match="more than 3 s"):
        reader._read([1.0, 1.0, 1.5], one)


def test_uploads_are_files_of_their_own_while_they_are_read(pha, picture_file):
    reader = UploadReader(ServeConfig(parsers=1))
    files = [(path.read_bytes(), path.name) for path in (pha, picture_file)]
    given = {
        "pha": [UploadFile(io.BytesIO(data), filename=f"x/{name}") for data, name in files],
        "rmf": [],
    }
    with reader._stored(given) as (stored, folder):
        assert [each.name for each in stored["pha"]] == [name for _, name in files]
        kept = [(folder / f"pha-{i}.fits").read_bytes() for i in range(2)]
        assert [each.path for each in stored["pha"]] == [
            str(folder / f"pha-{i}.fits") for i in range(2)
        ]
        assert kept == [data for data, _ in files]
        assert stored["rmf"] == ()
    assert not folder.exists()


def test_so_many_files_may_be_sent(client):
    def post(n):
        files = [("pha", ("a.pha", b"x"))] * n
        return client.post("/v1/spectra/parameters", files=files)

    assert refused(post(MAX_FILES), 422).startswith("a.pha: not a FITS file")
    assert MAX_FILES == 256
    assert "256" in refused(post(257), 400)


def test_evidence_is_kept_of_the_first_ones_alone(reader, monkeypatch):
    """Of five spectra beyond the training, where two may be refined."""
    asked = []
    monkeypatch.setattr(
        requests.GriddedObservation, "load", lambda path, record: (path.name, record)
    )

    def read(job, allowance):
        asked.append(bool(job.gridded))
        if job.gridded and "1" not in job.pha.name:  # the second is within the training
            Path(job.gridded).touch()
        return job.pha.name

    monkeypatch.setattr(reader.pool, "read", read)
    monkeypatch.setattr(requests, "measure", lambda *_: None)
    monkeypatch.setattr(requests, "store", lambda *_: None)
    uploads = {
        role: form(**{role: 5 if role == "pha" else 0}).getlist(role)
        for role in ("pha", "rmf", "arf", "background")
    }
    records, few = reader._beyond(uploads, partial(Job, spec=SPEC))
    assert records == [f"pha{i}.fits" for i in range(5)]
    assert asked == [True, True, True, False, False]
    assert few == {
        0: ("pha-0.fits.safetensors", "pha0.fits"), 2: ("pha-2.fits.safetensors", "pha2.fits")
    }  # fmt: skip


def test_an_image_is_read_within_its_bounds(monkeypatch):
    reader = UploadReader(ServeConfig(parsers=1, max_pixels=77))
    monkeypatch.setattr(requests, "measure", lambda *_: None)
    monkeypatch.setattr(requests, "store", lambda *_: None)
    monkeypatch.setattr(reader.pool, "read_image", lambda job: job)
    uploads = {role: form(**{role: 1}).getlist(role) for role in ("image", "exposure_map", "mask")}
    job = reader._picture(uploads, 5.0)
    assert (job.image.name, job.max_pixels, job.exposure_s) == ("image0.fits", 77, 5.0)
    assert [each.name for each in job.exposure_map] == ["exposure_map0.fits"]
    assert [each.name for each in job.mask] == ["mask0.fits"]
    folder = Path(job.image.path).parent
    assert Path(job.result) == folder / "picture.safetensors"
