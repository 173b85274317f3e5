"""Binning of event lists into counts images, with the exposure of every pixel.

Shapes: N events, H and W rows and columns of an image.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.imaging.counts_image import EVEN, CountsImage, moving_share
from wolter.xray.imaging.epic_pn_exposure import (
    BORESIGHT_DET,
    CORNER_DET,
    NATIVE_STEP,
    OFF_MASK,
    is_epic_pn,
    off_native,
)
from wolter.xray.imaging.events import Axis, Events
from wolter.xray.imaging.field_of_view import unexposed
from wolter.xray.instruments import epic_pn_camera
from wolter.xray.instruments.pointing import detector_step
from wolter.xray.ogip.tables import Array

if TYPE_CHECKING:
    from astropy.io import fits

Coordinates = Literal["detector", "sky"]
MOST_PIXELS = 2**24  # damaged positions must not fill the memory
ROWS = 256  # whose positions are computed at once
_ONE = ("OBS_ID", "OBJECT", "TELESCOP", "INSTRUME", "SUBMODE", "FILTER", "DATE-OBS", "RA_PNT",
        "DEC_PNT", "PA_PNT", "RADESYS", "RADECSYS", "EQUINOX")  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """Pixels over the positions of events.

    Attributes:
        axis: what the positions count.
        lower: X and Y where the first pixel begins.
        step: width of a pixel in the units of X and Y, both positive.
        shape: rows and columns.
        pixel_arcsec: side of a pixel.
        outside_HW: pixels outside the field of view, by the photons of the whole observation; None
            where the instrument's own exposure is known.
    """

    axis: Axis
    lower: tuple[float, float]
    step: float
    shape: tuple[int, int]
    pixel_arcsec: float
    outside_HW: Tensor | None = field(default=None, compare=False)

    def finer(self, scale: int) -> "Grid":
        """Grid of the same field with pixels of 1/scale the side."""
        rows, columns = self.shape
        step, pixel = self.step / scale, self.pixel_arcsec / scale
        outside_HW = self.outside_HW
        if outside_HW is not None:
            outside_HW = outside_HW.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
        shape = rows * scale, columns * scale
        return Grid(self.axis, self.lower, step, shape, pixel, outside_HW)

    def count(self, position_N2: Array) -> Tensor:
        """Events in every pixel (H, W); a pixel holds its lower edge and not its upper one."""
        rows, columns = self.shape
        at_N2 = np.floor((position_N2 - np.array(self.lower)) / self.step)
        column_N, row_N = at_N2.T
        inside_N = (row_N >= 0) & (row_N < rows) & (column_N >= 0) & (column_N < columns)
        flat_N = (row_N * columns + column_N)[inside_N].astype(np.int64)
        counts = np.bincount(flat_N, minlength=rows * columns).reshape(rows, columns)
        return torch.from_numpy(counts.astype(np.float32))

    def centres(self, rows: slice = slice(None)) -> Array:
        """X and Y of the centres of some rows' pixels, (H, W, 2)."""
        y_H, x_W = (
            lower + (np.arange(size) + 0.5) * self.step
            for lower, size in zip(reversed(self.lower), self.shape, strict=True)
        )
        y_H = y_H[rows]
        return np.stack(np.meshgrid(x_W, y_H), -1)

    def header(self) -> "fits.Header":
        """World coordinates of the pixels: the middle of the first pixel is 1 (FITS)."""
        from astropy.io import fits

        header = fits.Header()
        for i in (0, 1):
            header[f"CTYPE{i + 1}"] = self.axis.ctype[i]
            if self.axis.ctype[i].startswith("DET"):  # as the pipeline writes them
                header[f"CRPIX{i + 1}"] = 1.0
                header[f"CRVAL{i + 1}"] = self.lower[i] + self.step / 2
            else:
                header[f"CRPIX{i + 1}"] = (self.axis.crpix[i] - self.lower[i]) / self.step + 0.5
                header[f"CRVAL{i + 1}"] = self.axis.crval[i]
                header[f"CUNIT{i + 1}"] = "deg"
            header[f"CDELT{i + 1}"] = self.axis.cdelt[i] * self.step
        return header


def grid_of(
    events: Events, coordinates: Coordinates = "detector", pixel_arcsec: float = 4.0
) -> Grid:
    """Pixels that cover the field of a whole observation; make it before the list is cut.

    Detector coordinates give EPIC's pixels as the pipeline's images have them: at 4 arcsec, 411 x
    403 of 80 steps. Sky coordinates give all pixels from the first to the last photon.

    Raises:
        InputError: the list has no such coordinates, or they are not EPIC's or not square.
    """
    if coordinates == "detector":
        arcsec = detector_step(events.header)
        if events.detector_N2 is None or arcsec is None:
            raise InputError(
                f"{events.file}: no DETX and DETY of EPIC; use --coordinates sky for this list"
            )
        step = pixel_arcsec / arcsec
        lower = (CORNER_DET[0] - NATIVE_STEP / 2, CORNER_DET[1] - NATIVE_STEP / 2)
        rows, columns = (
            math.ceil(size * NATIVE_STEP / step - 1e-9) for size in epic_pn_camera.NATIVE
        )
        axis = Axis(("DETX", "DETY"), (0.0, 0.0), (0.0, 0.0), (1.0, 1.0))
        return _with_field(Grid(axis, lower, step, (rows, columns), pixel_arcsec), events)
    if events.sky is None:
        raise InputError(
            f"{events.file}: no sky coordinates of X and Y (TCTYP... or REFXCTYP...) in the header"
        )
    width, height = (abs(delta) * 3600 for delta in events.sky.cdelt)
    if abs(width - height) > 1e-3 * height:
        raise InputError(
            f"{events.file}: X and Y count {width:g} and {height:g} arcsec; not square"
        )
    step = pixel_arcsec / width
    low, high = events.sky_N2.min(0), events.sky_N2.max(0)
    # Pixels begin at whole steps from the reference, whichever photons there are.
    first = [math.floor((at - c) / step) for at, c in zip(low, events.sky.crpix, strict=True)]
    last = [math.floor((at - c) / step) for at, c in zip(high, events.sky.crpix, strict=True)]
    columns, rows = (b - a + 1 for a, b in zip(first, last, strict=True))
    if rows * columns > MOST_PIXELS:
        raise InputError(
            f"{events.file}: {columns} x {rows} pixels of {pixel_arcsec:g} arcsec; use larger ones"
        )
    x, y = (c + at * step for at, c in zip(first, events.sky.crpix, strict=True))
    return _with_field(Grid(events.sky, (x, y), step, (rows, columns), pixel_arcsec), events)


def _with_field(grid: Grid, events: Events) -> Grid:
    if events.detector_N2 is not None and is_epic_pn(events.header):
        return grid
    position_N2 = events.detector_N2 if grid.axis.ctype[0] == "DETX" else events.sky_N2
    assert position_N2 is not None
    return replace(grid, outside_HW=unexposed(grid.count(position_N2), grid.pixel_arcsec))


def picture_of(
    events: Events, grid: Grid, spread_HW: Tensor | None = None, mask_HW: Tensor | None = None
) -> CountsImage:
    """Image of the events on a grid, with the exposure of every pixel.

    Without `spread_HW`, EPIC-pn's exposure is that of its CCDs in the list's window, vignetted,
    with the gaps and bad columns of `wolter.xray.instruments.epic_pn_camera`; on the sky it is
    turned by the positions of the photons themselves. Other instruments are taken as evenly
    exposed, and a remark says so.

    Args:
        events: events of a whole observation or a slice.
        grid: grid of the whole observation.
        spread_HW: how the exposure is spread, 1 at its highest.
        mask_HW: pixels to use.

    Raises:
        InputError: no photon, or no exposure, is left; maps of another shape.
    """
    position_N2 = events.detector_N2 if grid.axis.ctype[0] == "DETX" else events.sky_N2
    assert position_N2 is not None, "the grid is that of another list"
    counts_HW, seconds = grid.count(position_N2), events.exposure_s
    if not seconds > 0:
        raise InputError(f"{events.file}: no good time from {events.window[0]:.1f} s on")
    if not bool(counts_HW.any()):
        raise InputError(f"{events.file}: no photon from {events.window[0]:.1f} s on")
    for given in (spread_HW, mask_HW):
        if given is not None and given.shape != counts_HW.shape:
            raise InputError(
                f"{events.file}: images of {_size(counts_HW)} pixels, and a map of {_size(given)}; "
                "give maps on the images' pixels"
            )
    exposure_HW, remarks = _exposure(events, grid, counts_HW, spread_HW)
    if mask_HW is not None:
        exposure_HW = exposure_HW * mask_HW
    counts_HW = torch.where(exposure_HW > 0, counts_HW, 0.0)
    if not bool(counts_HW.any()):
        raise InputError(f"{events.file}: no photon where there is exposure; check the maps")
    header = grid.header()
    for key in _ONE:
        if key in events.header:
            header[key] = events.header[key]
    header["EXPOSURE"] = seconds
    for ccd in sorted(events.times):
        if ccd >= 0:
            header[f"ONTIME{ccd:02d}"] = events.ccd_exposure_s(ccd) / events.live
            header[f"LIVETI{ccd:02d}"] = events.ccd_exposure_s(ccd)
    header["BUNIT"] = "count"
    low, high = (1e3 * energy for energy in events.band_kev)
    header["DSTYP1"], header["DSUNI1"] = "ENERGY", "eV"
    header["DSVAL1"] = f"{low:g}:{high:g}"
    share, streaks, left = moving_share(events.header, grid.axis.ctype[0] == "DETX")
    return CountsImage(
        file=events.file,
        counts_HW=counts_HW,
        exposure_HW=exposure_HW * (1 - share),
        exposure_s=seconds,
        pixel_arcsec=grid.pixel_arcsec,
        axis_yx=_optical_axis(events, grid),
        header=header,
        remarks=(*remarks, *left),
        out_of_time=streaks,
    )


def _optical_axis(events: Events, grid: Grid) -> tuple[float, float] | None:
    """Row and column of EPIC-pn's axis, from the lower left corner; None for other instruments."""
    if events.detector_N2 is None or not is_epic_pn(events.header):
        return None
    axis_2 = BORESIGHT_DET
    if grid.axis.ctype[0] != "DETX":
        axis_2 = _map(events, events.detector_N2, events.sky_N2)(axis_2)
    x, y = (axis_2 - np.array(grid.lower)) / grid.step
    return float(y), float(x)


def _exposure(
    events: Events, grid: Grid, counts_HW: Tensor, spread_HW: Tensor | None
) -> tuple[Tensor, tuple[str, ...]]:
    """Exposure (H, W), and what was assumed."""
    if spread_HW is not None:
        return spread_HW * events.exposure_s, ()
    if events.detector_N2 is None or not is_epic_pn(events.header):
        even_HW = torch.full_like(counts_HW, events.exposure_s)
        if grid.outside_HW is not None:
            even_HW[grid.outside_HW] = 0.0
        return even_HW, (EVEN,)
    exposure_HW, live_HW = _pn_exposure(events, grid)
    share = float(counts_HW[~live_HW].sum() / counts_HW.sum())
    if share <= OFF_MASK:
        return exposure_HW * live_HW, ()
    return exposure_HW, (f"no mask: {share:.0%} of the photons lie off EPIC-pn's live pixels",)


def _pn_exposure(events: Events, grid: Grid) -> tuple[Tensor, Tensor]:
    """Vignetted seconds (H, W) of EPIC-pn without its mask, and the mask."""
    assert events.detector_N2 is not None
    seconds_C = torch.tensor([events.ccd_exposure_s(i + 1) for i in range(epic_pn_camera.N_CCD)])
    energy = math.sqrt(events.band_kev[0] * events.band_kev[1])
    carry = None
    if grid.axis.ctype[0] != "DETX":
        carry = _map(events, events.sky_N2, events.detector_N2)
    parts = []
    for first in range(0, grid.shape[0], ROWS):  # positions of all pixels would fill the memory
        at_HW2 = grid.centres(slice(first, first + ROWS))
        parts.append(off_native(carry(at_HW2) if carry else at_HW2, seconds_C, energy))
    exposures, lives = zip(*parts, strict=True)
    return torch.cat(exposures), torch.cat(lives)


def _map(events: Events, known_N2: Array, image_N2: Array) -> Callable[[Array], Array]:
    """Positions (..., 2) in other coordinates, by the photons' best linear map."""
    middle = known_N2.mean(0)  # keeps the numbers small
    shifted_N3 = np.column_stack([known_N2 - middle, np.ones(len(known_N2))])
    if np.linalg.matrix_rank(shifted_N3) < 3:
        raise InputError(f"{events.file}: too few photons to turn the exposure map by")
    map_32, *_ = np.linalg.lstsq(shifted_N3, image_N2, rcond=None)

    def carry(at: Array) -> Array:
        carried: Array = (at - middle) @ map_32[:2] + map_32[2]
        return carried

    return carry


def _size(image_HW: Tensor) -> str:
    return " x ".join(map(str, image_HW.shape))
