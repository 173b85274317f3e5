"""Files of a release beside its database: HATS, parquet, samples, quick looks and rejects."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from wolter.catalogue import hats, nested, quick_looks, samples, scored, voparquet
from wolter.catalogue.assemble import Assembled, Estimated
from wolter.catalogue.hats import write_hats
from wolter.catalogue.nested import nested_looks
from wolter.catalogue.voparquet import write_voparquet
from wolter.catalogue.write import write_release
from wolter.data.integrity import encode
from wolter.data.row_writer import REJECT_SCHEMA
from wolter.data.shards import REJECTS


def write(
    assembled: Assembled,
    estimated: Sequence[Estimated],
    rejects: Sequence[tuple[str, str]],
    root: Path | None = None,
) -> Path:
    """Write a release with all its files; return its folder."""
    about = assembled.about

    def more(folder: Path) -> None:
        source = assembled.rows["source"]
        write_voparquet(folder / voparquet.FILE, about, about.table("source"), source)
        listed = {"file": [f for f, _ in rejects], "reason": [why for _, why in rejects]}
        (folder / REJECTS).write_bytes(encode(pa.table(listed, REJECT_SCHEMA)))
        drawn = _samples(assembled, estimated)
        if drawn:
            samples.write_samples(folder / samples.FILE, drawn)
        looks = _looks(assembled, estimated)
        if looks:
            quick_looks.write(folder / quick_looks.FILE, looks)
            source_id_M, detection = source["source_id"].to_numpy(), assembled.rows["detection"]
            nest = nested_looks(folder / quick_looks.FILE, detection, source_id_M)
            source = source.append_column(nested.COLUMN, nest)
        write_hats(folder / hats.FOLDER, about, source)

    return write_release(about, assembled.rows, assembled.latents_ML, root, more)


def _samples(assembled: Assembled, estimated: Sequence[Estimated]) -> list[samples.Part]:
    return [
        samples.Part(
            each.model,
            each.axes,
            assembled.detection_id_N[each.detection_K],
            each.table[scored.SAMPLES].combine_chunks(),
        )
        for each in estimated
        if each.axes
    ]


def _looks(assembled: Assembled, estimated: Sequence[Estimated]) -> list[quick_looks.Part]:
    return [
        quick_looks.Part(
            each.model,
            each.look_axis,
            assembled.detection_id_N[each.detection_K],
            each.table["reason"].combine_chunks().cast(pa.string()),
            each.table[scored.LOOK].combine_chunks(),
        )
        for each in estimated
        if each.look_axis is not None and scored.LOOK in each.table.column_names
    ]
