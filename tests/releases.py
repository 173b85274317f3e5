"""Random releases of a catalogue, for tests of what reads them."""

import cdshealpix.nested
import numpy as np
import pyarrow as pa
from astropy.coordinates import Latitude, Longitude
from astropy.units import deg
from tests.pictured import write_pictures

from wolter.answering.quick_look import LookAxis, QuickLook
from wolter.catalogue import files, quick_looks, tables
from wolter.catalogue.columns import Column
from wolter.catalogue.pictures import file
from wolter.catalogue.release import Release
from wolter.catalogue.write import write_release

MODEL = "shapes"
PICTURED = {0: (2e4, 5e4), 3: (3e4,)}  # row of a source -> exposures of its pictures, s
LOOK_AXIS = LookAxis("energy", "keV", "log")
OWN = (
    Column("kt", "temperature", "float", "keV", "phys.temperature", principal=True),
    Column("kt_lolim", "lower end of the 68 % interval", "float", "keV", "stat.min"),
    Column("kt_hilim", "upper end of the 68 % interval", "float", "keV", "stat.max"),
    Column("p_agn", "probability of the class AGN", "float", "", "stat.probability"),
    Column("p_star", "probability of the class star", "float", "", "stat.probability"),
    Column("anomaly", "how unlike the training data", "float", "", "stat.value"),
    *(Column(f"latent_{i}", f"latent {i}", "float", "", "stat.value") for i in range(8)),
)
PUBLISHED = (
    Column(f"{MODEL}_version", "version of the model", "text", "", "meta.version"),
    Column(f"{MODEL}_usable", "1 if the estimate may be used", "short", "", "meta.code.qual"),
    Column(f"{MODEL}_reason", "why it is not usable", "text", "", "meta.note"),
    *OWN,
)


def random_release(root, n=2_000, name="R1", seed=5, made="2026-01-01T00:00:00Z"):
    """A release of `n` sources at random places, of a model that is none; a fifth not usable."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    cell = cdshealpix.nested.lonlat_to_healpix(Longitude(ra * deg), Latitude(dec * deg), 29)
    order = np.argsort(cell)
    ra, dec, cell = ra[order], dec[order], cell[order].astype(np.int64)
    usable = rng.random(n) < 0.8
    version, release = pa.array(["1"] * n), pa.array([name] * n)
    counts = rng.lognormal(4, 1, n)
    own = {column.name: rng.normal(size=n).astype(np.float32) for column in OWN}
    own["p_agn"] = rng.random(n).astype(np.float32)
    own["p_star"] = 1 - own["p_agn"]
    latents = np.stack([own[f"latent_{i}"] for i in range(8)], 1)
    ids = np.arange(n) + 10**12
    reason = np.where(usable, "", "not_explained")
    fixed = {
        "source_id": ids,
        "name": [f"WLT J{i:06d}" for i in range(n)],
        "ra": ra,
        "dec": dec,
        "pos_err": np.full(n, 1.0),
        tables.HEALPIX: cell,
        "n_detections": np.ones(n),
        "best_detection_id": ids + 1,
        "t_first": np.full(n, 55_000.0),
        "t_last": np.full(n, 55_001.0),
        "instrument": ["XMM/EPN/Thin1"] * n,
        "exposure_s": np.full(n, 2e4),
        "counts": counts,
        "net_counts": counts,
    }
    flagged = {f"{MODEL}_version": version, f"{MODEL}_usable": usable, f"{MODEL}_reason": reason}
    hidden = {k: pa.array(v, mask=~usable) for k, v in own.items()}
    detection = {
        **{k: fixed[k] for k in ("source_id", "ra", "dec", "pos_err", "instrument", "exposure_s")},
        "detection_id": ids + 1,
        "observation_id": ["0123456789"] * n,
        "t_start": fixed["t_first"],
        "t_stop": fixed["t_last"],
        "counts": counts,
        "net_counts": counts,
        "record": [f"spectrum-{i}.fits" for i in range(n)],
        "pos_origin": ["drawn at random"] * n,
        "release": release,
    }
    estimate = {
        "detection_id": ids + 1,
        "source_id": ids,
        "model_name": [MODEL] * n,
        "model_version": version,
        "release": release,
        "usable": usable,
        "reason": reason,
        "flags": reason,
        **own,
    }
    source = tables.source(PUBLISHED)
    estimates = tables.estimates(MODEL, "Estimates of a model that is none.", OWN)
    every = (source, tables.DETECTION, tables.IDENTIFICATION, tables.UPPER_LIMIT, estimates)
    rows = {
        "source": {**fixed, **flagged, **hidden, "release": release},
        "detection": detection,
        MODEL: estimate,
        "identification": {column.name: [] for column in tables.IDENTIFICATION.columns},
        "upper_limit": {column.name: [] for column in tables.UPPER_LIMIT.columns},
    }
    arrow = {table.name: _arrow(table, rows[table.name]) for table in every}
    shown = {row: exposures for row, exposures in PICTURED.items() if row < n}
    root.mkdir(parents=True, exist_ok=True)
    pictures = root / f"{name}.pictures"
    arrow["picture"] = write_pictures(pictures, arrow["source"], shown, name)
    every = (*every, tables.PICTURE)
    about = Release(name, made, True, "random sources", every, {}, {MODEL: "1"}, MODEL)

    def more(folder):
        pictures.rename(folder / file.FILE)
        every_other = [look(rng) if i % 2 == 0 else None for i in range(n)]
        looks = quick_looks.encode(every_other)
        why = pa.array(list(reason), pa.string())
        part = quick_looks.Part(MODEL, LOOK_AXIS, ids + 1, why, looks)
        files.write_collection(folder, about, arrow["source"], arrow["detection"], [part])

    return write_release(about, arrow, latents, root, more)


def look(rng, n=8):
    """Quick look at a power law."""
    edges = np.geomspace(0.5, 8, n + 1)
    model = 50 * edges[:-1] ** -1.5
    seen = rng.poisson(model).astype(float)
    return QuickLook(edges, seen, np.full(n, 0.5), 2e4, model, 0.8 * model, 1.2 * model)


def _arrow(table, columns):
    arrays = {
        column.name: pa.array(columns[column.name]).cast(column.arrow, safe=False)
        for column in table.columns
    }
    return pa.table(arrays, schema=table.schema)
