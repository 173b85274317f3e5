"""Pictures of the sources of random releases: stars of a model that is none."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from wolter.answering.sky_picture import PLACES, Layer
from wolter.catalogue.pictures import scored
from wolter.catalogue.pictures.cut import Made, cut_pictures
from wolter.catalogue.score import ModelRef
from wolter.xray.imaging.tangent_plane import TangentPlane

LAYERS = (
    Layer("photons", "photons", "count", True),
    Layer("sharper", "rate of the sources", "ct/s", False, 2),
)
SIZE, PIXEL, TURN = 41, 4.0, 30.0  # pixels, arcsec, deg from north to the rows, by the east


def write_pictures(path: Path, source: pa.Table, of: dict[int, tuple[float, ...]], name: str):
    """Write pictures of some sources; return their rows of the table `picture`.

    Args:
        path: of the file.
        source: rows of that table.
        of: row of a source -> exposure of each observation of it.
        name: of the release.
    """
    places, pictures = [], []
    for row, exposures in of.items():
        ra, dec = source["ra"][row].as_py(), source["dec"][row].as_py()
        for i, exposure_s in enumerate(exposures):
            places.append(_place(ra, dec, str(i), exposure_s))
            pictures.append({layer.name: _star(layer, exposure_s) for layer in LAYERS})
    with TemporaryDirectory() as folder:
        file = Path(folder) / "shard.parquet"
        scored.write(file, pa.Table.from_pylist(places, PLACES), LAYERS, pictures)
        made = Made(ModelRef("sharpener", "3", ""), LAYERS, (file,))
        return cut_pictures(path, [made], source, name)


def _place(ra: float, dec: float, observation: str, exposure_s: float) -> dict:
    turn, step = np.radians(TURN), PIXEL / 3600
    east, north = step * np.cos(turn), step * np.sin(turn)
    plane = TangentPlane((ra, dec), (21.0, 21.0), (-east, north, north, east))
    return {
        "record": "a tile",
        "reason": "",
        "observation_id": observation,
        "instrument": "XMM/EPN/Thin1",
        "t_start": 55_000.25,
        "t_stop": 55_000.5,
        "exposure_s": exposure_s,
        "rows": SIZE,
        "columns": SIZE,
        **plane.numbers,
    }


def _star(layer: Layer, exposure_s: float) -> np.ndarray:
    middle, sigma = (SIZE * layer.scale - 1) / 2, 1.5 if layer.counts else 1.2
    away_HW = np.hypot(*(np.indices((SIZE * layer.scale,) * 2) - middle))
    star_HW = 60 * np.exp(-0.5 * (away_HW / sigma) ** 2)
    if layer.counts:
        star_HW = np.random.default_rng(0).poisson(star_HW + 0.05).astype(float)
    else:
        star_HW = star_HW / exposure_s + 1e-8
    star_HW[:, -8 * layer.scale :] = np.nan
    return star_HW.astype(np.float32)
