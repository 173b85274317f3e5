"""Files of a release beside its database: HATS, parquet, samples, looks, pictures and rejects."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from wolter.catalogue import hats, nested, quick_looks, samples, scored, voparquet
from wolter.catalogue.assemble import Assembled, Estimated
from wolter.catalogue.hats import write_hats
from wolter.catalogue.release import Release
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
    pictures: Path | None = None,
) -> Path:
    """Write a release with all its files; return its folder.

    Args:
        assembled: tables of the release.
        estimated: estimates, with their samples and quick looks.
        rejects: record and reason of each that is not in it.
        root: see `wolter.catalogue.release.folder`.
        pictures: file of pictures, which is moved into the release where there is one.
    """
    about = assembled.about

    def more(folder: Path) -> None:
        source = assembled.rows["source"]
        write_voparquet(folder / voparquet.FILE, about, about.table("source"), source)
        listed = {"file": [f for f, _ in rejects], "reason": [why for _, why in rejects]}
        (folder / REJECTS).write_bytes(encode(pa.table(listed, REJECT_SCHEMA)))
        drawn = _samples(assembled, estimated)
        if drawn:
            samples.write_samples(folder / samples.FILE, drawn)
        if pictures is not None and pictures.is_file():
            pictures.rename(folder / pictures.name)
        looks = _looks(assembled, estimated)
        write_collection(folder, about, source, assembled.rows["detection"], looks)

    return write_release(about, assembled.rows, assembled.latents_ML, root, more)


def write_collection(
    folder: Path,
    about: Release,
    source: pa.Table,
    detection: pa.Table,
    parts: Sequence[quick_looks.Part],
) -> None:
    """Write the HATS collection of a release, and where quick looks are in it.

    Args:
        folder: of the release.
        about: description of the release.
        source: rows of that table.
        detection: rows of that table.
        parts: quick looks of each model.
    """
    if not parts:
        write_hats(folder / hats.FOLDER, about, source)
        return
    looks, source_id_M = quick_looks.chosen(parts), source["source_id"].to_numpy()
    nest = nested.nested_looks(looks, detection, source_id_M)
    names, first = write_hats(
        folder / hats.FOLDER, about, source.append_column(nested.COLUMN, nest)
    )
    row_N = nested.rows_of(looks["detection_id"].to_numpy(), detection, source_id_M)
    at_N = np.searchsorted(first, row_N, side="right") - 1
    files = [f"{hats.FOLDER}/{names[at]}" for at in at_N]
    rows = pa.array((row_N - first[at_N]).astype(np.int32))
    quick_looks.write_index(folder / quick_looks.FILE, looks, files, rows)


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
