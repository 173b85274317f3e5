"""Process that has imported what queries need, and forks one process for each of them.

`python -m wolter.catalogue.adql.forks` reads a line of JSON for each query, `{"run": FOLDER}` or
`{"kill": FOLDER}`, and writes one for each that has ended. When its input ends, so do all.
"""

import json
import os
import selectors
import signal
import sys
from pathlib import Path
from typing import NoReturn

from wolter.catalogue.adql.run import run


def main() -> None:
    """Fork queries until the input ends."""
    _warm()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the log
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    folders: dict[int, str] = {}
    waiting = selectors.DefaultSelector()
    waiting.register(0, selectors.EVENT_READ)
    waiting.register(wake, selectors.EVENT_READ)
    print(json.dumps({"ready": True}), file=told, flush=True)
    pending = b""
    while True:
        for key, _ in waiting.select():
            if key.fd == wake:
                _emptied(wake)
                continue
            piece = os.read(0, 65536)
            if not piece:
                _end(folders)
                return
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                _do(json.loads(line), folders, (told.fileno(), wake, waker))
        for ended in _ended(folders):
            print(json.dumps(ended), file=told, flush=True)


def _do(asked: dict[str, str], folders: dict[int, str], own: tuple[int, ...]) -> None:
    if "kill" in asked:
        for pid, folder in folders.items():
            if folder == asked["kill"]:
                os.kill(pid, signal.SIGKILL)
        return
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        folders[pid] = asked["run"]
        return
    _child(asked["run"], own)


def _child(folder: str, own: tuple[int, ...]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        for descriptor in own:
            os.close(descriptor)
        run(Path(folder))
        code = 0
    finally:
        os._exit(code)


def _ended(folders: dict[int, str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    while folders:
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            break
        found.append(
            {
                "ended": folders.pop(pid),
                "code": os.waitstatus_to_exitcode(status),
                "memory_mb": used.ru_maxrss / 1024,
                "cpu_s": used.ru_utime + used.ru_stime,
            }
        )
    return found


def _end(folders: dict[int, str]) -> None:
    for pid in folders:
        os.kill(pid, signal.SIGKILL)
    for pid in folders:
        os.waitpid(pid, 0)


def _emptied(wake: int) -> None:
    try:
        while os.read(wake, 4096):
            pass
    except BlockingIOError:
        pass


def _warm() -> None:
    """Import and use what a query needs, so that no query does so first."""
    import astropy.io.votable
    import cdshealpix.nested
    import pyarrow.csv
    import pyarrow.parquet

    from wolter.catalogue import formats
    from wolter.catalogue.adql.names import Named, Tables
    from wolter.catalogue.adql.translate import translate
    from wolter.catalogue.tables import source

    query = "SELECT TOP 1 AVG(ra) FROM source WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3))"
    translate(query, Tables([Named("wolter", source(()))]))
    table = source(())
    for each in formats.FORMATS:
        formats.encode(table.schema.empty_table(), table.columns, each.name)
    assert cdshealpix.nested
    assert astropy.io.votable
    assert pyarrow.csv
    assert pyarrow.parquet


if __name__ == "__main__":
    main()
