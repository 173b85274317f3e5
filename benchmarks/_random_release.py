"""A release of random sources of about 35 columns, for races of what queries it."""

from pathlib import Path

import cdshealpix.nested
import numpy as np
import pyarrow as pa
from astropy.coordinates import Latitude, Longitude
from astropy.units import deg

from wolter.catalogue import release as releases
from wolter.catalogue import tables
from wolter.catalogue.columns import Column
from wolter.catalogue.release import Release
from wolter.catalogue.write import write_release

MODEL = "made"
LATENTS = 8
NUMBERS = ("kt", "kt_lolim", "kt_hilim", "flux", "p_a", "p_b", "anomaly")
OWN = (
    *(Column(name, f"{name} of a model that is none", "float") for name in NUMBERS),
    *(Column(f"latent_{i}", f"latent {i}", "float") for i in range(LATENTS)),
)
PUBLISHED = (
    Column(f"{MODEL}_version", "version of the model", "text"),
    Column(f"{MODEL}_usable", "1 if the estimate may be used", "short"),
    Column(f"{MODEL}_reason", "why it is not usable", "text"),
    *OWN,
)


def write_random_release(root: Path, n: int, name: str = "R1", seed: int = 0) -> Path:
    """Write a release of `n` sources over the whole sky, and make it current."""
    rng = np.random.default_rng(seed)
    ra_N, dec_N = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    cell_N = cdshealpix.nested.lonlat_to_healpix(Longitude(ra_N * deg), Latitude(dec_N * deg), 29)
    order_N = np.argsort(cell_N)
    own = {column.name: rng.normal(size=n).astype(np.float32) for column in OWN}
    latents_NL = np.stack([own[f"latent_{i}"] for i in range(LATENTS)], 1)
    usable_N = rng.random(n) < 0.8
    id_N = np.arange(n) + 10**12
    columns = {
        "source_id": id_N,
        "name": np.char.add("WLT J", id_N.astype(str)),
        "ra": ra_N[order_N],
        "dec": dec_N[order_N],
        tables.HEALPIX: cell_N[order_N].astype(np.int64),
        "best_detection_id": id_N,
        f"{MODEL}_usable": usable_N,
        f"{MODEL}_reason": np.where(usable_N, "", "not_explained"),
        **{key: pa.array(values, mask=~usable_N) for key, values in own.items()},
    }
    source = tables.source(PUBLISHED)
    words = {"release": name, "instrument": "XMM/EPN/Thin1", f"{MODEL}_version": "1"}
    arrays = [_array(column, columns, words, n, rng) for column in source.columns]
    about = Release(name, "2026-01-01T00:00:00Z", True, "random sources", (source,), {}, {}, MODEL)
    rows = {"source": pa.Table.from_arrays(arrays, schema=source.schema)}
    path = write_release(about, rows, latents_NL, root)
    releases.make_current(name, root)
    return path


def _array(column, columns, words, n, rng):  # type: ignore[no-untyped-def]
    if column.name in columns:
        return pa.array(columns[column.name]).cast(column.arrow, safe=False)
    if column.datatype == "text":
        return pa.array([words.get(column.name, "")] * n, pa.string())
    return pa.array(rng.lognormal(4, 1, n)).cast(column.arrow, safe=False)
