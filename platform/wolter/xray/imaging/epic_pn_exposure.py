"""Exposure maps of EPIC-pn: CCD live times, vignetting and gaps.

Shapes: H and W rows and columns of an image.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.imaging.exposure_map import check_seconds, header_exposure
from wolter.xray.imaging.field_of_view import unexposed
from wolter.xray.instruments import epic_pn_camera
from wolter.xray.instruments.instrument import of_header
from wolter.xray.instruments.pointing import detector_wcs
from wolter.xray.ogip.tables import Array

if TYPE_CHECKING:
    from astropy.io import fits

CORNER_DET = (-18243.5, -17487.5)  # DETX, DETY of the first pixel of the pipeline's images
NATIVE_STEP = epic_pn_camera.PIXEL_ARCSEC / epic_pn_camera.DETECTOR_ARCSEC
BORESIGHT_DET = (
    np.array(CORNER_DET) + (np.array(epic_pn_camera.BORESIGHT[::-1]) - 0.5) * NATIVE_STEP
)
OFF_MASK = 0.05  # share of the photons in rejected pixels, from which the mask is not the image's
SMALL_WINDOW = 0.71  # live share of its time (XMM-Newton Users' Handbook, section 3.3.2)


def off_native(position_HW2: Array, seconds_C: Tensor, energy_kev: float) -> tuple[Tensor, Tensor]:
    """Vignetted seconds (H, W) of EPIC-pn at DETX and DETY, and which pixels record photons.

    Args:
        position_HW2: DETX and DETY.
        seconds_C: live time of the CCDs 1 to 12.
        energy_kev: energy of the photons, for the vignetting.
    """
    native_HW2 = np.floor((position_HW2 - np.array(CORNER_DET)) / NATIVE_STEP + 0.5)
    native_HW2 = native_HW2.clip(-1e6, 1e6).astype(np.int64)
    column_HW, row_HW = (
        torch.from_numpy(native_HW2[..., i]) + epic_pn_camera.CORNER[1 - i] for i in (0, 1)
    )
    last = epic_pn_camera.FRAME - 1
    inside_HW = (row_HW >= 0) & (row_HW <= last) & (column_HW >= 0) & (column_HW <= last)
    at = (row_HW.clamp(0, last), column_HW.clamp(0, last))
    step_arcmin = epic_pn_camera.DETECTOR_ARCSEC / 60
    away_HW2 = (position_HW2 - BORESIGHT_DET).clip(-1e9, 1e9) * step_arcmin
    theta_HW = torch.from_numpy(np.hypot(away_HW2[..., 0], away_HW2[..., 1]).astype(np.float32))
    vignetting_HW = epic_pn_camera.vignetting(theta_HW, energy_kev)
    exposure_HW = seconds_C[epic_pn_camera.ccd_numbers()[at] - 1] * vignetting_HW
    return exposure_HW * inside_HW, epic_pn_camera.live()[at] & inside_HW


@dataclass(frozen=True)
class EpicPn:
    """An image in EPIC-pn's detector coordinates.

    Attributes:
        position_HW2: DETX and DETY of its pixels.
        axis_yx: row and column of the optical axis, from the lower left corner.
        upright: rows and columns are those of the detector, unturned.
    """

    position_HW2: Array
    axis_yx: tuple[float, float]
    upright: bool

    def exposure(
        self,
        path: Path,
        header: "fits.Header",
        counts_HW: Tensor,
        given_s: float | None,
        pixel_arcsec: float,
    ) -> tuple[Tensor, float, list[str]]:
        """Exposure (H, W), the longest of a CCD on the axis, s, and what was assumed.

        Raises:
            InputError: the header's times make no sense, or there are none.
        """
        seconds_C, longest, remarks = ccd_seconds(path, header, given_s)
        vignetted_HW, live_HW = off_native(self.position_HW2, seconds_C, 1.0)
        share = float(counts_HW[~live_HW].sum() / counts_HW.sum())
        if share > OFF_MASK:
            remarks.append(
                f"no mask: {share:.0%} of the photons lie in the gaps and bad columns of EPIC-pn, "
                "so that all pixels are taken as live"
            )
        else:
            vignetted_HW = vignetted_HW * live_HW
        if _windowed(header):
            vignetted_HW = torch.where(unexposed(counts_HW, pixel_arcsec), 0.0, vignetted_HW)
        return vignetted_HW, longest, remarks


def find(path: Path, header: "fits.Header", shape: tuple[int, ...]) -> EpicPn | None:
    """Locate an image in EPIC-pn detector coordinates; None for other coordinates and instruments.

    Raises:
        InputError: the header's world coordinates make no sense.
    """
    rows, columns = shape
    try:
        wcs = detector_wcs(header) if is_epic_pn(header) else None
    except InputError as error:
        raise InputError(f"{path}: {error}; correct the header") from error
    if wcs is None:
        return _simulated(header, shape)
    row_HW, column_HW = np.mgrid[:rows, :columns].astype(np.float64)
    position_HW2 = np.stack(wcs.wcs_pix2world(column_HW, row_HW, 0), -1)
    x, y = wcs.wcs_world2pix([BORESIGHT_DET], 0)[0] + 0.5
    steps_22 = wcs.pixel_scale_matrix
    turned = np.abs(steps_22[[0, 1], [1, 0]]).max() > 1e-6 * np.abs(steps_22).max()
    upright = not turned and bool((np.diag(steps_22) > 0).all())
    return EpicPn(position_HW2, (float(y), float(x)), upright)


def is_epic_pn(header: "fits.Header") -> bool:
    """True for a header of EPIC-pn."""
    instrument = of_header(header)
    imaging = None if instrument is None else instrument.imaging
    return imaging is not None and imaging.camera is epic_pn_camera


def _simulated(header: "fits.Header", shape: tuple[int, ...]) -> EpicPn | None:
    """Simulated images on the pipeline's pixels: the mask that they were cut by says so."""
    mask = re.fullmatch(r"pn_mask_.*detxy_1x.*", str(header.get("DETMASK", "")).strip())
    if mask is None or shape != epic_pn_camera.NATIVE:
        return None
    row_HW, column_HW = np.mgrid[: shape[0], : shape[1]]
    position_HW2 = np.stack([column_HW, row_HW], -1) * NATIVE_STEP + np.array(CORNER_DET)
    return EpicPn(position_HW2, epic_pn_camera.BORESIGHT, True)


def ccd_seconds(
    path: Path, header: "fits.Header", given_s: float | None
) -> tuple[Tensor, float, list[str]]:
    """Live time of the CCDs 1 to 12, the longest of them, s, and what was assumed.

    `LIVETInn` tells it, or else `ONTIMEnn`, which includes the dead time, as a share of the
    header's EXPOSURE; CCDs without either have EXPOSURE. What the user gives stands for the
    longest.

    Raises:
        InputError: a time makes no sense, or there are none.
    """
    live_C, on_C = (
        [
            _ccd_time(path, header, f"{key}{number:02d}")
            for number in range(1, epic_pn_camera.N_CCD + 1)
        ]
        for key in ("LIVETI", "ONTIME")
    )
    whole = header_exposure(path, header)
    live = any(live_C)
    own_C = live_C if live else on_C
    highest = max([value or 0.0 for value in own_C] + ([] if live else [whole or 0.0]))
    longest = given_s or (min(whole or highest, highest) if live else whole)
    if longest is None:
        raise InputError(f"{path}: no EXPOSURE in the header; give it, in seconds")
    factor = longest / highest if highest else 1.0
    seconds = [longest if value is None else value * factor for value in own_C]
    remarks = []
    small = str(header.get("SUBMODE", "")).strip() == "PrimeSmallWindow"
    if small and not live and any(on_C) and given_s is None and factor > 0.99:
        remarks.append(
            "the exposure seems to include the dead time, and a small window records "
            f"{SMALL_WINDOW:.0%} of it: give the live time"
        )
    return torch.tensor(seconds), check_seconds(longest, f"{path}: exposure"), remarks


def _ccd_time(path: Path, header: "fits.Header", key: str) -> float | None:
    if key not in header:
        return None
    try:
        value = float(header[key])
    except (TypeError, ValueError):
        value = np.nan
    if not 0 <= value <= 1e9:
        raise InputError(f"{path}: {key} = {header[key]}; correct the header")
    return value


def _windowed(header: "fits.Header") -> bool:
    """True for window modes, where a part of the camera is read out."""
    mode = str(header.get("SUBMODE", "")).upper()
    return "WINDOW" in mode and "FULLWINDOW" not in mode
