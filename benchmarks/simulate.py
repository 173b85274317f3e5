"""Race of the simulator against Sherpa and jaxspec, and of the Ray job against one process.

The race: every contestant folds the same model, drawn from the same prior, through the same
response file; each sits in a process of its own (two of Sherpa's on two cores, for it uses one)
and has all cores while its turn lasts. They take turns, since other work on the machine slows all
of them; rates are medians. The race that counts is at all channels of 0.3-10 keV; the other, in 110
groups of them, is the kindest to jaxspec. See `_racer.py`.

The job: `simulate_dataset` from its config to the finished folder, with its response read, its
workers started and stopped, shards compressed, hashed and on disk, in a Ray that runs already. One
process with a thread for each core makes the same files, from the same config. The memory is that
of the driver, Ray and its workers, each with the pages that it shares, added up.
"""

import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from wolter import config as configs
from wolter.cluster import connected, cores
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig
from wolter.xray.instruments.instrument import DEFAULT, load
from wolter.xray.spectral.response import Response, read_response
from wolter.xray.spectral.writing import write_response

BAND_KEV = (0.3, 10.0)
# Spectra in a turn of each contestant, some seconds: enough for jaxspec to be at its best.
TURNS = {"wolter": 32 * 1024, "sherpa": 1000, "jaxspec": 5_000}


def run(n: int = 200_000, rounds: int = 3, instrument: str = "") -> dict[str, Any]:
    """Run both races, of an observation's response or of an embedded one.

    Args:
        n: spectra in the job.
        rounds: turns of each contestant.
        instrument: name of the instrument whose embedded response they fold.
    """
    # Ray lowers its workers' priority, which on a busy machine is all that would be measured.
    os.environ.setdefault("RAY_worker_niceness", "0")
    observation = None if instrument else _observation()
    embedded = load(instrument or DEFAULT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full = read_response(*observation[:2]) if observation else embedded.response()
        grouped = full.rebin(np.geomspace(*BAND_KEV, 111).tolist())
        races = [
            _race(full.band(*BAND_KEV), folder / "full.rsp", n, rounds),
            _race(grouped, folder / "grouped.rsp", n, rounds),
        ]
        config = SimulateConfig(instrument=embedded.name)
        if observation:
            rmf, arf, background = map(str, observation)
            config = SimulateConfig(rmf=rmf, arf=arf, backgrounds=(background,))
        job = _job(config, n, folder, rounds)
    return {
        "instrument": f"{full.telescope}/{full.instrument}/{full.filter}",
        "cores": cores(),
        **races[0],
        **job,
        "races": races,
    }


def _observation() -> tuple[Path, Path, Path] | None:
    """RMF, ARF and background of NGC 7793 ULX-4, if they are there."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("WOLTER_REFERENCE_DATA", beside)) / "xmm" / "ngc7793_ulx4"
    if not folder.is_dir():
        return None
    return folder / "PN.rmf", folder / "PN.arf", folder / "PNbackground_spectrum.fits"


class _Racer:
    """A contestant: as many processes as it needs to use all cores."""

    def __init__(self, name: str, file: Path, processes: int = 1) -> None:
        command = [sys.executable, "-m", "benchmarks._racer", name, str(file)]
        self.processes = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[1],
            )
            for _ in range(processes)
        ]
        for process in self.processes:
            assert self._hear(process) == "ready"

    def __enter__(self) -> "_Racer":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.communicate()

    def rate(self, n: int) -> float:
        """Spectra a second of one turn, `n` in each process."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{n}\n")
            process.stdin.flush()
        seconds = [float(self._hear(process)) for process in self.processes]
        return n * len(self.processes) / max(seconds)

    def _hear(self, process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{process.args} ended early")
        return line


def _race(response: Response, file: Path, n: int, rounds: int) -> dict[str, float | None]:
    write_response(file, response)
    names = [name for name in TURNS if name == "wolter" or importlib.util.find_spec(name)]
    rates: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        racers = {
            name: stack.enter_context(_Racer(name, file, cores() if name == "sherpa" else 1))
            for name in names
        }
        for turn in range(rounds + 1):
            for name, racer in racers.items():
                rate = racer.rate(min(n, TURNS[name]))
                if turn:  # the first warms caches up and compiles
                    rates[name].append(rate)
    figures: dict[str, float | None] = {"n_channels": response.n_channels}
    median = {name: statistics.median(rates[name]) for name in names}
    figures["ours_per_s"] = ours = median["wolter"]
    for name in ("sherpa", "jaxspec"):
        figures[f"{name}_per_s"] = median.get(name)
    for name in ("sherpa", "jaxspec"):
        figures[f"ratio_{name}"] = ours / median[name] if name in median else None
    return figures


def _job(config: SimulateConfig, n: int, folder: Path, rounds: int) -> dict[str, Any]:
    file = folder / "config.json"
    configs.save(config, file)
    number = itertools.count()

    def simulate(rows: int) -> float:
        with tempfile.TemporaryDirectory() as name:
            start = time.perf_counter()
            simulate_dataset(config, rows, Path(name), seed=next(number))
            return rows / (time.perf_counter() - start)

    peaks: dict[int, float | None] = {}
    for rows in (n // 4, n):
        with connected(), _peak_memory() as peak:
            simulate(rows)
        peaks[rows] = peak()
    ray, bare = [], []
    with connected(), _Racer("records", file) as racer:
        for _ in range(rounds):
            bare.append(racer.rate(n))
            ray.append(simulate(n))
    return {
        "n": n,
        "job_per_s": statistics.median(ray),
        "in_process_per_s": statistics.median(bare),
        "job_ratio": statistics.median(r / b for r, b in zip(ray, bare, strict=True)),
        "peak_rss_mb": peaks[n],
        "peak_rss_mb_of_a_quarter": peaks[n // 4],
    }


@contextmanager
def _peak_memory() -> Iterator[Callable[[], float | None]]:
    """Watch the memory of this process and all below it; gives its peak in MB (Linux only)."""
    peak, ended = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.2):
            peak = max(peak, _resident_mb())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: peak or None
    finally:
        ended.set()
        thread.join()


def _resident_mb() -> float:
    """Resident memory of this process and its descendants, MB."""
    parent, pages = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            pages[int(folder.name)] = int((folder / "statm").read_text().split()[1])
        except OSError:  # it has just ended
            continue
        parent[int(folder.name)] = int(stat[1])
    total = 0
    for process in pages:
        above = process
        while above > 1 and above != os.getpid():
            above = parent.get(above, 0)
        total += pages[process] if above == os.getpid() else 0
    return total * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    text = json.dumps(run(), indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
