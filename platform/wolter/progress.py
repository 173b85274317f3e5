"""How far long work is: a bar on a terminal, elsewhere a line a minute."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

EVERY_S = 60.0  # between lines


@contextlib.contextmanager
def bar(title: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Tell on standard error; yields `advance(steps, total=None)`, whose steps may be parts."""
    if not sys.stderr.isatty():
        yield _Lines(title, total)
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=total)

        def advance(steps: float, total: int | None = None) -> None:
            if total is not None:
                progress.update(task, total=total)
            progress.advance(task, steps)

        yield advance


class _Lines:
    def __init__(self, title: str, total: float | None) -> None:
        self.title, self.total, self.done = title, total, 0.0
        self.start = self.told = time.monotonic()

    def __call__(self, steps: float, total: float | None = None) -> None:
        self.done += steps
        self.total = self.total if total is None else total
        now = time.monotonic()
        if now - self.told < EVERY_S or not self.done:
            return
        self.told, text = now, f"{self.done:.4g}"
        if self.total:
            left = (now - self.start) * max(0.0, self.total / self.done - 1)
            text += f" of {self.total:g}, {100 * self.done / self.total:.0f} %, {_span(left)} left"
        print(f"{self.title}: {text}", file=sys.stderr, flush=True)


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
