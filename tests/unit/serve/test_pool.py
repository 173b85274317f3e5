import concurrent.futures
import dataclasses
import os
import resource
import signal

import numpy as np
import pytest
from astropy.io import fits

from wolter.answering.uploads import Upload
from wolter.errors import InputError, TooLargeError, UnavailableError
from wolter.images.reading import load_picture
from wolter.images.uploads import Job as ImageJob
from wolter.serve import pool as pools
from wolter.serve.config import MB, ServeConfig
from wolter.serve.pool import Allowance, LostError, Reader, ReaderPool, Reading
from wolter.spectra.grid import default_grid
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.uploads import Job, read_job, to_json

SPEC = SpectraSpec(default_grid())
TASKS = ("spectra/parameters", "images/enhance")
QUICK = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    answer = {"read": {"name": json.loads(line)["job"]["pha"]["name"]}, "cpu_s": 0.0}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def job(pha):
    files = {"rmf": pha.with_name("pn.rsp"), "background": pha.with_name("background.pha")}
    uploads = {role: (Upload(path.name, str(path)),) for role, path in files.items()}
    return Reading(TASKS[0], pha.name, Job(Upload(pha.name, str(pha)), SPEC, **uploads))


def changed(reading, **changes):
    return dataclasses.replace(reading, job=dataclasses.replace(reading.job, **changes))


@pytest.fixture(scope="module")
def pool():
    pool = ReaderPool(ServeConfig(parsers=1, parse_memory_mb=100), TASKS)
    pool.start()
    yield pool
    pool.stop()


def test_the_pool_reads_the_same(pool, job):
    assert pool.read(job) == to_json(read_job(job.job))


def test_the_pool_reports_bad_files_and_goes_on(pool, job):
    with pytest.raises(InputError, match="is not among the uploads"):
        pool.read(changed(job, rmf=()))
    assert pool.read(job)["name"] == "source.pha"


def test_reading_is_bounded_in_memory_and_the_reader_replaced(pool, job, tmp_path):
    """The image needs 16 MB as a file, and far more than 100 once it is read."""
    fits.writeto(tmp_path / "large.fits", np.ones((4096, 4096), np.uint8))
    image = Upload("large.fits", str(tmp_path / "large.fits"))
    hungry = ImageJob(image, str(tmp_path / "read"), 2**24, exposure_s=1e4)
    hungry = Reading(TASKS[1], image.name, hungry)
    (reader,) = pool._readers
    pool.read(job)
    before = reader.process.pid
    with pytest.raises(TooLargeError, match=r"^large\.fits: reading it takes too much memory"):
        pool.read(hungry)
    assert pool.read(job)["name"] == "source.pha"
    assert reader.process.pid != before


def test_a_reader_has_its_limits(pool, job):
    pool.read(job)
    (reader,) = pool._readers
    soft, hard = resource.prlimit(reader.process.pid, resource.RLIMIT_AS)
    assert 100 * MB < soft == hard < 64 * 1024 * MB
    assert resource.prlimit(reader.process.pid, resource.RLIMIT_CORE) == (0, 0)
    seconds, _ = resource.prlimit(reader.process.pid, resource.RLIMIT_CPU)
    assert pool.config.parse_cpu_s < seconds < 100


def test_processor_time_is_bounded_for_each_job(picture_file, tmp_path):
    """What the reader uses counts, not how long it takes on a busy machine."""
    pool = ReaderPool(ServeConfig(parsers=1, parse_cpu_s=1), TASKS)
    (reader,) = pool._readers

    def read(path):
        image = Upload(path.name, str(path))
        job = ImageJob(image, str(tmp_path / "read"), 2**24)
        pool.read(Reading(TASKS[1], path.name, job))
        return load_picture(tmp_path / "read")

    for _ in range(2):
        used = reader.process and resource.prlimit(reader.process.pid, resource.RLIMIT_CPU)[0]
        assert read(picture_file).exposure_s == 2e4
    assert reader.process.poll() is None
    assert resource.prlimit(reader.process.pid, resource.RLIMIT_CPU)[0] >= used
    slow = tmp_path / "slow.fits"
    cards = b"".join((b"KEY%05d=                    1" % i).ljust(80) for i in range(95_000))
    head, data = picture_file.read_bytes().split(b"END".ljust(80), 1)
    header = head + cards + b"END".ljust(80)
    slow.write_bytes(header.ljust(-(-len(header) // 2880) * 2880) + data.lstrip(b" "))
    with pytest.raises(TooLargeError, match=r"^slow\.fits: .* more than 1 s of a processor"):
        read(slow)
    assert reader.process is None  # the next one is read by another
    pool.stop()


def test_a_request_has_an_allowance_of_processor_time(pool, job):
    allowance = Allowance(1e-9)
    with pytest.raises(TooLargeError, match="send fewer files"):
        pool.read(job, allowance)
    allowance = Allowance(3.0)
    allowance.take(2.9)
    with pytest.raises(TooLargeError, match="more than 3 s"):
        allowance.take(0.2)


@pytest.fixture
def quick(monkeypatch):
    """Readers that answer without reading, and start without the libraries that real ones need."""
    monkeypatch.setattr(pools, "SANDBOX", ("-S", "-c", QUICK))


def within(seconds, work):
    """What `work` returns or raises, by when it must have ended."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        future = threads.submit(work)
        try:
            return future.result(seconds)
        except TimeoutError:
            os.killpg(0, signal.SIGCONT)  # so that the thread ends, too
            raise


def test_a_reader_that_hangs_is_ended_in_time_and_replaced(quick, job):
    reader = Reader(ServeConfig(parse_timeout_s=1.0))
    reader.start()
    os.kill(reader.process.pid, signal.SIGSTOP)
    with pytest.raises(LostError) as lost:
        within(30, lambda: reader.ask(job))
    assert lost.value.signal == signal.SIGKILL
    reader.config = ServeConfig()
    assert reader.ask(job)["read"]["name"] == "source.pha"
    reader.stop()


def test_a_job_too_long_for_the_pipe_does_not_hang(quick, job):
    reader = Reader(ServeConfig(parse_timeout_s=1.0))
    reader.start()
    os.kill(reader.process.pid, signal.SIGSTOP)
    with pytest.raises(LostError):
        reader.ask(changed(job, rmf=job.job.rmf * 10_000))
    reader.stop()


@pytest.fixture
def ending(quick, monkeypatch):
    """A pool whose readers end in the middle of the first jobs, by the given signals."""
    pool = ReaderPool(ServeConfig(parsers=1))
    (reader,) = pool._readers
    exchange, ends = reader._exchange, []

    def ended(sent, timeout_s):
        if sent and ends:
            os.kill(reader.process.pid, ends.pop(0))
            reader.process.wait()
        return exchange(sent, timeout_s)

    monkeypatch.setattr(reader, "_exchange", ended)
    yield pool, ends
    pool.stop()


def test_a_file_is_tried_again_when_its_reader_dies(ending, job):
    pool, ends = ending
    ends.append(signal.SIGKILL)
    assert pool.read(job)["name"] == "source.pha"
    assert not ends


def test_readers_that_die_again_are_no_fault_of_the_file(ending, job):
    pool, ends = ending
    ends += [signal.SIGKILL] * 2
    with pytest.raises(UnavailableError, match=r"^source\.pha: could not be read now; try again"):
        pool.read(job)
    assert pool.read(job)["name"] == "source.pha"


def test_a_file_that_breaks_every_reader_is_refused(ending, job):
    pool, ends = ending
    ends += [signal.SIGSEGV, signal.SIGABRT]
    with pytest.raises(InputError, match=r"^source\.pha: what reads it breaks down"):
        pool.read(job)


def test_the_pool_keeps_readers_that_do_not_start(quick, job, monkeypatch):
    pool = ReaderPool(ServeConfig(parsers=1))
    starts = pools.SANDBOX
    monkeypatch.setattr(pools, "SANDBOX", ("-S", "-c", "raise SystemExit(1)"))
    with pytest.raises(UnavailableError):
        pool.read(job)
    assert pool._free.qsize() == 1
    monkeypatch.setattr(pools, "SANDBOX", starts)
    assert pool.read(job)["name"] == "source.pha"
    pool.stop()


def test_processor_time_may_be_used_up_and_no_more():
    allowance = Allowance(3.0)
    allowance.take(1.0)
    allowance.take(2.0)
    with pytest.raises(TooLargeError) as caught:
        allowance.take(0.001)
    assert str(caught.value) == "reading the files takes more than 3 s; send fewer files"


def test_a_reader_has_two_minutes_to_start_and_the_configured_time_to_read(quick, job, monkeypatch):
    asked, plain = [], Reader._exchange

    def noted(self, sent, timeout_s):
        asked.append(timeout_s)
        return plain(self, sent, timeout_s)

    monkeypatch.setattr(Reader, "_exchange", noted)
    reader = Reader(ServeConfig(parse_timeout_s=7.0))
    assert reader.stop() == 0  # it never ran
    for _ in range(2):
        assert reader.ask(job)["read"]["name"] == "source.pha"
    assert asked == [120.0, 7.0, 7.0]
    reader.stop()
    assert reader.process is None


def test_a_lost_reader_tells_its_signal(quick):
    reader = Reader(ServeConfig())
    reader.start()
    os.kill(reader.process.pid, signal.SIGTERM)
    assert reader.stop() == -signal.SIGTERM
    assert LostError(-signal.SIGTERM).signal == signal.SIGTERM
    assert str(LostError(3)) == "a reader ended (3)"


@pytest.mark.parametrize("ends_by", [(signal.SIGSEGV, signal.SIGKILL), (signal.SIGKILL,) * 2])
def test_one_kill_is_enough_to_spare_the_file(ending, job, ends_by):
    pool, ends = ending
    ends += ends_by
    with pytest.raises(UnavailableError):
        pool.read(job)


def test_processor_time_beyond_the_limit_is_the_file_s_fault_at_once(ending, job):
    pool, ends = ending
    ends += [signal.SIGXCPU]
    with pytest.raises(TooLargeError) as caught:
        pool.read(job)
    assert str(caught.value) == (
        "source.pha: reading it takes more than 10 s of a processor; send smaller files"
    )


def test_answers_of_readers_that_are_too_large_say_so(quick, job, monkeypatch):
    pool = ReaderPool(ServeConfig(parsers=1))
    for too_large, kind in ((True, TooLargeError), (False, InputError)):
        told = {"error": "a.pha: no", "too_large": too_large}
        monkeypatch.setattr(Reader, "ask", lambda *_, told=told: told)
        with pytest.raises(InputError, match=r"^a\.pha: no$") as caught:
            pool.read(job)
        assert type(caught.value) is kind


def test_every_reader_is_started_and_stopped(quick):
    pool = ReaderPool(ServeConfig(parsers=3))
    pool.start()
    processes = [reader.process for reader in pool._readers]
    assert [process.poll() for process in processes] == [None] * 3
    pool.start()
    assert [reader.process for reader in pool._readers] == processes
    pool.stop()
    assert None not in [process.poll() for process in processes]
