"""Commands in real processes: what they write, and where they listen."""

import ipaddress
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

PYTHON = [sys.executable, "-m", "wolter.cli"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """As a user has it who never set anything of Ray, MLflow or wolter, with an empty home."""
    ours = ("RAY_", "MLFLOW_", "WOLTER_", "TUNE_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "HOME": str(home), "WOLTER_HOME": str(home / "state"), **more}


def listening(pid: int) -> set[tuple[str, str, int]]:
    """Name, address and port of all that listens in a process and those that it started."""
    found = set()
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return found
    for process in processes:
        try:
            for each in process.net_connections(kind="inet"):
                if each.status == psutil.CONN_LISTEN or not each.status:
                    found.add((process.name(), *each.laddr))
        except psutil.Error:  # it has ended
            continue
    return found


def outside(listens: set[tuple[str, str, int]]) -> set[tuple[str, str, int]]:
    """Those that the network reaches."""
    return {each for each in listens if not _is_loopback(each[1])}


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


@dataclass
class Done:
    """How a command ended; `listened` is all that was seen listening."""

    code: int
    out: str
    err: str
    listened: set[tuple[str, str, int]]


def stacks(pid: int) -> str:
    """What every thread of a process, and of those that it started, is at (by py-spy)."""
    found = []
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        told = subprocess.run(
            [str(Path(sys.executable).with_name("py-spy")), "dump", "--pid", str(process.pid)],
            capture_output=True,
            text=True,
        )
        found.append(told.stdout)  # empty for what is not Python
    return "\n".join(found)


def run(words: list[str], home: Path, timeout_s: float = 900, **more: str) -> Done:
    """Run `wolter` with these words in an empty folder, and look at its sockets all the time.

    The time is for a hang, not for a slow machine: what takes a minute on an idle one has taken
    four on a busy one. The error output then ends with the stacks.
    """
    with (home / "out").open("w+") as out, (home / "err").open("w+") as err:
        process = subprocess.Popen(
            [*PYTHON, *words], cwd=home, env=environment(home, **more), stdout=out, stderr=err
        )
        listened: set[tuple[str, str, int]] = set()
        deadline = time.monotonic() + timeout_s
        while process.poll() is None and time.monotonic() < deadline:
            listened |= listening(process.pid)
            time.sleep(0.5)
        hung = ""
        if process.poll() is None:
            hung = f"hung for {timeout_s} s\n{stacks(process.pid)}"
            process.kill()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
        return Done(process.wait(), texts[0], texts[1] + hung, listened)
