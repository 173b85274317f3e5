"""Progress of long work: a bar on a terminal, elsewhere a line a minute.

The time that is left goes by the rate of the work since its first piece was done: to start up, Ray
takes as long as to do the whole of a small job.
"""

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator

FIRST_S, EVERY_S = 10.0, 60.0  # until the first line, and between lines
MARKS = 6  # lines that the rate is taken over


@contextlib.contextmanager
def bar(title: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show progress on standard error; yields `advance(steps, total=None)`."""
    if not sys.stderr.isatty():
        yield _Lines(title, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=600) as progress:
        task = progress.add_task(title, total=total)

        def advance(steps: float, total: int | None = None) -> None:
            if total is not None:
                progress.update(task, total=total)
            progress.advance(task, steps)

        yield advance


class _Lines:
    def __init__(self, title: str, total: float | None) -> None:
        self.title, self.total, self.done = title, total, 0.0
        self.next = time.monotonic() + FIRST_S
        self.marks: deque[tuple[float, float]] = deque(maxlen=MARKS)  # when, and how much was done

    def __call__(self, steps: float, total: float | None = None) -> None:
        self.done += steps
        self.total = self.total if total is None else total
        if not self.done:
            return
        now = time.monotonic()
        if not self.marks:
            self.marks.append((now, self.done))
        if now < self.next:
            return
        self.next, text = now + EVERY_S, f"{self.done:.4g}"
        if self.total:
            text += f" of {self.total:g}, {100 * self.done / self.total:.0f} %{self._left(now)}"
        print(f"{self.title}: {text}", file=sys.stderr, flush=True)

    def _left(self, now: float) -> str:
        """At the rate since an earlier line; nothing where that is not known yet."""
        since, before = self.marks[0]
        self.marks.append((now, self.done))
        if self.done <= before or now <= since or self.total is None:
            return ""
        left = (now - since) / (self.done - before) * max(0.0, self.total - self.done)
        return f", {_span(left)} left"


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
