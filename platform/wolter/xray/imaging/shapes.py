"""Shapes of simulated scenes: beta models, shells, random fields; and a random-number source.

Shapes: N draws, F rows and columns of a map; x (1, F) and y (F, 1) in arcsec.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


class Draw:
    """Single random numbers from one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniforms(self, n: int, low: float, high: float) -> Tensor:
        """N uniform numbers."""
        return low + (high - low) * torch.rand(n, generator=self.generator)

    def log_uniforms(self, n: int, low: float, high: float) -> Tensor:
        """N log-uniform numbers."""
        return low * (high / low) ** torch.rand(n, generator=self.generator)

    def uniform(self, low: float, high: float) -> float:
        """One uniform number."""
        return float(self.uniforms(1, low, high))

    def log_uniform(self, low: float, high: float) -> float:
        """One log-uniform number."""
        value: float = low * (high / low) ** self.uniform(0, 1)
        return value

    def normal(self, mean: float, sigma: float) -> float:
        """One normal number."""
        return mean + sigma * float(torch.randn(1, generator=self.generator))

    def integer(self, low: int, high: int) -> int:
        """One whole number, both ends included."""
        return int(torch.randint(low, high + 1, (1,), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return self.uniform(0, 1) < probability


@dataclass(frozen=True)
class Ellipse:
    """Elliptical coordinates.

    Attributes:
        x, y: of the centre, arcsec.
        axis_ratio: minor over major.
        angle: angle of the major axis, radian.
    """

    x: float
    y: float
    axis_ratio: float = 1.0
    angle: float = 0.0

    @classmethod
    def drawn(cls, draw: Draw, x: float, y: float, flattest: float = 0.6) -> "Ellipse":
        """With random axis ratio and angle."""
        return cls(x, y, draw.uniform(flattest, 1), draw.uniform(0, math.pi))

    def radius(self, x_1F: Tensor, y_F1: Tensor) -> Tensor:
        """Elliptical radius (F, F), along the major axis."""
        return self.radius_squared(x_1F, y_F1).sqrt()

    def radius_squared(self, x_1F: Tensor, y_F1: Tensor) -> Tensor:
        """Square of the elliptical radius (F, F)."""
        x, y = x_1F - self.x, y_F1 - self.y
        cos, sin, q2 = math.cos(self.angle), math.sin(self.angle), self.axis_ratio**2
        xx, yy, xy = cos**2 + sin**2 / q2, sin**2 + cos**2 / q2, 2 * cos * sin * (1 - 1 / q2)
        return torch.addcmul(xx * x**2 + yy * y**2, xy * x, y)

    def place(self, radius_N: Tensor, azimuth_N: Tensor) -> Tensor:
        """Positions (N, 2) at elliptical radii and azimuths."""
        major, minor = radius_N * azimuth_N.cos(), self.axis_ratio * radius_N * azimuth_N.sin()
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return torch.stack(
            [self.x + major * cos - minor * sin, self.y + major * sin + minor * cos], 1
        )

    def beta_model(self, x_1F: Tensor, y_F1: Tensor, core: float, beta: float) -> Tensor:
        """Surface brightness [1 + (r / core)^2]^(-3 beta + 1/2) (Cavaliere & Fusco-Femiano)."""
        square = self.radius_squared(x_1F, y_F1)
        return square.div_(core**2).add_(1).log_().mul_(0.5 - 3 * beta).exp_()


def shell(draw: Draw, x_1F: Tensor, y_F1: Tensor, size: float, thickness: float) -> Tensor:
    """A hollow sphere in projection, dented and brighter on one side, with a faint inside.

    The column through a shell between radii a and 1 at radius r is
    2 [(1 - r^2)^(1/2) - (a^2 - r^2)^(1/2)], each root 0 where not real.

    Args:
        draw: of the dents.
        x_1F: columns from the centre, arcsec.
        y_F1: rows from the centre, arcsec.
        size: outer radius, arcsec.
        thickness: thickness of the shell, as a share of it.
    """
    azimuth_FF = torch.atan2(y_F1, x_1F)
    dent_FF = torch.ones_like(azimuth_FF)
    for order in range(2, 7):
        height, phase = draw.normal(0, 0.12 / order), draw.uniform(0, 2 * math.pi)
        dent_FF += height * torch.cos(order * azimuth_FF + phase)
    square_FF = (x_1F**2 + y_F1**2) / (size * dent_FF) ** 2
    outer, inner = (1 - square_FF).clamp(min=0).sqrt(), (1 - thickness) ** 2 - square_FF
    column_FF = outer - inner.clamp(min=0).sqrt()
    side_FF = 1 + draw.uniform(0, 0.9) * torch.cos(azimuth_FF + draw.uniform(0, 2 * math.pi))
    return column_FF * side_FF + draw.uniform(0, 0.3) * thickness * outer


def rough_field(generator: torch.Generator, size: int, slope: float) -> Tensor:
    """Gaussian random field (size, size) of power spectrum k^-slope; mean 0, deviation 1."""
    frequency = torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size) ** 2
    frequency[0, 0] = math.inf
    noise = torch.randn(*frequency.shape, 2, generator=generator)
    spectrum = torch.view_as_complex(noise) * frequency ** (-slope / 4)
    field = torch.fft.irfft2(spectrum, (size, size))
    normal: Tensor = (field - field.mean()) / field.std()
    return normal


def ridged_field(generator: torch.Generator, size: int, slope: float) -> Tensor:
    """Filaments (size, size), 0 to 1: highest along the zero lines of a rough field."""
    return torch.exp(-2 * rough_field(generator, size, slope).abs())


def lumpy_field(generator: torch.Generator, size: int, scale: float) -> Tensor:
    """White noise (size, size) smoothed by a Gaussian of `scale` pixels; mean 0, deviation 1."""
    frequency = torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size) ** 2
    window = torch.exp(-2 * (math.pi * scale) ** 2 * frequency)
    noise = torch.randn(size, size, generator=generator)
    field = torch.fft.irfft2(torch.fft.rfft2(noise) * window, (size, size))
    normal: Tensor = (field - field.mean()) / field.std()
    return normal


def resample(draw: Draw, image: Tensor, size: int, zoom: float) -> Tensor:
    """An image on a square map, turned by any angle, moved and perhaps mirrored.

    Args:
        draw: of the angle, the move and the mirror.
        image: (rows, columns).
        size: rows and columns of the map.
        zoom: width of the image in widths of the map.
    """
    angle, mirror = draw.uniform(0, 2 * math.pi), -1.0 if draw.chance(0.5) else 1.0
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    moved = [draw.uniform(-0.2, 0.2), draw.uniform(-0.2, 0.2)]
    matrix = torch.tensor([[[mirror * cos, -sin, moved[0]], [mirror * sin, cos, moved[1]]]])
    grid = torch.nn.functional.affine_grid(matrix, [1, 1, size, size], align_corners=False)
    source = image.float()[None, None]
    return torch.nn.functional.grid_sample(source, grid, align_corners=False)[0, 0].clamp(min=0)
