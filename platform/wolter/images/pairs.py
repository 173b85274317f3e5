"""Disjoint real image pairs: slices of event lists, or a short and a long image.

Shapes: H and W rows and columns of an image; M intervals of good time.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.imaging.band import band_of, same_band
from wolter.xray.imaging.binning import Coordinates, grid_of, picture_of
from wolter.xray.imaging.counts_image import CountsImage
from wolter.xray.imaging.events import Events
from wolter.xray.instruments.pointing import farthest
from wolter.xray.ogip import dates, gti
from wolter.xray.ogip.gti import GoodTimes
from wolter.xray.ogip.tables import Array, open_fits

if TYPE_CHECKING:
    from astropy.io import fits

HELD, APART = 0.99, 1e-3  # shares of good time in common: all of it but rounding, and none
SAME_PIXELS = 0.01  # pixels by which images of a pair may lie apart


@dataclass(frozen=True)
class Pair:
    """Input and target of the same sky; the target's pixels may be finer.

    Attributes:
        input: short image.
        target: long image.
        t_start, t_stop: begin and end of the input's good time, MJD, UTC; NaN where not known.
    """

    input: CountsImage
    target: CountsImage
    t_start: float = math.nan
    t_stop: float = math.nan


@dataclass(frozen=True)
class Cutting:
    """Configuration of the time slicing of event lists.

    Attributes:
        exposure_s: exposure of the input.
        target_exposure_s: exposure of the target; None: all the rest of the observation.
        most: pairs of an observation at most.
        coordinates: coordinates of the images, "detector" or "sky".
        pixel_arcsec: side of an input pixel.
        scale: target pixels along a side of an input pixel.
    """

    exposure_s: float = 20_000.0
    target_exposure_s: float | None = None
    most: int = 1
    coordinates: Coordinates = "detector"
    pixel_arcsec: float = 4.0
    scale: int = 1


def pairs_of_events(
    events: Events,
    cutting: Cutting,
    spread_HW: Tensor | None = None,
    mask_HW: Tensor | None = None,
) -> list[Pair]:
    """Split an observation in time into disjoint inputs and targets.

    Args:
        events: events of the whole observation.
        cutting: how long and what images.
        spread_HW: how the exposure is spread over the input's pixels; see `picture_of`.
        mask_HW: which of them to use.

    Raises:
        InputError: the observation is shorter than input and target, or has no such coordinates.
    """
    grid = grid_of(events, cutting.coordinates, cutting.pixel_arcsec)
    fine = grid.finer(cutting.scale)
    maps = (spread_HW, mask_HW)
    fine_maps = tuple(_enlarged(each, cutting.scale) for each in maps)
    wanted = cutting.exposure_s + (cutting.target_exposure_s or 0.0)
    pairs = []
    for block in events.slices(wanted, cutting.most):
        first = block.slices(cutting.exposure_s, 1)[0]
        if cutting.target_exposure_s is None:
            whole, part = (picture_of(each, fine, *fine_maps) for each in (events, first))
            target = without(whole, part)
        else:
            later = block.between(first.window[1], block.window[1])
            target = picture_of(later, fine, *fine_maps)
        good_M2 = gti.within(gti.longest(events.times), first.window)
        times = _times(events.header, good_M2)
        pairs.append(Pair(picture_of(first, grid, *maps), target, *times))
    if not pairs:
        raise InputError(
            f"{events.file}: {events.exposure_s:.0f} s of good exposure in all, {wanted:.0f} s "
            "wanted; use a shorter --exposure"
        )
    return pairs


def _enlarged(image_HW: Tensor | None, scale: int) -> Tensor | None:
    if image_HW is None:
        return None
    return image_HW.repeat_interleave(scale, 0).repeat_interleave(scale, 1)


def pair_of_images(short: CountsImage, long: CountsImage) -> Pair:
    """Pair of two images of one observation, by the photons that they share.

    By their good time intervals the long image either holds the short one's time, and then every
    pixel must hold the short one's photons, which are taken away from the target; or none of it.
    Without intervals, every pixel must hold the short one's photons.

    Raises:
        InputError: other pixels or another band, or it is not clear which photons the images
            share.
    """
    _same_pixels(short, long)
    _same_band(short, long)
    fewer = int((long.counts_HW < short.counts_HW).sum())
    own, other = _good_times(Path(short.file)), _good_times(Path(long.file))
    times = _times(short.header, gti.longest(own))
    share = _shared_time(own, other)
    if share is not None and share <= APART:
        return Pair(short, long, *times)
    if share is not None and share < HELD:
        raise InputError(
            f"{short.file}: {share:.0%} of its time is in {long.file} too; give images that share "
            "all of their time or none"
        )
    if fewer:
        raise InputError(
            f"{short.file}: {fewer} of its pixels hold more photons than those of {long.file}, so "
            "that it is not clear which ones they share; give event lists"
        )
    return Pair(short, without(long, short), *times)


def without(whole: CountsImage, part: CountsImage) -> CountsImage:
    """The photons and the exposure of an image that are not those of a part of it.

    Raises:
        InputError: nothing is left, of the photons or of the exposure.
    """
    exposure_HW = (whole.exposure_HW - part.exposure_HW).clamp_min(0)
    # What rounding leaves of a pixel's exposure is none.
    exposure_HW = torch.where(exposure_HW > 1e-5 * whole.exposure_HW, exposure_HW, 0.0)
    counts_HW = (whole.counts_HW - part.counts_HW) * (exposure_HW > 0)
    assert bool((counts_HW >= 0).all()), "not a part of the image"
    seconds = whole.exposure_s - part.exposure_s
    if seconds <= 0 or not bool(counts_HW.any()):
        raise InputError(
            f"{part.file}: nothing is left for a target after its {part.exposure_s:.0f} s; "
            "give a longer observation"
        )
    return replace(whole, counts_HW=counts_HW, exposure_HW=exposure_HW, exposure_s=seconds)


def _same_pixels(one: CountsImage, other: CountsImage) -> None:
    shape = tuple(one.counts_HW.shape)
    if shape != other.counts_HW.shape:
        raise InputError(f"{one.file}: its pixels are not those of {other.file}; bin them alike")
    far = farthest(one.header, other.header, shape)
    if far is not None and not far <= SAME_PIXELS:
        raise InputError(
            f"{one.file}: its pixels lie {far:.4g} pixels away from those of {other.file}; bin "
            "them alike"
        )


def _same_band(one: CountsImage, other: CountsImage) -> None:
    bands = band_of(one.header), band_of(other.header)
    if bands[0] is not None and bands[1] is not None and not same_band(bands[0], bands[1]):
        told = " and ".join(f"{low:g}-{high:g} keV" for low, high in (bands[0], bands[1]))
        raise InputError(f"{one.file}: no pair with {other.file}: photons of {told}")


def _shared_time(own: GoodTimes, other: GoodTimes) -> float | None:
    """Share of good time that is in the other, too; None where not known."""
    ccds = sorted(own.keys() & other.keys())
    total = sum(gti.length(own[ccd]) for ccd in ccds)
    if not total:
        return None
    return sum(gti.common(own[ccd], other[ccd]) for ccd in ccds) / total


def _times(header: "fits.Header", good_M2: Array) -> tuple[float, float]:
    """Begin and end of good time, or else of the observation, MJD, UTC; NaN where not known."""
    if len(good_M2):
        ends = good_M2[0, 0], good_M2[-1, 1]
        start, stop = (dates.mjd_of_clock(header, float(end)) for end in ends)
        if not math.isnan(start):
            return start, stop
    return dates.mjd_of_date(header, "DATE-OBS"), dates.mjd_of_date(header, "DATE-END")


def _good_times(path: Path) -> GoodTimes:
    with open_fits(path) as hdus:
        return gti.read_good_times(path, list(hdus))
