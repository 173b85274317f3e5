"""A release of 1,000,000 sources: time and memory of writing it, and its size on disk.

    wolter bench release --json FILE

Facts and estimates are drawn at random with the columns, the spread and the samples of the
demonstration release, whose sources are repeated at other places: every source has one detection,
with estimates of both models, which is more than most have, and a quick look with a band. No two
looks are alike; they have the bins that a build gives to spectra of so many counts. Each part is
measured in a process of its own, so that the peak of its memory is its own.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from wolter.answering.quick_look import LookAxis
from wolter.answering.scoring import FACTS
from wolter.catalogue import demonstration_files, quick_looks, samples, scored
from wolter.catalogue.assemble import Detections, Estimated
from wolter.catalogue.build import assemble_from
from wolter.catalogue.files import write
from wolter.catalogue.rounding import to_bits

N = 1_000_000
SAMPLES = 16  # as a build keeps of a record


def run(n: int = N) -> dict[str, Any]:
    """Write a release of `n` sources in a process of its own, and measure it."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.release", folder, str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        path = Path(folder) / "bench"
        sizes = {each.name: _size(each) for each in sorted(path.iterdir())}
        figures["bytes"] = sum(sizes.values())
        figures["bytes_by_file"] = sizes
        figures["hats_strict"] = _strict(path / "hats")
    return figures


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def _strict(path: Path) -> bool | None:
    """Validity by `hats`; None where it is not installed."""
    try:
        from hats.io.validation import is_valid_collection
    except ImportError:
        return None
    return bool(is_valid_collection(path, strict=True))


def drawn(n: int) -> tuple[Detections, list[Estimated]]:
    """Facts and estimates of `n` detections, each of a source of its own."""
    rng = np.random.default_rng(0)
    shipped = demonstration_files.SHIPPED
    facts = demonstration_files.facts(shipped)
    facts = facts.take(pa.array(rng.integers(0, len(facts), n)))
    places = {"ra": rng.uniform(0, 360, n), "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, n)))}
    places |= {"record": [f"record {i}" for i in range(n)], "source": [""] * n}
    columns = {name: places.get(name, facts[name]) for name in FACTS.names}
    estimated = []
    for file in sorted(shipped.glob("*.estimates.parquet")):
        each = demonstration_files.read(file)
        table = each.table.take(pa.array(rng.integers(0, len(each.table), n)))
        for at, field in enumerate(table.schema):
            if pa.types.is_floating(field.type):  # no two rows alike
                values = table[field.name].to_numpy() * (1 + 0.01 * rng.normal(size=n))
                table = table.set_column(at, field.name, pa.array(values.astype(np.float32)))
            if field.name == scored.SAMPLES:
                table = table.set_column(at, field.name, _samples(rng, n, each))
        axis = None
        if scored.LOOK in table.column_names:
            table = table.drop_columns(scored.LOOK)
        if each.axes:
            axis = LookAxis("energy", "keV", "log")
            table = table.append_column(scored.LOOK, _looks(rng, facts["counts"].to_numpy()))
        found = {"detection_K": np.arange(n), "table": table, "look_axis": axis}
        estimated.append(Estimated(**(vars(each) | found)))
    return Detections(pa.table(columns).cast(FACTS), [""] * n), estimated


def _samples(rng: np.random.Generator, n: int, each: Estimated) -> pa.Array:
    """Codes of normal posteriors of random widths."""
    size, p, parts = 50_000, len(each.axes), []
    for start in range(0, n, size):
        m = min(size, n - start)
        width = rng.uniform(0.01, 1, (m, 1, p))
        values = (3 + width * rng.normal(size=(m, SAMPLES, p))).astype(np.float32)
        coded = samples.encode(np.abs(values), each.axes)
        parts.append(pa.FixedSizeListArray.from_arrays(pa.array(coded.ravel()), coded.shape[1]))
    return pa.concat_arrays(parts)


def _looks(rng: np.random.Generator, counts_N: np.ndarray) -> pa.Array:
    """Quick looks at power laws of random slopes, with as many bins as a build has."""
    bins = np.array((8, 12, 16, 24, 32, 48))
    kind_N = np.clip(np.searchsorted(bins, counts_N / 12, side="right") - 1, 0, None)
    size_N = bins[kind_N]
    offsets = pa.array(np.concatenate([[0], np.cumsum(size_N)]).astype(np.int32))
    edges = [np.geomspace(0.5, 8, g + 1).astype(np.float32) for g in bins]
    middle_X = np.concatenate([edges[k][:-1] for k in kind_N])
    slope_X = np.repeat(rng.uniform(-0.5, 2, len(size_N)), size_N)
    model_X = np.repeat(counts_N / size_N, size_N) * middle_X**-slope_X + 0.01
    width_X = np.repeat(rng.uniform(0.02, 0.5, len(size_N)), size_N) * middle_X**0.3
    background_X = np.repeat(rng.lognormal(-1, 1, len(size_N)), size_N) * middle_X**-0.5
    columns = {
        "counts": rng.poisson(model_X).astype(np.float32),
        "background": background_X,
        "model": model_X,
        "model_low": model_X * (1 - width_X / 2 * rng.uniform(0.9, 1.1, len(model_X))),
        "model_high": model_X * (1 + width_X / 2 * rng.uniform(0.9, 1.1, len(model_X))),
    }
    lists = [pa.array(rng.uniform(1e3, 1e5, len(size_N)).astype(np.float32))]
    ends = pa.array(np.concatenate([[0], np.cumsum(size_N + 1)]).astype(np.int32))
    lists.append(
        pa.ListArray.from_arrays(ends, pa.array(np.concatenate([edges[k] for k in kind_N])))
    )
    for name, values_X in columns.items():
        bits = quick_looks.BITS.get(name)
        told_X = values_X if bits is None else to_bits(values_X, bits)
        lists.append(pa.ListArray.from_arrays(offsets, pa.array(told_X)))
    return pa.StructArray.from_arrays(lists, fields=list(quick_looks.LOOK))


def main(folder: Path, n: int) -> None:
    """Draw, assemble and write; print the figures."""
    import resource

    detections, estimated = drawn(n)
    before = _memory()
    start = time.perf_counter()
    assembled = assemble_from("bench", "random", True, detections, estimated)
    middle = time.perf_counter()
    write(assembled, estimated, (), folder)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {
        "n": n,
        "columns": len(assembled.about.table("source").columns),
        "assemble_s": middle - start,
        "write_s": end - middle,
        "memory_before_bytes": before,
        "memory_peak_bytes": peak,
    }
    print(json.dumps(figures))


def _memory() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
