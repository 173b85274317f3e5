"""Observations of a made-up sky of stars: tiles of images that know where they lie."""

import math
from pathlib import Path

import numpy as np
import torch
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from wolter.data.row_writer import RowWriter
from wolter.images.pair_tiles import Tiling, pair_table
from wolter.images.pairs import Pair
from wolter.images.schema import ImageSpec
from wolter.xray.imaging.counts_image import CountsImage
from wolter.xray.imaging.tangent_plane import NUMBERS

PIXEL = 4.0  # arcsec
STAR = 3_000.0  # photons
CORE = 1.3  # sigma of a star, pixels
MJD = 58_000.0


def header(ra: float, dec: float, angle: float, size: int, **words: object) -> fits.Header:
    """Header of a square image around a position, its rows at an angle from north."""
    turn, step = math.radians(angle), PIXEL / 3600
    cards = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg",
        "CRVAL1": ra, "CRVAL2": dec, "CRPIX1": size / 2 + 0.5, "CRPIX2": size / 2 + 0.5,
        "CD1_1": -step * math.cos(turn), "CD1_2": step * math.sin(turn),
        "CD2_1": step * math.sin(turn), "CD2_2": step * math.cos(turn), "LONPOLE": 180.0,
        "RADESYS": "ICRS", "TELESCOP": "XMM", "INSTRUME": "EPN", "FILTER": "Thin1",
        "OBS_ID": "0000000001",
    }  # fmt: skip
    made = fits.Header(cards)
    for key, value in words.items():
        if value is None:
            del made[key]
        else:
            made[key] = value
    return made


def picture(
    header: fits.Header, stars: list[tuple[float, float]], size: int, exposure_s: float = 2e4
) -> CountsImage:
    """Image of stars of `STAR` photons, whole counts without noise, and a faint background."""
    row_HW, column_HW = np.mgrid[:size, :size]
    counts_HW = np.zeros((size, size))
    counts_HW[::5, ::7] = 1
    if "CTYPE1" in header:
        x_N, y_N = WCS(header).world_to_pixel(SkyCoord(stars, unit="deg"))
        for x, y in zip(np.atleast_1d(x_N), np.atleast_1d(y_N), strict=True):
            away_HW = (row_HW - y) ** 2 + (column_HW - x) ** 2
            peak = STAR / (2 * math.pi * CORE**2)
            counts_HW += np.rint(peak * np.exp(-away_HW / (2 * CORE**2)))
    photons_HW = torch.from_numpy(counts_HW.astype(np.float32))
    exposure_HW = torch.full((size, size), exposure_s)
    exposure_HW[:, -2:] = 0  # a gap
    photons_HW[:, -2:] = 0
    return CountsImage("sky.fits", photons_HW, exposure_HW, exposure_s, PIXEL, None, header)


def dataset(
    folder: Path, pictures: list[CountsImage], tile: int = 48, overlap: int = 16, old: bool = False
) -> Path:
    """A dataset of the tiles of images.

    Args:
        folder: of the dataset.
        pictures: each is its own target.
        tile: rows and columns of a tile.
        overlap: of neighbouring tiles.
        old: without the columns that say where tiles lie.
    """
    folder.mkdir(parents=True)
    writer, tiling = RowWriter(folder), Tiling(tile, overlap)
    for i, each in enumerate(pictures):
        words = {"source_id": f"observation {i}", "parent": f"observation {i}"}
        seconds = each.exposure_s / 86_400
        table = pair_table(Pair(each, each, MJD, MJD + seconds), i, tiling, words)
        if old:
            table = table.drop_columns([*NUMBERS, "observation_id", "t_start", "t_stop"])
        writer.add(table)
    spec = ImageSpec(shape=(tile, tile), scale=1, pixel_arcsec=PIXEL, exposure_s=(1e4, 1e5))
    return writer.finish("images", spec, {}).path
