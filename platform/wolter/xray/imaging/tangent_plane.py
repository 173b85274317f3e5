"""Tangent-plane sky coordinates of pixels: a FITS WCS (RA---TAN, DEC--TAN) in ICRS, as ten numbers.

Shapes: N positions, P planes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUMBERS = ("crval1", "crval2", "crpix1", "crpix2", "cd1_1", "cd1_2", "cd2_1", "cd2_2")
"""Names of the numbers of a plane, in their order: the FITS keywords in lower case."""
SAMPLES = 5  # pixels along a side, by which a plane is fitted
MOST_OFF = 0.05  # of a pixel, by which a plane may be wrong


@dataclass(frozen=True)
class TangentPlane:
    """Sky coordinates of pixels by the tangent projection, deg (Calabretta and Greisen 2002).

    Attributes:
        crval: right ascension and declination of the point where the plane touches, deg, ICRS.
        crpix: column and row of that point; the middle of the first pixel is 1 (FITS).
        cd: CD1_1, CD1_2, CD2_1, CD2_2: steps eastwards and northwards of a column and a row, deg.
    """

    crval: tuple[float, float]
    crpix: tuple[float, float]
    cd: tuple[float, float, float, float]

    @classmethod
    def of(cls, sky: Any, row: int, column: int, shape: tuple[int, int]) -> Self | None:
        """Plane of a part of an image, which it touches in the middle.

        Args:
            sky: celestial coordinates of the image (astropy's WCS), in any frame and projection.
            row: of the image, that is the part's first.
            column: of the image, that is the part's first.
            shape: rows and columns of the part.

        Returns:
            The plane; None where the sky is not known throughout the part, or is so curved there
            that a plane is wrong by `MOST_OFF` of a pixel.
        """
        rows, columns = shape
        x_N, y_N = (
            each.ravel()
            for each in np.meshgrid(
                np.linspace(0, columns - 1, SAMPLES), np.linspace(0, rows - 1, SAMPLES)
            )
        )
        try:
            place = sky.pixel_to_world(x_N + column, y_N + row).icrs
        except (ValueError, TypeError, AttributeError, ArithmeticError):
            return None  # no frame that leads to ICRS
        ra_N, dec_N = np.asarray(place.ra.deg), np.asarray(place.dec.deg)
        if not (np.isfinite(ra_N).all() and np.isfinite(dec_N).all()):
            return None
        middle = len(ra_N) // 2
        crval = float(ra_N[middle]), float(dec_N[middle])
        xi_N, eta_N = standard(np.array(crval), ra_N, dec_N)
        if not np.isfinite(xi_N).all():
            return None
        design_N3 = np.stack([x_N + 1, y_N + 1, np.ones_like(x_N)], 1)
        found_32, *_ = np.linalg.lstsq(design_N3, np.stack([xi_N, eta_N], 1), rcond=None)
        cd_22, offset_2 = found_32[:2].T, found_32[2]
        if np.linalg.matrix_rank(cd_22) < 2:
            return None
        crpix_2 = -np.linalg.solve(cd_22, offset_2)
        numbers = (*crval, *crpix_2.tolist(), *cd_22.ravel().tolist())
        plane = cls.from_numbers(dict(zip(NUMBERS, numbers, strict=True)))
        row_N, column_N = plane.pixels(ra_N, dec_N)
        off = float(np.hypot(row_N - y_N, column_N - x_N).max())
        return plane if off <= MOST_OFF else None

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, float]) -> Self:
        """The plane of numbers by their names; see `NUMBERS`."""
        values = [float(numbers[name]) for name in NUMBERS]
        return cls(
            (values[0], values[1]),
            (values[2], values[3]),
            (values[4], values[5], values[6], values[7]),
        )

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers by their names; see `NUMBERS`."""
        return dict(zip(NUMBERS, (*self.crval, *self.crpix, *self.cd), strict=True))

    @property
    def pixel_arcsec(self) -> float:
        """Side of a pixel."""
        a, b, c, d = self.cd
        return 3600 * math.sqrt(abs(a * d - b * c))

    @property
    def cards(self) -> dict[str, float | str]:
        """FITS keywords and values."""
        numbers = {name.upper(): value for name, value in self.numbers.items()}
        return {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CUNIT1": "deg",
            "CUNIT2": "deg",
            **numbers,
            "LONPOLE": 180.0,  # which the standard's default is not where CRVAL2 is 90
            "RADESYS": "ICRS",
        }

    def pixels(self, ra_N: Array, dec_N: Array) -> tuple[Array, Array]:
        """Rows and columns (N) of positions; the middle of the first pixel is 0.

        NaN for positions more than 90 degrees away.
        """
        return pixels_of(np.array([list(self.numbers.values())]), ra_N, dec_N)

    def cut(self, row: float, column: float) -> Self:
        """The plane of a part whose first pixel is at a row and column, from 0."""
        return replace(self, crpix=(self.crpix[0] - column, self.crpix[1] - row))

    def finer(self, scale: int) -> Self:
        """The plane of `scale` times as many pixels along each side."""
        x, y = ((each - 0.5) * scale + 0.5 for each in self.crpix)
        a, b, c, d = (each / scale for each in self.cd)
        return replace(self, crpix=(x, y), cd=(a, b, c, d))


def pixels_of(numbers_P8: Array, ra_N: Array, dec_N: Array) -> tuple[Array, Array]:
    """Rows and columns (N) of positions in planes of their own.

    Args:
        numbers_P8: of the planes, one each, or one of all; see `NUMBERS`.
        ra_N: deg.
        dec_N: deg.

    Returns:
        Rows and columns; the middle of the first pixel is 0. NaN for positions more than 90 degrees
        from where the plane touches.
    """
    xi_N, eta_N = standard(numbers_P8[:, :2].T, ra_N, dec_N)
    crpix1, crpix2, a, b, c, d = numbers_P8[:, 2:].T
    area = a * d - b * c
    column_N = (d * xi_N - b * eta_N) / area + crpix1 - 1
    row_N = (a * eta_N - c * xi_N) / area + crpix2 - 1
    return row_N, column_N


def standard(crval: Array, ra_N: Array, dec_N: Array) -> tuple[Array, Array]:
    """Standard coordinates (N) of positions in the plane that touches the sky at `crval`, deg.

    They grow eastwards and northwards; NaN for positions more than 90 degrees away.
    """
    ra0, dec0 = np.radians(crval)
    east_N, dec = np.radians(ra_N) - ra0, np.radians(dec_N)
    cosine_N = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(east_N)
    cosine_N = np.where(cosine_N > 0, cosine_N, np.nan)
    xi_N = np.cos(dec) * np.sin(east_N) / cosine_N
    eta_N = (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(east_N)) / cosine_N
    return np.degrees(xi_N), np.degrees(eta_N)
