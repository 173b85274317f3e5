"""A server as users start it, watched from outside: memory of its processes, bytes on its disk."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

EVERY_S = 0.05
MB = 2**20


class Watched:
    """The processes of a server.

    Attributes:
        url: where it answers.
    """

    def __init__(
        self, process: subprocess.Popen[str], folder: Path, url: str, every_s: float = EVERY_S
    ) -> None:
        self.url, self._every_s = url, every_s
        self._root, self._folder = psutil.Process(process.pid), folder
        self._peak_mb = self._peak_disk = 0.0
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            self._peak_mb = max(self._peak_mb, self.memory_mb())
            self._peak_disk = max(self._peak_disk, self.disk_mb())

    def begin(self) -> None:
        """Forget the peaks."""
        self._peak_mb = self._peak_disk = 0.0

    def peaks(self) -> tuple[float, float]:
        """Peak memory of all processes together, and of bytes on disk, since `begin`; MB."""
        memory, disk = self.memory_mb(), self.disk_mb()
        return max(self._peak_mb, memory), max(self._peak_disk, disk)

    def memory_mb(self) -> float:
        """Resident memory that the processes do not share with files, MB."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                memory = process.memory_info()
                total += memory.rss - memory.shared
        return total / MB

    def disk_mb(self) -> float:
        """Uploads on disk, MB: files in the folder, and open ones that have no name any more."""
        sizes: dict[int, int] = {}
        with contextlib.suppress(OSError):
            for file in self._folder.rglob("*"):
                kept = file.stat()
                sizes[kept.st_ino] = kept.st_size
        for process in self._tree():
            with contextlib.suppress(OSError, psutil.Error):
                for file in Path(f"/proc/{process.pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if str(file.readlink()).startswith(str(self._folder)):
                            kept = file.stat()
                            sizes[kept.st_ino] = kept.st_size
        return sum(sizes.values()) / MB

    def _tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return [self._root, *self._root.children(recursive=True)]
        return []

    def stop(self) -> None:
        """End watching."""
        self._ended.set()


@contextlib.contextmanager
def serving(*options: str, home: Path | None = None, every_s: float = EVERY_S) -> Iterator[Watched]:
    """`wolter serve` on a free port, with a folder of its own for what it stores.

    Args:
        options: of the command.
        home: WOLTER_HOME of the server; None for this process's.
        every_s: how often memory and disk are looked at, which takes 20 ms of a core.
    """
    with tempfile.TemporaryDirectory(prefix="w-", dir="/tmp") as name:
        environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
        environment |= {"TMPDIR": name, "RAY_TMPDIR": "/tmp"}
        if home is not None:
            environment["WOLTER_HOME"] = str(home)
        command = [sys.executable, "-m", "wolter.cli", "serve", "--port", "0", *options]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                found = re.search(r"serving at (http://\S+)", line)
                if not found:
                    raise RuntimeError(f"the server does not start: {line!r}")
                watched = Watched(process, Path(name), found[1], every_s)
                yield watched
                watched.stop()
            finally:
                process.terminate()
                process.wait(60)
                time.sleep(0.1)
