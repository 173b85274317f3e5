"""PNG of a layer of a picture: brightness in a perceptual colour map, asinh-stretched.

All layers of a picture have one scale of brightness, counts as the rates that they are in the
exposure, so that what was seen and what a model has there can be compared.

Shapes: H and W rows and columns of a layer.
"""

import io
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from wolter.answering.sky_picture import Layer
from wolter.catalogue.pictures.file import Picture

SIDE = 248  # pixels of a PNG, at least about so many
SOFT = 0.5  # counts in a pixel of scale 1, below which colours are even in brightness
COLOURS = "inferno"
UNSEEN = (0.55, 0.55, 0.55, 1.0)  # grey, which the colour map lacks


@dataclass(frozen=True)
class Stretch:
    """Scale of brightness of a picture, ct/s/arcsec2: even up to `soft`, and up to `highest`."""

    soft: float
    highest: float

    @classmethod
    def of(cls, picture: Picture) -> Self:
        """The scale that shows one count in a pixel, and all that is brighter."""
        soft = SOFT / (picture.facts["exposure_s"] * picture.plane.pixel_arcsec**2)
        tops = [
            float(np.nanmax(brightness(picture, layer), initial=0)) for layer, _ in picture.layers
        ]
        return cls(soft, max(soft, *tops))

    def shares(self, brightness_HW: NDArray[np.float64]) -> NDArray[np.float64]:
        """Place (H, W) on the scale, 0 to 1."""
        shares_HW: NDArray[np.float64] = np.arcsinh(brightness_HW / self.soft) / np.arcsinh(
            self.highest / self.soft
        )
        return shares_HW


def brightness(picture: Picture, layer: Layer) -> NDArray[np.float64]:
    """Brightness (H, W) of a layer, ct/s/arcsec2; NaN where nothing was exposed."""
    seconds = picture.facts["exposure_s"] if layer.counts else 1.0
    area = picture.plane_of(layer).pixel_arcsec ** 2
    found_HW: NDArray[np.float64] = picture.values(layer).astype(np.float64) / (seconds * area)
    return found_HW


def zoom(picture: Picture, layer: Layer) -> int:
    """Pixels of the PNG along a side of a pixel of a layer: all layers' PNGs are of one size."""
    most = max(each.scale for each, _ in picture.layers)
    rows = len(picture.layers[0][1].codes_HW) // picture.layers[0][0].scale
    return max(1, round(SIDE / (rows * most))) * (most // layer.scale)


def way_up(picture: Picture) -> NDArray[np.int64]:
    """How a picture is held: (2, 2), from steps to the right and up in its pixels to those shown.

    It is mirrored and turned by right angles, which changes no pixel, so that north is as nearly up
    as can be and east is to the left.
    """
    a, b, c, d = picture.plane.cd
    inverse_22 = np.array([[d, -b], [-c, a]]) / (a * d - b * c)  # from east and north to pixels
    kept = np.array([[1, 0], [0, 1]]), np.array([[0, 1], [1, 0]])
    signs = [np.diag([x, y]) for x in (1, -1) for y in (1, -1)]
    held = [sign @ each for each in kept for sign in signs]
    wanted_22 = np.array([[-1, 0], [0, 1]])
    best: NDArray[np.int64] = max(
        held, key=lambda each: float((wanted_22 * (each @ inverse_22)).sum())
    )
    return best


def shown_as(values_HW: NDArray[np.float64], held_22: NDArray[np.int64]) -> NDArray[np.float64]:
    """A square layer as it is shown, the first row at the top; see `way_up`."""
    turned_HW = values_HW.T if not held_22[0, 0] else values_HW
    across, up = held_22.sum(1)
    return turned_HW[::-up, ::across]


def png(picture: Picture, layer: Layer, stretch: Stretch) -> bytes:
    """PNG of a layer, held as `way_up` says."""
    from matplotlib import colormaps  # a second of imports, for which no other page waits

    from wolter.report import style

    shares_HW = stretch.shares(shown_as(brightness(picture, layer), way_up(picture)))
    colours_HW4 = colormaps[COLOURS](np.nan_to_num(shares_HW))
    colours_HW4[np.isnan(shares_HW)] = UNSEEN
    times = zoom(picture, layer)
    large_HW4 = colours_HW4.repeat(times, 0).repeat(times, 1)
    height, width = large_HW4.shape[:2]
    figure = style.new_figure(width / 100, height / 100)
    figure.figimage(large_HW4)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, metadata={"Software": None})
    return stream.getvalue()
