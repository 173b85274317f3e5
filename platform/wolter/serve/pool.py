"""Process pool of upload readers (see `wolter.serve.sandbox`).

Jobs and answers are lines of JSON: a hostile file may rule the process that reads it, and the
pickles of `multiprocessing`, concurrent.futures or pebble (LGPL) would let it rule the server, too.
Limits of processor time are each job's own, and how a reader ended tells whether its file is to
blame; no pool of a library knows either. A reader that dies or hangs is replaced.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from wolter import config as configs
from wolter.errors import InputError, TooLargeError, UnavailableError
from wolter.serve.config import ServeConfig

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
    """Processor time budget of a request, s, shared by threads."""

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


@dataclass(frozen=True)
class Reading:
    """A record to read.

    Attributes:
        task: whose reader reads it.
        name: name of the record, for messages.
        job: what the reader takes; a dataclass that JSON can hold.
    """

    task: str
    name: str
    job: Any


class Reader:
    """One reading process; started when first needed, and again after it ended.

    Args:
        config: limits.
        tasks: names of those whose records it reads.
    """

    def __init__(self, config: ServeConfig, tasks: Sequence[str] = ()) -> None:
        self.config, self.tasks = config, tuple(tasks)
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
            [sys.executable, *SANDBOX, *map(str, limits), *self.tasks],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._exchange("", START_TIMEOUT_S)

    def ask(self, reading: Reading) -> dict[str, Any]:
        """The answer to what is to be read.

        Raises:
            LostError: the process ended, or was ended since it took longer than `parse_timeout_s`.
        """
        self.start()
        line = json.dumps(configs.to_dict(reading)) + "\n"
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
    """Readers that take records from any thread; the call waits for a free one.

    Args:
        config: limits, and the number of readers.
        tasks: names of those whose records are read.
    """

    def __init__(self, config: ServeConfig, tasks: Sequence[str] = ()) -> None:
        self.config = config
        self._readers = [Reader(config, tasks) for _ in range(config.parsers)]
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
        """Start every reader that is free now, at the same time."""

        def start(_: Reader) -> None:
            with self._taken() as reader:
                reader.start()

        with ThreadPoolExecutor(len(self._readers)) as threads:
            list(threads.map(start, self._readers))

    def read(self, reading: Reading, allowance: Allowance | None = None) -> Any:
        """Read a record with the task's reader, in plain JSON.

        Args:
            reading: what to read.
            allowance: takes the processor time that was used.

        Raises:
            InputError: the files are bad; `TooLargeError` when reading them takes too much time or
                memory.
            UnavailableError: readers are lost, through no fault of the files.
        """
        answer = self._answer(reading)
        if allowance is not None:
            allowance.take(answer["cpu_s"])
        return answer["read"]

    def _answer(self, reading: Reading) -> dict[str, Any]:
        name = reading.name
        ends = []
        for _ in range(TRIES):
            try:
                with self._taken() as reader:
                    answer = reader.ask(reading)
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
