"""Chandra spectra as the MultimodalUniverse makes and stores them, from known counts.

Shapes: C channel, G group.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHANNEL_KEV = 0.0146
FIRST, LAST = 35, 547  # of the channels between 0.5 and 8 keV


@dataclass(frozen=True)
class Grouped:
    """A row's spectrum, and the truth behind it."""

    low: np.ndarray
    high: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    counts_G: np.ndarray
    background_G: np.ndarray
    counts_C: np.ndarray
    exposure_s: float


def draw(
    seed: int = 0,
    counts: float = 300.0,
    background: float = 5.0,
    scale: float = 0.05,
    exposure_s: float = 30_000.0,
    gehrels: bool = True,
    least: int = 5,
) -> Grouped:
    """A spectrum with so many counts and background counts, drawn and grouped."""
    random = np.random.default_rng(seed)
    edges_C1 = CHANNEL_KEV * np.arange(FIRST, LAST + 1)
    energy_C = (edges_C1[1:] + edges_C1[:-1]) / 2
    shape_C = energy_C**-1.0 * np.exp(-((energy_C / 4) ** 2) - 0.3 / energy_C**2)
    counts_C = random.poisson(counts * shape_C / shape_C.sum() + background / len(shape_C))
    region_C = random.poisson(np.full(len(shape_C), background / scale / len(shape_C)))
    return group(edges_C1, counts_C, region_C, scale, exposure_s, gehrels, least)


def group(
    edges_C1: np.ndarray,
    counts_C: np.ndarray,
    region_C: np.ndarray,
    scale: float,
    exposure_s: float,
    gehrels: bool = True,
    least: int = 5,
) -> Grouped:
    """Channels grouped up to so many counts each, the scaled background subtracted."""
    index_C, group, held = [], 0, 0
    for count in counts_C:
        index_C.append(group)
        held += count
        if held >= least:
            group, held = group + 1, 0
    begin_G = np.flatnonzero(np.diff(index_C, prepend=-1))
    end_G = np.append(begin_G[1:], len(counts_C))
    low_G, high_G = edges_C1[begin_G], edges_C1[end_G]
    counts_G, region_G = (np.add.reduceat(each, begin_G) for each in (counts_C, region_C))

    def error(n: np.ndarray) -> np.ndarray:
        return 1 + np.sqrt(n + 0.75) if gehrels else np.sqrt(n)

    per = exposure_s * (high_G - low_G)
    errors = np.hypot(error(counts_G), scale * error(region_G)) / per
    rates = (counts_G - scale * region_G) / per
    columns = (each.astype(np.float32) for each in (low_G, high_G, rates, errors))
    return Grouped(*columns, counts_G, scale * region_G, counts_C, exposure_s)


def rows(n: int, **options: Any) -> dict[str, list[Any]]:
    """Columns of `n` rows, as they are in HDF5."""
    drawn = [draw(seed, **options) for seed in range(n)]
    return {
        "name": [f"2CXO J{i:06d}.0+000000" for i in range(n)],
        "object_id": [str(i) for i in range(n)],
        "obsid": [1000 + i for i in range(n)],
        "obi": [0] * n,
        "ra": [10.0 + i for i in range(n)],
        "dec": [-5.0] * n,
        "flux_aper_b": [1e-14 * (i + 1) for i in range(n)],
        "flux_bb_aper_b": [1e-14] * n,
        "flux_significance_b": [4.0 + i for i in range(n)],
        "hard_hm": [0.1] * n,
        "hard_hs": [0.2] * n,
        "hard_ms": [0.3] * n,
        "var_index_b": [1.0] * n,
        "var_prob_b": [0.5] * n,
        "spectrum_ene_lo": [each.low for each in drawn],
        "spectrum_ene_hi": [each.high for each in drawn],
        "spectrum_ene": [(each.low + each.high) / 2 for each in drawn],
        "spectrum_flux": [each.flux for each in drawn],
        "spectrum_flux_err": [each.flux_err for each in drawn],
    }


_HATS = {
    "spectrum_ene": "ene_center_bin",
    "spectrum_ene_hi": "ene_high_bin",
    "spectrum_ene_lo": "ene_low_bin",
    "spectrum_flux": "flux",
    "spectrum_flux_err": "flux_error",
}


def hats_table(columns: dict[str, list[Any]]) -> pa.Table:
    """Table of HATS: the spectrum is a struct of lists, of float32; obsid and obi are lost."""
    kept = {
        name: values for name, values in columns.items() if name not in (*_HATS, "obsid", "obi")
    }
    lists = [pa.array(columns[name], pa.list_(pa.float32())) for name in _HATS]
    spectrum = pa.StructArray.from_arrays(lists, list(_HATS.values()))
    return pa.table({"_healpix_29": pa.array(range(len(spectrum))), **kept, "spectrum": spectrum})


def write_hats(folder: Path, columns: dict[str, list[Any]], partitions: int = 2) -> Path:
    """A HATS catalogue with its margin and the files around them."""
    table = hats_table(columns)
    bounds = np.linspace(0, len(table), partitions + 1).astype(int)
    for name, kind in (("chandra", "object"), ("chandra_10arcs", "margin")):
        dataset = folder / name / "dataset"
        for index, (start, stop) in enumerate(pairwise(bounds)):
            file = dataset / "Norder=2" / "Dir=0" / f"Npix={index}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table[start:stop], file)
        pq.write_table(table[:1], dataset / "data_thumbnail.parquet")
        (folder / name / "hats.properties").write_text(
            f"obs_collection={name}\ndataproduct_type={kind}\n"
        )
        (folder / name / "partition_info.csv").write_text("Norder,Npix,num_rows\n")
    (folder / "collection.properties").write_text("hats_primary_table_url=chandra\n")
    return folder


def write_hdf5(path: Path, columns: dict[str, list[Any]]) -> Path:
    """A file of HDF5: strings as bytes, spectra of variable length in float64."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            if name.startswith("spectrum_"):
                kind = h5py.special_dtype(vlen=np.dtype("float64"))
                data = file.create_dataset(name, (len(values),), dtype=kind)
                for i, value in enumerate(values):
                    data[i] = value
            elif isinstance(values[0], str):
                file.create_dataset(name, data=np.char.encode(values, "utf-8"))
            else:
                file.create_dataset(name, data=np.array(values))
    return path
