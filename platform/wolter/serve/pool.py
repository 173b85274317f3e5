"""A small pool of processes that read uploads (see `wolter.serve.sandbox`).

Jobs and answers are lines of JSON, never pickles: a hostile file may rule the process that reads
it. A reader that dies or hangs is replaced; whether its file is to blame is told by how it ended.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wolter import config as configs
from wolter.errors import InputError
from wolter.images.reading import load_picture
from wolter.serve.config import ServeConfig
from wolter.serve.errors import TooLargeError, UnavailableError
from wolter.serve.reading import ImageJob, Job
from wolter.serve.sandbox import from_json
from wolter.spectra.reading import Record
from wolter.xray.imaging.counts_image import CountsImage

START_TIMEOUT_S = 120.0  # imports on a busy machine
TRIES = 2
SANDBOX = ("-m", "wolter.serve.sandbox")  # what Python runs
# A file that ends two readers in one of these ways is to blame.
_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}


class LostError(Exception):
    """A reader ended without an answer; by the signal, where it was one."""

    def __init__(self, ended: int) -> None:
        self.signal = -ended
        super().__init__(f"a reader ended ({ended})")


class Allowance:
    """Processor time that is left to a request, s; threads take from it."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._left = seconds, seconds
        self._lock = threading.Lock()

    def take(self, seconds: float) -> None:
        """Take time that was used.

        Raises:
            TooLargeError: more was used than was left.
        """
        with self._lock:
            self._left -= seconds
            if self._left < 0:
                raise TooLargeError(
                    f"reading the files takes more than {self._seconds:g} s; send fewer files"
                )


class Reader:
    """One reading process; started when first needed, and again after it ended."""

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process unless it runs, and wait until it is ready.

        Raises:
            LostError: it ended before, or took too long.
        """
        if self.process is not None and self.process.poll() is None:
            return
        self.stop()
        limits = (self.config.parse_memory_mb, self.config.parse_cpu_s)
        self.process = subprocess.Popen(
            [sys.executable, *SANDBOX, *map(str, limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._exchange("", START_TIMEOUT_S)

    def ask(self, job: Job | ImageJob) -> dict[str, Any]:
        """The answer to a job.

        Raises:
            LostError: the process ended, or was ended since it took longer than `parse_timeout_s`.
        """
        self.start()
        line = json.dumps(configs.to_dict(job)) + "\n"
        return self._exchange(line, self.config.parse_timeout_s)

    def _exchange(self, sent: str, timeout_s: float) -> dict[str, Any]:
        process = self.process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(timeout_s, process.kill)
        timer.start()
        line = ""
        try:
            process.stdin.write(sent)
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            pass
        finally:
            timer.cancel()
        if not line.endswith("\n"):
            raise LostError(self.stop())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> int:
        """End the process; how it ended."""
        if self.process is None:
            return 0
        # One that closed its output is about to end by itself, and how it ends tells why.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()
        ended, self.process = self.process.returncode, None
        return ended


class ReaderPool:
    """Readers that take jobs from any thread; the call waits for a free one."""

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self._readers = [Reader(config) for _ in range(config.parsers)]
        self._free: queue.LifoQueue[Reader] = queue.LifoQueue()
        for reader in self._readers:
            self._free.put(reader)

    @contextlib.contextmanager
    def _taken(self) -> Iterator[Reader]:
        reader = self._free.get()
        try:
            yield reader
        finally:
            self._free.put(reader)

    def start(self) -> None:
        """Start every reader now, at the same time."""
        with ThreadPoolExecutor(len(self._readers)) as threads:
            list(threads.map(Reader.start, self._readers))

    def read(self, job: Job, allowance: Allowance | None = None) -> Record:
        """Read the spectrum of a job.

        Args:
            job: what to read.
            allowance: takes the processor time that was used.

        Raises:
            InputError: the files are bad; `TooLargeError` when reading them takes too much time or
                memory.
            UnavailableError: readers are lost, through no fault of the files.
        """
        answer = self._answer(job, job.pha.name)
        if allowance is not None:
            allowance.take(answer["cpu_s"])
        return from_json(answer["record"])

    def read_image(self, job: ImageJob) -> CountsImage:
        """Read the image of a job; see `read`."""
        self._answer(job, job.image.name)
        return load_picture(Path(job.result))

    def _answer(self, job: Job | ImageJob, name: str) -> dict[str, Any]:
        ends = []
        for _ in range(TRIES):
            try:
                with self._taken() as reader:
                    answer = reader.ask(job)
            except LostError as error:
                if error.signal == signal.SIGXCPU:
                    raise TooLargeError(
                        f"{name}: reading it takes more than {self.config.parse_cpu_s} s of a "
                        "processor; send smaller files"
                    ) from error
                ends.append(error.signal)
                continue
            if "error" in answer:
                kind = TooLargeError if answer.get("too_large") else InputError
                raise kind(answer["error"])
            return answer
        if _FAULTS.issuperset(ends):
            raise InputError(f"{name}: what reads it breaks down; check its files")
        raise UnavailableError(f"{name}: could not be read now; try again in a few seconds")

    def stop(self) -> None:
        """End every process."""
        for reader in self._readers:
            reader.stop()
