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

from wolter.answering.picturing import Layer
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
        tops = [float(np.nanmax(brightness(picture, layer))) for layer, _ in picture.layers]
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


def png(picture: Picture, layer: Layer, stretch: Stretch) -> bytes:
    """PNG of a layer; the first row of the layer is at the bottom."""
    from matplotlib import colormaps  # a second of imports, for which no other page waits

    from wolter.report import style

    shares_HW = stretch.shares(brightness(picture, layer))
    colours_HW4 = colormaps[COLOURS](np.nan_to_num(shares_HW))
    colours_HW4[np.isnan(shares_HW)] = UNSEEN
    times = zoom(picture, layer)
    large_HW4 = colours_HW4[::-1].repeat(times, 0).repeat(times, 1)
    height, width = large_HW4.shape[:2]
    figure = style.new_figure(width / 100, height / 100)
    figure.figimage(large_HW4)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, metadata={"Software": None})
    return stream.getvalue()
