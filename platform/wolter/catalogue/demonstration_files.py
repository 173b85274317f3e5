"""Files of the demonstration release, which ship with the package.

The files hold facts and estimates of simulated records, as `jobs/publish_demonstration.py` made
them with the pretrained models; the release is assembled from them when it is first asked for.
Every row says that it is simulated, by the name of the release.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wolter.answering.quick_look import LookAxis
from wolter.answering.scoring import FACTS, SampleAxis
from wolter.catalogue.assemble import Detections, Estimated
from wolter.catalogue.build import assemble_from
from wolter.catalogue.demonstration import NAME
from wolter.catalogue.files import write
from wolter.catalogue.quick_looks import packing
from wolter.catalogue.rounding import to_bits
from wolter.errors import InputError
from wolter.outputs import Output

ABOUT = "Demonstration of wolter: sources that are simulated, at places where there are none."
FACTS_FILE, META = "facts.parquet", b"wolter.estimates"
MANTISSA = 11  # bits that are kept of a number: 1 part in 4,000
SHIPPED = Path(str(files("wolter"))) / "catalogue" / "demonstration"


def make(root: Path | None = None, shipped: Path = SHIPPED) -> Path:
    """Make the demonstration from files of the package; return its folder.

    Raises:
        InputError: the release is there, or the package lacks its files.
    """
    if not (shipped / FACTS_FILE).is_file():
        raise InputError(f"{shipped / FACTS_FILE}: missing; install the package anew")
    table = facts(shipped)
    sources = table["source"].to_pylist()
    estimated = [read(file) for file in sorted(shipped.glob("*.estimates.parquet"))]
    detections = Detections(table, sources)
    assembled = assemble_from(NAME, ABOUT, True, detections, estimated)
    return write(assembled, estimated, (), root)


def facts(shipped: Path = SHIPPED) -> pa.Table:
    """Facts of the detections; see `wolter.answering.scoring.FACTS`."""
    return pq.read_table(shipped / FACTS_FILE).cast(FACTS)


def pack(folder: Path, table: pa.Table, estimated: Sequence[Estimated]) -> None:
    """Write facts and estimates as small files.

    Args:
        folder: of the files.
        table: facts with positions, see `wolter.answering.scoring.FACTS`.
        estimated: what each model says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(table.cast(FACTS), folder / FACTS_FILE)
    for each in estimated:
        told = {
            "version": each.version,
            "outputs": [asdict(output) for output in each.outputs],
            "published": each.published,
            "latents": each.latents,
            "axes": [asdict(axis) for axis in each.axes],
            "look_axis": asdict(each.look_axis) if each.look_axis else None,
        }
        rows = pa.array(each.detection_K.astype(np.int32))
        whole = each.table.append_column("detection", rows)
        whole = whole.replace_schema_metadata({META: json.dumps(told).encode()})
        _write(whole, folder / f"{each.model}.estimates.parquet")


def read(file: Path) -> Estimated:
    """Estimates of a model that `pack` wrote."""
    table = pq.read_table(file)
    told = json.loads(table.schema.metadata[META])
    return Estimated(
        file.name.removesuffix(".estimates.parquet"),
        told["version"],
        tuple(Output(**each) for each in told["outputs"]),
        tuple(told["published"]),
        table["detection"].to_numpy().astype(np.int64),
        table.drop_columns(["detection"]),
        tuple(told["latents"]),
        tuple(SampleAxis(**each) for each in told["axes"]),
        LookAxis(**told["look_axis"]) if told["look_axis"] else None,
    )


def _write(table: pa.Table, path: Path) -> None:
    """Write a table, numbers with few bits, so that it is small."""
    floats = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    for name in floats:
        values = table[name].to_numpy()
        exact = values.dtype == np.float64  # of places and times
        values = values.astype(np.float32) if exact else to_bits(values, MANTISSA)
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    words = [f.name for f in table.schema if pa.types.is_string(f.type)]
    packed = packing(pa.schema([field for field in table.schema if pa.types.is_struct(field.type)]))
    split = dict.fromkeys(floats, "BYTE_STREAM_SPLIT")
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=[*words, *packed["use_dictionary"]],
        column_encoding=split | packed["column_encoding"],
        write_statistics=False,
    )


if __name__ == "__main__":
    make(Path(sys.argv[1]))
