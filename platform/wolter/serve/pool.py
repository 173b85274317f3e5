"""A small pool of processes that read uploads (see `wolter.serve.reading`)."""

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wolter import config as configs
from wolter.data.pictures import load_picture
from wolter.data.records import Record
from wolter.errors import InputError
from wolter.serve.config import ServeConfig
from wolter.serve.reading import ImageJob, Job, from_json
from wolter.xray.picture import Picture

START_TIMEOUT_S = 120.0  # imports on a busy machine


class Reader:
    """One reading process; started when first needed, and again after it was killed."""

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process unless it runs, and wait until it is ready."""
        if self.process is not None and self.process.poll() is None:
            return
        self.stop()
        command = [sys.executable, "-m", "wolter.serve.reading", str(self.config.parse_memory_mb)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._receive(START_TIMEOUT_S) is None:
            raise RuntimeError("the process that reads uploads does not start; see its log")

    def ask(self, job: Job | ImageJob) -> dict[str, Any] | None:
        """The answer to a job; None when the process took too long or died of it."""
        self.start()
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(configs.to_dict(job)) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.stop()
            return None
        return self._receive(self.config.parse_timeout_s)

    def _receive(self, timeout_s: float) -> dict[str, Any] | None:
        assert self.process is not None
        assert self.process.stdout is not None
        timer = threading.Timer(timeout_s, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line.endswith("\n"):
            self.stop()
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


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

    def read(self, job: Job) -> Record:
        """Read the spectrum of a job.

        Raises:
            InputError: the files are bad, or reading them takes too long or too much memory.
        """
        return from_json(self._answer(job, job.pha.name)["record"])

    def read_image(self, job: ImageJob) -> Picture:
        """Read the image of a job.

        Raises:
            InputError: as `read`.
        """
        self._answer(job, job.image.name)
        return load_picture(Path(job.result))

    def _answer(self, job: Job | ImageJob, name: str) -> dict[str, Any]:
        with self._taken() as reader:
            answer = reader.ask(job)
        if answer is None:
            raise InputError(
                f"{name}: reading it takes more than {self.config.parse_timeout_s:g} s or "
                f"{self.config.parse_memory_mb} MB; send smaller files"
            )
        if "error" in answer:
            raise InputError(answer["error"])
        return answer

    def stop(self) -> None:
        """End every process."""
        for reader in self._readers:
            reader.stop()
