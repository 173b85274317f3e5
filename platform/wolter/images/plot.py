"""Plots of enhanced images: input, result, uncertainty, check, another telescope's image.

Shapes: H and W rows and columns of the input, S H and S W those of the answer.
"""

import math
from pathlib import Path
from typing import Any

import torch

from wolter.files import write_atomically
from wolter.images.evaluate.comparison import Comparison, compare
from wolter.images.evaluate.other_telescope import Other, read_other
from wolter.images.evaluate.panels import Panel, Sky, side_by_side
from wolter.images.evaluate.significant import significant_sources
from wolter.images.predict import Enhanced
from wolter.images.tiling import enlarged
from wolter.report import style
from wolter.xray.imaging.counts_image import CountsImage
from wolter.xray.imaging.excess import NEEDED
from wolter.xray.imaging.scaled_header import scaled_header
from wolter.xray.instruments.pointing import celestial


def other_of(path: Path, picture: CountsImage, scale: int) -> Other:
    """Another telescope's image on the pixels that an answer will have.

    Raises:
        InputError: it shows another part of the sky, or one of the two has no sky coordinates.
    """
    rows, columns = picture.counts_HW.shape
    shape = (scale * rows, scale * columns)
    return read_other(path, celestial(picture.header), shape, scale)


def compared(enhanced: Enhanced, other: Other) -> Comparison:
    """Offset and flux ratio of another telescope's image."""
    needed_HW = enlarged(enhanced.needed_HW, enhanced.scale).numpy()
    return compare(other, enhanced.rate_HW.numpy(), needed_HW, _fine(enhanced))


def draw(enhanced: Enhanced, path: Path, comparison: Comparison | None = None) -> None:
    """Draw input, answer, uncertainty and check; and another telescope's image of the same sky.

    Args:
        enhanced: what to draw.
        path: PNG, PDF or SVG file.
        comparison: with another telescope's image.
    """
    picture, fine = enhanced.picture, enhanced.picture.pixel_arcsec / enhanced.scale
    seen_HW = picture.exposure_HW > 0
    rate_HW = torch.where(seen_HW, picture.counts_HW / picture.exposure_HW, torch.nan)
    place_N2, _ = significant_sources(
        enhanced.rate_HW,
        picture.counts_HW,
        enhanced.expected_HW,
        enhanced.background_HW,
        picture.exposure_HW,
        picture.pixel_arcsec,
    )
    north, east = _compass(_fine(enhanced), enhanced.rate_HW.shape)
    panels = [
        Panel("input", rate_HW.numpy(), "rate", picture.pixel_arcsec),
        Panel(
            enhanced.model_name,
            enhanced.rate_HW.numpy(),
            "rate",
            fine,
            sky=Sky(north, east, place_N2),
        ),
    ]
    if enhanced.lower_HW is not None and enhanced.upper_HW is not None:
        half_HW = ((enhanced.upper_HW - enhanced.lower_HW) / 2).numpy()
        panels.append(Panel("uncertainty (68 %)", half_HW, "rate", fine))
    check_HW = enhanced.check_HW.numpy()
    panels.append(Panel("photons against answer", check_HW, "sigma", picture.pixel_arcsec))
    sources = f"{len(place_N2)} source{'' if len(place_N2) == 1 else 's'}"
    below = f"rings: {sources} that the photons need by {NEEDED:g} sigma"
    if comparison is not None:
        other = comparison.other
        unit = other.unit if other.per_area else f"{other.unit} / pixel of the answer"
        panels.append(Panel(other.name, other.image_HW, "other", fine, unit))
        below += f"; {comparison}"
    figure = side_by_side(panels, Path(picture.file).name, below)
    write_atomically(path, style.to_bytes(figure, path.suffix))


def _fine(enhanced: Enhanced) -> Any:
    """Sky coordinates of the answer's pixels; None where nothing tells them."""
    return celestial(scaled_header(enhanced.picture.header, enhanced.scale))


def _compass(
    world: Any, shape: torch.Size
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Unit vectors (columns, rows) to the north and to the east in the middle of an image."""
    if world is None:
        return None, None
    rows, columns = shape
    x, y = (columns - 1) / 2, (rows - 1) / 2
    ra, dec = (float(each) for each in world.pixel_to_world_values(x, y))
    step = 1 / 3600
    ways = []
    for to in ((ra, dec + step), (ra + step / max(math.cos(math.radians(dec)), 1e-6), dec)):
        column, row = (float(each) for each in world.world_to_pixel_values(*to))
        length = math.hypot(column - x, row - y) or 1.0
        ways.append(((column - x) / length, (row - y) / length))
    return ways[0], ways[1]
