"""Pictures of a source as its page shows them: layers, marks and words."""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.answering.sky_picture import Layer
from wolter.catalogue.pictures import file
from wolter.catalogue.pictures.file import Picture
from wolter.catalogue.store import Snapshot
from wolter.serve.catalogue.pictures import address
from wolter.serve.picture_png import Stretch, png, way_up, zoom

MOST = 4  # pictures on a page
CIRCLE, BAR = 10, 30  # arcsec
ARROW, CORNER = 22, 42  # pixels
MJD_0 = date(1858, 11, 17)


@dataclass(frozen=True)
class ShownLayer:
    """A layer: PNG (base64), what it is, a caption, and where its files are."""

    png: str
    about: str
    caption: str
    png_url: str
    fits_url: str


@dataclass(frozen=True)
class ShownPicture:
    """A picture with its marks, in pixels of the page from the upper left corner.

    Attributes:
        layers: of the picture, all of one size.
        side: of the square.
        width: of the square, arcmin.
        x, y: position of the source.
        radius: of the circle around it, which has `circle_arcsec`.
        bar: length of the scale bar, which has `bar_arcsec`.
        arrows: path of the arrows to the north and east.
        letters: their letters, and where these stand.
        north: where north is, in words.
        told: of which observation it is, in a sentence.
        highest: brightest colour, ct/s/arcsec2.
    """

    layers: tuple[ShownLayer, ...]
    side: int
    width: str
    x: float
    y: float
    radius: float
    bar: float
    arrows: str
    letters: tuple[tuple[str, float, float], ...]
    north: str
    told: str
    highest: str
    circle_arcsec: int = CIRCLE
    bar_arcsec: int = BAR


def shown_pictures(snapshot: Snapshot, source: Mapping[str, Any]) -> tuple[list[ShownPicture], int]:
    """The first pictures of a source, and the number of the others.

    Args:
        snapshot: an open release.
        source: its row of the table `source`.
    """
    source_id = source["source_id"]
    listed = file.listed(snapshot, [source_id]).get(source_id, [])
    found = file.read(snapshot, listed[:MOST])
    return [_shown(each, source, snapshot.about.name) for each in found], len(listed) - len(found)


def _shown(picture: Picture, source: Mapping[str, Any], release: str) -> ShownPicture:
    coarse, coded = picture.layers[0]
    step = zoom(picture, coarse) * coarse.scale  # of the page for a pixel of scale 1
    side = zoom(picture, coarse) * len(coded.codes_HW)
    held_22, middle = way_up(picture), (side / step - 1) / 2
    row, column = picture.plane.pixels(np.array([source["ra"]]), np.array([source["dec"]]))
    x, y = held_22 @ (float(column[0]) - middle, float(row[0]) - middle) * step
    arcsec = step / picture.plane.pixel_arcsec
    ways = _ways(picture, held_22)
    arrows, letters = _compass(ways, side - CORNER, CORNER)
    stretch = Stretch.of(picture)
    return ShownPicture(
        tuple(_layer(picture, layer, stretch, release) for layer, _ in picture.layers),
        side,
        f"{side / arcsec / 60:.1f}",
        round(side / 2 + float(x), 1),
        round(side / 2 - float(y), 1),
        round(CIRCLE * arcsec, 1),
        round(BAR * arcsec, 1),
        arrows,
        letters,
        _north(ways["N"]),
        _told(picture.facts),
        f"{stretch.highest:.2g}",
    )


def _layer(picture: Picture, layer: Layer, stretch: Stretch, release: str) -> ShownLayer:
    here = f"/v1/catalogue/sources/{picture.facts['source_id']}/pictures"
    model = f"{picture.facts['model_name']} {picture.facts['model_version']}"
    about = layer.about[:1].upper() + layer.about[1:]
    urls = [address(here, picture.number, layer.name, form, release) for form in ("png", "fits")]
    drawn = base64.b64encode(png(picture, layer, stretch)).decode()
    return ShownLayer(drawn, about, about + ("." if layer.counts else f" by {model}."), *urls)


def _ways(picture: Picture, held_22: NDArray[np.int64]) -> dict[str, tuple[float, float]]:
    """Steps to the right and down, of length 1, to the north and to the east."""
    a, b, c, d = picture.plane.cd
    steps = {"N": (-b, a), "E": (d, -c)}
    found = {}
    for name, step in steps.items():
        right, up = held_22 @ step * np.sign(a * d - b * c) / math.hypot(*step)
        found[name] = float(right), -float(up)
    return found


def _compass(
    ways: Mapping[str, tuple[float, float]], x: float, y: float
) -> tuple[str, tuple[tuple[str, float, float], ...]]:
    """Path of arrows from a point, and their letters."""
    path, letters = [], []
    for name, (right, down) in ways.items():
        tip = x + ARROW * right, y + ARROW * down
        back = [
            (tip[0] - 5 * (right + side * down), tip[1] - 5 * (down - side * right))
            for side in (-0.7, 0.7)
        ]
        points = " ".join(f"{at:.1f},{up:.1f}" for at, up in (back[0], tip, back[1]))
        path.append(f"M{x:.1f} {y:.1f}L{tip[0]:.1f} {tip[1]:.1f}M{points}")
        letters.append((name, round(x + 30 * right, 1), round(y + 30 * down, 1)))
    return "".join(path), tuple(letters)


def _north(way: tuple[float, float]) -> str:
    """Where north is: degrees from the top of the picture, to the right."""
    angle = round(math.degrees(math.atan2(way[0], -way[1])))
    if not angle:
        return "north is up"
    return f"north is {abs(angle)}° to the {'right' if angle > 0 else 'left'} of up"


def _told(facts: Mapping[str, Any]) -> str:
    words = [
        facts["instrument"],
        facts["observation_id"] and f"observation {facts['observation_id']}",
    ]
    if facts["t_start"] is not None:
        words.append((MJD_0 + timedelta(days=math.floor(facts["t_start"]))).isoformat())
    words.append(f"{facts['exposure_s'] / 1e3:.3g} ks")
    return ", ".join(word for word in words if word) + "."
