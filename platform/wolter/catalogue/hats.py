"""HATS collection of a release: sources in HEALPix partitions, with a margin and an index.

The layout is that of the Hierarchical Adaptive Tiling Scheme of LSDB: parquet files of the cells of
the sky, split until none holds too many rows; a margin of the rows just outside each of them, so
that matches across borders are found; and an index from the source's identifier to its cell.

Shapes: M sources, D directions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter import __version__
from wolter.catalogue.packing import smallest
from wolter.catalogue.release import Release
from wolter.catalogue.rounding import short_numbers
from wolter.catalogue.tables import HEALPIX

FOLDER = "hats"
PRIMARY = "catalogue"
SPATIAL = "_healpix_29"
MARGIN_ARCSEC = 10.0
ROWS = 250_000  # most rows of a partition
GROUP = 8192  # rows of a row group, all of which are read to find one
MANTISSA = 11  # bits of float32 numbers: 1 part in 4,000
LAST_ORDER = 12
ORDER = 29
DIRECTIONS = 24  # around a source, in which the margin is looked for
VERSION = "v1.0"  # of HATS

Pixel = tuple[int, int]


Places = tuple[list[str], NDArray[np.int64]]
"""Files of partitions below the folder of the collection, and the row at which each begins."""


def write_hats(folder: Path, about: Release, sources: pa.Table, rows: int = ROWS) -> Places:
    """Write the collection of a release's sources into a folder; return where they are.

    Args:
        folder: of the collection.
        about: description of the release.
        sources: rows of the table `source`, in the order of their cells.
        rows: most rows of a partition.
    """
    cell_M = sources[HEALPIX].to_numpy()
    assert (np.diff(cell_M) >= 0).all(), "sources are not in the order of their cells"
    table = sources.rename_columns([SPATIAL if n == HEALPIX else n for n in sources.column_names])
    table = short_numbers(table, MANTISSA)
    pixels, edges = partitions(cell_M, rows)
    margin, index = f"{PRIMARY}_{MARGIN_ARCSEC:.0f}arcs", f"{PRIMARY}_source_id"
    common = {"hats_col_ra": "ra", "hats_col_dec": "dec", "hats_col_healpix": SPATIAL,
              "hats_col_healpix_order": ORDER, "hats_npix_suffix": ".parquet"}  # fmt: skip
    parts = {pixel: np.arange(edges[i], edges[i + 1]) for i, pixel in enumerate(pixels)}
    _write_table(folder / PRIMARY, table, parts)
    own = {"dataproduct_type": "object", "hats_nrows": len(table), "hats_max_rows": rows}
    _properties(folder / PRIMARY / "hats.properties", about, PRIMARY, own | common)
    outside = margins(sources, pixels, edges)
    _write_table(folder / margin, table, outside)
    n = sum(map(len, outside.values()))
    own = {"dataproduct_type": "margin", "hats_nrows": n, "hats_primary_table_url": PRIMARY,
           "hats_margin_threshold": MARGIN_ARCSEC}  # fmt: skip
    _properties(folder / margin / "hats.properties", about, margin, own | common)
    _write_index(folder / index, sources["source_id"].to_numpy(), parts)
    own = {"dataproduct_type": "index", "hats_nrows": len(table),
           "hats_primary_table_url": PRIMARY, "hats_index_column": "source_id"}  # fmt: skip
    _properties(folder / index / "hats.properties", about, index, own)
    whole = {"hats_primary_table_url": PRIMARY, "all_margins": margin, "default_margin": margin,
             "all_indexes": f"source_id {index}", "default_index": "source_id"}  # fmt: skip
    _properties(folder / "collection.properties", about, about.name, whole)
    return [f"{PRIMARY}/dataset/{_file(pixel)}" for pixel in pixels], edges[:-1]


def partitions(cell_M: NDArray[np.int64], rows: int) -> tuple[list[Pixel], NDArray[np.int64]]:
    """Cells (order and number) that hold all sources, and the first source of each and the end.

    Args:
        cell_M: cells of order 29, ascending.
        rows: a cell with more is split.
    """
    waiting = [(0, npix) for npix in range(11, -1, -1)]
    found: list[Pixel] = []
    edges = [0]
    while waiting:
        order, npix = waiting.pop()
        shift = 2 * (ORDER - order)
        ends = np.array([npix << shift, (npix + 1) << shift], np.int64)
        low, high = np.searchsorted(cell_M, ends).tolist()
        if high - low > rows and order < LAST_ORDER:
            waiting += [(order + 1, 4 * npix + child) for child in (3, 2, 1, 0)]
        elif high > low:
            found.append((order, npix))
            edges.append(high)
    return found, np.array(edges, np.int64)


def margins(
    sources: pa.Table, pixels: Sequence[Pixel], edges: NDArray[np.int64]
) -> dict[Pixel, NDArray[np.int64]]:
    """Rows of the sources just outside each partition, by partition; none that has no such row.

    A source is within the margin of a partition if a point at that distance from it, in one of
    `DIRECTIONS`, is in the partition. The distance is a little longer, as the nearest point of the
    border may be between two directions.
    """
    from astropy.coordinates import Latitude, Longitude
    from astropy.units import deg
    from cdshealpix.nested import lonlat_to_healpix

    starts = np.array([npix << (2 * (ORDER - order)) for order, npix in pixels], np.int64)
    ends = np.array([(npix + 1) << (2 * (ORDER - order)) for order, npix in pixels], np.int64)
    ra_M, dec_M = (np.radians(sources[name].to_numpy()) for name in ("ra", "dec"))
    own_M = np.repeat(np.arange(len(pixels)), np.diff(edges))
    radius = np.radians(MARGIN_ARCSEC / 3600) / np.cos(np.pi / DIRECTIONS)
    pairs = []
    for angle in 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        # The point at an angle from north on the great circle: right also at the poles.
        sine = np.sin(dec_M) * np.cos(radius) + np.cos(dec_M) * np.sin(radius) * np.cos(angle)
        dec = np.arcsin(np.clip(sine, -1, 1))
        turn = np.arctan2(
            np.sin(angle) * np.sin(radius) * np.cos(dec_M), np.cos(radius) - np.sin(dec_M) * sine
        )
        longitude, latitude = np.degrees(ra_M + turn) * deg, np.degrees(dec) * deg
        cell = lonlat_to_healpix(Longitude(longitude), Latitude(latitude), ORDER).astype(np.int64)
        at_M = np.searchsorted(starts, cell, side="right") - 1
        other_M = (at_M != own_M) & (at_M >= 0) & (cell < ends[np.maximum(at_M, 0)])
        rows = np.flatnonzero(other_M)
        pairs.append(np.stack([at_M[rows], rows], 1))
    unique = np.unique(np.concatenate(pairs), axis=0)
    return {pixels[p]: unique[unique[:, 0] == p, 1] for p in np.unique(unique[:, 0]).tolist()}


def _write_table(folder: Path, table: pa.Table, parts: Mapping[Pixel, NDArray[np.int64]]) -> None:
    """Write partitions of a table, their list and their metadata."""
    (folder / "dataset").mkdir(parents=True)
    collected: list[Any] = []
    how = smallest(table, GROUP)
    for pixel, rows in parts.items():
        name = _file(pixel)
        file = folder / "dataset" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        own = table.take(pa.array(rows))
        pq.write_table(own, file, GROUP, metadata_collector=collected, **how)
        collected[-1].set_file_path(name)
    _write_metadata(folder, table.schema, collected)
    lines = "".join(f"{order},{npix}\n" for order, npix in parts)
    (folder / "partition_info.csv").write_text(f"Norder,Npix\n{lines}")


def _file(pixel: Pixel) -> str:
    order, npix = pixel
    return f"Norder={order}/Dir={npix // 10_000 * 10_000}/Npix={npix}.parquet"


def _write_metadata(folder: Path, schema: pa.Schema, collected: list[Any]) -> None:
    pq.write_metadata(schema, folder / "dataset" / "_common_metadata")
    pq.write_metadata(schema, folder / "dataset" / "_metadata", collected)


def _write_index(
    folder: Path, source_id_M: NDArray[np.int64], parts: Mapping[Pixel, NDArray[np.int64]]
) -> None:
    """Write the cell of each source, in the order of their identifiers."""
    (folder / "dataset" / "index").mkdir(parents=True)
    sizes = [len(rows) for rows in parts.values()]
    order_M, npix_M = (np.repeat([pixel[i] for pixel in parts], sizes) for i in (0, 1))
    by_id = np.argsort(source_id_M)
    table = pa.table(
        {
            "source_id": source_id_M[by_id],
            "Norder": order_M[by_id].astype(np.uint8),
            "Dir": (npix_M[by_id] // 10_000 * 10_000).astype(np.uint64),
            "Npix": npix_M[by_id].astype(np.uint64),
        }
    )
    collected: list[Any] = []
    name = "index/part.000.parquet"
    path = folder / "dataset" / name
    pq.write_table(table, path, metadata_collector=collected, **smallest(table))
    collected[-1].set_file_path(name)
    _write_metadata(folder, table.schema, collected)


def _properties(path: Path, about: Release, name: str, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = f"simulated: {about.about}" if about.simulated else about.about
    every = {
        "obs_collection": name,
        **values,
        "obs_description": " ".join(told.split()),
        "hats_builder": f"wolter {__version__}",
        "hats_creation_date": f"{about.made[:16]}UTC",
        "hats_version": VERSION,
    }
    path.write_text("#HATS\n" + "".join(f"{key}={value}\n" for key, value in every.items()))
