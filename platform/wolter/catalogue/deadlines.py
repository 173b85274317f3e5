"""Deadlines of queries: one thread interrupts those that take longer than allowed."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

_EVERY_S = 0.05


class Deadlines:
    """Interrupts work that is late. A timer for each query would take longer than most of them."""

    def __init__(self) -> None:
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._some, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def limit(self, seconds: float, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt` unless the `with` ends in time; never after it has ended.

        Args:
            seconds: longest time.
            interrupt: ends the work; it may be called from another thread.
        """
        token = object()
        with self._lock:
            self._due[token] = (time.monotonic() + seconds, interrupt)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        self._some.set()
        try:
            yield
        finally:
            with self._lock:
                self._due.pop(token, None)
                if not self._due:
                    self._some.clear()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._some.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._some.wait()
            self._ended.wait(_EVERY_S)
            with self._lock:
                now = time.monotonic()
                for token, (until, interrupt) in list(self._due.items()):
                    if now > until:
                        del self._due[token]
                        interrupt()
