"""Simulated sky scenes: point sources and surface-brightness maps from explicit seeds.

A scene covers the frame of `wolter.xray.instruments.epic_pn_camera` on its fine grid (2 arcsec).
Positions are offsets from the boresight along detector columns and rows, arcsec; fluxes are erg
cm^-2 s^-1 in the band, as they arrive at the telescope. Shapes: N sources, F rows and columns of
the fine grid.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.imaging import shapes
from wolter.xray.instruments import epic_pn_camera as camera

FIELD_ARCSEC = 416 * 4.0  # side of the frame
_FINE = camera.PIXEL_ARCSEC / 2  # of the fine grid
_DEG2 = (FIELD_ARCSEC / 3600) ** 2
TAIL, FAMOUS = 0.2, 30.0  # share of extended scenes that are brighter than most, and how much


@dataclass(frozen=True)
class Scene:
    """Sky scene: point sources and a surface-brightness map.

    Attributes:
        point_N3: x, y (arcsec) and flux of the point sources.
        brightness_FF: flux in every pixel of the fine grid; None where nothing is extended.
        point_spectrum, map_spectrum: names of their spectra in
            `wolter.xray.spectral.fluxes.SPECTRA`.
    """

    point_N3: Tensor
    brightness_FF: Tensor | None = None
    point_spectrum: str = "agn"
    map_spectrum: str = "cluster"

    def with_points(self, point_N3: Tensor) -> "Scene":
        """Scene with additional point sources."""
        return replace(self, point_N3=torch.cat([self.point_N3, point_N3]))

    def dimmed(self, factor: float) -> "Scene":
        """Scene with all fluxes multiplied by a factor."""
        point_N3 = self.point_N3 * self.point_N3.new_tensor([1, 1, factor])
        map_FF = None if self.brightness_FF is None else self.brightness_FF * factor
        return replace(self, point_N3=point_N3, brightness_FF=map_FF)


@dataclass(frozen=True)
class LogNLogS:
    """Broken power law of source numbers: dN/dS = K (S / 1e-14)^-beta1 below the break.

    The defaults are AGN at 0.5-2 keV of the Chandra Deep Field-South (Lehmer et al. 2012, ApJ 752,
    46, table 1).

    Attributes:
        norm: K, per deg^2 and 1e-14 erg cm^-2 s^-1.
        faint, bright: slopes beta1 and beta2 below and above the break.
        break_flux: erg cm^-2 s^-1.
    """

    norm: float = 169.56
    faint: float = 1.49
    bright: float = 2.48
    break_flux: float = 6.0e-15

    def above(self, flux: float | Tensor) -> Tensor:
        """N(>S), sources per deg^2 brighter than a flux."""
        s = torch.as_tensor(flux, dtype=torch.float64) / 1e-14
        b = self.break_flux / 1e-14
        upper = self.norm * b ** (self.bright - self.faint) / (self.bright - 1)
        lower = self.norm / (self.faint - 1)
        beyond = upper * s.clamp(min=b) ** (1 - self.bright)
        faint = lower * (s.clamp(max=b) ** (1 - self.faint) - b ** (1 - self.faint))
        density: Tensor = beyond + faint
        return density

    def draw(self, area_deg2: float, faintest: float, generator: torch.Generator) -> Tensor:
        """Fluxes (N) of the sources in an area, brighter than `faintest`; N is Poisson."""
        total = self.above(faintest)
        n = int(torch.poisson(total * area_deg2, generator))
        number_N = total * torch.rand(n, generator=generator, dtype=torch.float64)  # = N(>S)
        b = self.break_flux / 1e-14
        upper = self.norm * b ** (self.bright - self.faint) / (self.bright - 1)
        lower = self.norm / (self.faint - 1)
        at_break = self.above(self.break_flux)
        bright_N = (number_N.clamp(min=1e-12) / upper) ** (1 / (1 - self.bright))
        base_N = (number_N - at_break).clamp(min=0) / lower + b ** (1 - self.faint)
        faint_N = base_N ** (1 / (1 - self.faint))
        return torch.where(number_N < at_break, bright_N, faint_N).float() * 1e-14


def agn_field(
    generator: torch.Generator, faintest: float = 2e-16, law: LogNLogS | None = None
) -> Scene:
    """AGN all over the frame, by the log N - log S."""
    flux_N = (law or LogNLogS()).draw(_DEG2, faintest, generator)
    unit_N2 = torch.rand(len(flux_N), 2, generator=generator) * camera.FRAME
    position_N2 = (unit_N2 - unit_N2.new_tensor(camera.AXIS_XY)) * camera.PIXEL_ARCSEC
    return Scene(torch.cat([position_N2, flux_N[:, None]], 1))


def bright_agn(generator: torch.Generator) -> Scene:
    """One bright AGN near the axis, where an observation is pointed at it."""
    draw = shapes.Draw(generator)
    flux = draw.log_uniform(1e-13, 3e-11)
    return Scene(torch.tensor([[draw.normal(0, 20), draw.normal(0, 20), flux]]))


def agn_pairs(generator: torch.Generator) -> Scene:
    """Six to twenty close pairs, 4-40 arcsec apart, with flux ratios of 1-10."""
    draw = shapes.Draw(generator)
    n = draw.integer(6, 20)
    middle_N2 = torch.stack([draw.uniforms(n, -660, 560), draw.uniforms(n, -600, 640)], 1)
    apart_N, angle_N = draw.log_uniforms(n, 4, 40), draw.uniforms(n, 0, 2 * math.pi)
    ratio_N, flux_N = draw.log_uniforms(n, 1, 10), draw.log_uniforms(n, 1e-14, 5e-13)
    half_N2 = torch.stack([angle_N.cos(), angle_N.sin()], 1) * apart_N[:, None] / 2
    share_N = ratio_N / (1 + ratio_N)
    first = torch.cat([middle_N2 + half_N2, (flux_N * share_N)[:, None]], 1)
    second = torch.cat([middle_N2 - half_N2, (flux_N * (1 - share_N))[:, None]], 1)
    return Scene(torch.cat([first, second]))


def cluster(generator: torch.Generator) -> Scene:
    """A cluster of galaxies: elliptical beta model, with a cool core, a second one, or neither."""
    draw = shapes.Draw(generator)
    y_F1, x_1F = camera.offsets(2)
    cx, cy = draw.normal(0, 100), draw.normal(0, 100)
    beta, core = draw.uniform(0.5, 0.8), draw.log_uniform(5, 120)
    bulk = shapes.Ellipse.drawn(draw, cx, cy)
    map_FF = bulk.beta_model(x_1F, y_F1, core, beta)
    if draw.chance(0.5):  # a cool core
        cool = draw.log_uniform(0.1, 0.4) * core
        map_FF = map_FF + draw.log_uniform(2, 20) * bulk.beta_model(x_1F, y_F1, cool, beta)
    if draw.chance(0.3):  # a merger
        away, angle = draw.uniform(0.5, 5) * core + 30, draw.uniform(0, 2 * math.pi)
        other = shapes.Ellipse.drawn(draw, cx + away * math.cos(angle), cy + away * math.sin(angle))
        size, level = draw.uniform(0.2, 0.8) * core, draw.log_uniform(0.3, 5)
        map_FF = map_FF + level * other.beta_model(x_1F, y_F1, size, draw.uniform(0.5, 0.8))
    rough = shapes.rough_field(generator, len(y_F1), slope=draw.uniform(2.5, 3.5))
    map_FF = map_FF * (draw.uniform(0, 0.4) * rough).exp()
    return _scaled(map_FF, _flux(draw, 3e-13, 3e-11), "cluster")


def remnant(generator: torch.Generator) -> Scene:
    """A supernova remnant: a dented shell seen in projection, its filaments and its inside."""
    draw = shapes.Draw(generator)
    y_F1, x_1F = camera.offsets(2)
    size = draw.log_uniform(30, 360)
    roam = max(60.0, 400.0 - size)
    x_1F, y_F1 = x_1F - draw.uniform(-roam, roam), y_F1 - draw.uniform(-roam, roam)
    map_FF = shapes.shell(draw, x_1F, y_F1, size, thickness=draw.uniform(0.05, 0.2))
    ridges = shapes.ridged_field(generator, len(y_F1), slope=draw.uniform(2.2, 3.2))
    filaments = draw.uniform(0.2, 1.0)
    map_FF = map_FF * (1 - filaments + filaments * 4 * ridges ** draw.uniform(2, 6))
    return _scaled(map_FF, _flux(draw, 1e-12, 5e-11), "remnant")


def galaxy(generator: torch.Generator) -> Scene:
    """A galaxy: an inclined disc of hot gas, its binaries (N(>S) ~ S^-0.6) and its nucleus."""
    draw = shapes.Draw(generator)
    y_F1, x_1F = camera.offsets(2)
    disc = shapes.Ellipse.drawn(draw, draw.normal(0, 120), draw.normal(0, 120), flattest=0.2)
    scale = draw.log_uniform(20, 120)
    map_FF = (-disc.radius(x_1F, y_F1) / scale).exp()
    rough = shapes.rough_field(generator, len(y_F1), slope=draw.uniform(2.0, 3.0))
    map_FF = map_FF * (draw.uniform(0.3, 1.0) * rough).exp()
    if draw.chance(0.5):  # regions of star formation
        wide = draw.log_uniform(3, 15) / _FINE
        lumps = shapes.lumpy_field(generator, len(y_F1), wide)
        map_FF = map_FF * (draw.uniform(0.5, 1.8) * lumps).exp()
    flux = _flux(draw, 1e-13, 3e-12)
    n = draw.integer(5, 60)
    radius_N = scale * (draw.uniforms(n, 0.02, 1).log() + draw.uniforms(n, 0.02, 1).log()).abs()
    position_N2 = disc.place(radius_N, draw.uniforms(n, 0, 2 * math.pi))
    flux_N = 1e-15 * draw.uniforms(n, 0, 1).clamp(min=1e-2) ** (-1 / 0.6)
    point_N3 = torch.cat([position_N2, flux_N[:, None]], 1)
    nucleus = torch.tensor([[disc.x, disc.y, flux * draw.log_uniform(0.01, 1)]])
    scene = _scaled(map_FF, flux, "galaxy")
    return scene.with_points(torch.cat([point_N3, nucleus]))


def web(generator: torch.Generator) -> Scene:
    """Gas of many scales: a lumpy, ridged medium around one or several centres."""
    draw = shapes.Draw(generator)
    map_FF = _medium(draw, most=4, smallest=10, faintest=0.05)
    rough = shapes.rough_field(generator, len(map_FF), slope=draw.uniform(2.2, 3.4))
    ridges = shapes.ridged_field(generator, len(map_FF), slope=draw.uniform(2.5, 3.5))
    map_FF = map_FF * (draw.uniform(0.5, 1.6) * rough).exp()
    map_FF = map_FF * (0.3 + draw.uniform(0, 3) * ridges ** draw.uniform(2, 5))
    return _scaled(map_FF, _flux(draw, 5e-13, 3e-11), "cluster")


def clumps(generator: torch.Generator) -> Scene:
    """Knots of gas, a few to tens of arcsec wide, in a diffuse medium around one or two centres."""
    draw = shapes.Draw(generator)
    map_FF = _medium(draw, most=2, smallest=20, faintest=0.1)
    rough = shapes.rough_field(generator, len(map_FF), slope=draw.uniform(2.2, 3.4))
    wide = draw.log_uniform(4, 25) / _FINE
    lumps = shapes.lumpy_field(generator, len(map_FF), wide)
    map_FF = map_FF * (draw.uniform(0.2, 1.0) * rough + draw.uniform(0.5, 1.8) * lumps).exp()
    return _scaled(map_FF, _flux(draw, 5e-13, 3e-11), "cluster")


def from_map(generator: torch.Generator, image: Tensor) -> Scene:
    """Any image as a brightness map: turned, moved, mirrored and scaled at random.

    Args:
        generator: random state.
        image: brightness (rows, columns), not negative; its field is 1 to 2 frames wide.
    """
    draw = shapes.Draw(generator)
    size = 2 * camera.FRAME
    map_FF = shapes.resample(draw, image, size, zoom=draw.uniform(1, 2))
    return _scaled(map_FF, _flux(draw, 5e-13, 3e-11), "cluster")


def read_map(path: Path) -> Tensor:
    """Brightness (rows, columns) of the first image in a FITS file, at least 0.

    Raises:
        InputError: missing, not FITS, without an image, or with nothing bright in it.
    """
    from astropy.io import fits

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with fits.open(path, memmap=False) as hdus:
            images = [hdu.data for hdu in hdus if hdu.is_image and np.ndim(hdu.data) == 2]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a readable FITS file ({error}); fetch it again") from error
    if not images:
        raise InputError(f"{path}: no two-dimensional image in this FITS file")
    image = np.nan_to_num(np.asarray(images[0], np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if not (image > 0).any():
        raise InputError(f"{path}: no pixel above 0; give a map of brightness")
    return torch.from_numpy(image.clip(min=0))


def _medium(draw: shapes.Draw, most: int, smallest: float, faintest: float) -> Tensor:
    """Beta models around up to `most` centres, of cores and levels above the least."""
    y_F1, x_1F = camera.offsets(2)
    map_FF = torch.zeros(len(y_F1), len(y_F1))
    for _ in range(draw.integer(1, most)):
        lump = shapes.Ellipse.drawn(draw, draw.normal(0, 200), draw.normal(0, 200), flattest=0.3)
        beta, core = draw.uniform(0.4, 0.8), draw.log_uniform(smallest, 200)
        map_FF += draw.log_uniform(faintest, 1) * lump.beta_model(x_1F, y_F1, core, beta)
    return map_FF


def _flux(draw: shapes.Draw, low: float, high: float) -> float:
    """Log-uniform, with a tail: an archive is full of the sky's brightest."""
    tail = draw.log_uniform(1, FAMOUS) if draw.chance(TAIL) else 1.0
    return draw.log_uniform(low, high) * tail


def _scaled(map_FF: Tensor, flux: float, spectrum: str) -> Scene:
    total = map_FF.sum()
    assert bool(total > 0), "nothing in the frame"
    return Scene(torch.zeros(0, 3), map_FF * (flux / total), map_spectrum=spectrum)


SCENES: Mapping[str, Callable[[torch.Generator], Scene]] = {
    "agn": lambda _: Scene(torch.zeros(0, 3)),  # the field that every scene is given
    "bright": bright_agn,
    "pairs": agn_pairs,
    "cluster": cluster,
    "remnant": remnant,
    "galaxy": galaxy,
    "web": web,
    "clumps": clumps,
}
"""Kinds of scene, without the AGN behind and before them."""
