"""Image simulation through the EPIC-pn telescope: expected counts and pairs of photon draws.

Everything is computed on the fine grid (2 arcsec), and summed to 4 arcsec where asked. Shapes: H
rows, W columns of a frame, F those of the fine grid, N sources, K off-axis nodes.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from wolter.xray.imaging.scenes import Scene
from wolter.xray.instruments import epic_pn_camera as camera
from wolter.xray.instruments.psf import TARGET_SHARPNESS, Psf

FINE = 2  # pixels of the fine grid along a side of a native pixel
NODES_ARCMIN = (0.0, 8.0, 16.0)  # kernels of extended emission, linearly interpolated between
TYPICAL_BACKGROUND = 1.09e-5  # counts/s in a native pixel on the axis, 0.5-2 keV, quiet
_BRIGHT = 64  # sources that are drawn with a stamp of their own; the rest go into the map


@dataclass(frozen=True)
class Exposure:
    """Exposure, background and out-of-time fraction of one simulated image.

    Attributes:
        exposure_s: on the axis, s.
        background: counts/s in a native pixel on the axis, sky and particles.
        particles: share of it, on the axis, that no mirror focused (so not vignetted).
        out_of_time: share of the events that were read out while moving.
    """

    exposure_s: float
    background: float = 0.0
    particles: float = 0.0
    out_of_time: float = 0.0


@dataclass(frozen=True)
class Expected:
    """Expected counts of an image, without noise.

    Attributes:
        counts_HW: source and background, counts.
        background_HW: background alone, counts.
        exposure_HW: exposure times vignetting and the share of the events that stay in place, s; 0
            where nothing is recorded.
    """

    counts_HW: Tensor
    background_HW: Tensor
    exposure_HW: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        """Photons of one observation (H, W)."""
        return torch.poisson(self.counts_HW, generator)


class Imager:
    """Telescope simulator in one band, with point-spread kernels made once for many scenes."""

    def __init__(
        self,
        psfs: Mapping[str, tuple[Psf, int]] | None = None,
        energy_kev: float = 1.0,
        pixel_arcsec: float = camera.PIXEL_ARCSEC,
    ) -> None:
        """Prepare.

        Args:
            psfs: name of each image to make -> its point-spread function and scale (1 or 2);
                default: `input` at 1 and a sharper `target` at 2.
            energy_kev: energy of the photons, for the point-spread function and vignetting.
            pixel_arcsec: side of a native pixel on the sky.
        """
        self.psfs = psfs or {"input": (Psf(), 1), "target": (Psf(sharpness=TARGET_SHARPNESS), FINE)}
        assert all(scale in (1, FINE) for _, scale in self.psfs.values())
        self.energy_kev, self.pixel_arcsec = energy_kev, pixel_arcsec
        fine_arcsec = pixel_arcsec / FINE
        theta_FF = camera.off_axis(FINE, pixel_arcsec)
        self.vignetting = {
            1: camera.vignetting(camera.off_axis(1, pixel_arcsec), energy_kev),
            FINE: camera.vignetting(theta_FF, energy_kev),
        }
        self.weight_KFF = _hats(theta_FF)
        reach = max(psf.half(fine_arcsec) for psf, _ in self.psfs.values())
        self.size = next_fast_len(camera.FRAME * FINE + reach, real=True)
        self.kernels = {
            name: torch.stack(
                [
                    self._transformed(psf.kernel(node, fine_arcsec, energy_kev))
                    for node in NODES_ARCMIN
                ]
            )
            for name, (psf, _) in self.psfs.items()
        }

    def __reduce__(self) -> tuple[type["Imager"], tuple[Any, ...]]:
        """Travel as arguments: workers make the kernels, 30 MB, themselves."""
        return Imager, (self.psfs, self.energy_kev, self.pixel_arcsec)

    def _transformed(self, kernel: Tensor) -> Tensor:
        half = kernel.shape[0] // 2
        whole = torch.zeros(self.size, self.size)
        whole[: 2 * half + 1, : 2 * half + 1] = kernel
        transform: Tensor = torch.fft.rfft2(whole.roll((-half, -half), (0, 1)))
        return transform

    def rates(self, scene: Scene, counts_per_flux: Mapping[str, float]) -> dict[str, Tensor]:
        """Counts/s in every pixel of each image, as if all pixels recorded photons.

        Args:
            scene: on the fine grid of the frame.
            counts_per_flux: of every kind of spectrum that the scene names, on the axis.

        Returns:
            Image name -> (H, W): blurred and vignetted.
        """
        point_N3 = scene.point_N3
        rate_N = point_N3[:, 2] * counts_per_flux[scene.point_spectrum]
        theta_N = torch.hypot(point_N3[:, 0], point_N3[:, 1]) / 60
        rate_N = rate_N * camera.vignetting(theta_N, self.energy_kev)
        order = rate_N.argsort(descending=True)
        bright, faint = order[:_BRIGHT], order[_BRIGHT:]
        map_FF = None
        if scene.brightness_FF is not None:
            map_FF = scene.brightness_FF * counts_per_flux[scene.map_spectrum]
            map_FF = map_FF * self.vignetting[FINE]
        if len(faint):
            map_FF = self._deposit(map_FF, point_N3[faint], rate_N[faint])
        spectra = None if map_FF is None else self._spectra(map_FF)
        images = {}
        for name, (psf, scale) in self.psfs.items():
            size = camera.FRAME * scale
            image = torch.zeros(size, size)
            if spectra is not None:
                blurred = torch.fft.irfft2((spectra * self.kernels[name]).sum(0), (self.size,) * 2)
                fine_FF = blurred[: camera.FRAME * FINE, : camera.FRAME * FINE]
                image = (fine_FF if scale == FINE else _halve(fine_FF)).clamp(min=0.0)
            self._add_stamps(image, psf, scale, point_N3[bright], rate_N[bright])
            images[name] = image
        return images

    def _spectra(self, map_FF: Tensor) -> Tensor:
        """Transforms (K, ...) of the map's share at each node: each flux keeps its own kernel."""
        spectra: Tensor = torch.fft.rfft2(self.weight_KFF * map_FF, (self.size, self.size))
        return spectra

    def _pixels(self, point_N3: Tensor, scale: int) -> Tensor:
        """Positions x, y in pixels of a frame, whole numbers at pixel centres."""
        axis = point_N3.new_tensor(camera.AXIS_XY)
        return (point_N3[:, :2] / self.pixel_arcsec + axis) * scale - 0.5

    def _deposit(self, map_FF: Tensor | None, point_N3: Tensor, rate_N: Tensor) -> Tensor:
        """Add faint sources to a map, each shared by the four nearest pixels."""
        size = camera.FRAME * FINE
        padded = torch.zeros(size + 2, size + 2)  # a margin takes what lies outside
        if map_FF is not None:
            padded[1:-1, 1:-1] = map_FF
        position_N2 = (self._pixels(point_N3, FINE) + 1).clamp(0, size + 0.999)
        low_N2 = position_N2.floor()
        share_N2 = position_N2 - low_N2
        column_N, row_N = low_N2.long().unbind(1)
        x_N, y_N = share_N2.unbind(1)
        for right, up in ((0, 0), (0, 1), (1, 0), (1, 1)):
            weight = (x_N if right else 1 - x_N) * (y_N if up else 1 - y_N) * rate_N
            padded.index_put_((row_N + up, column_N + right), weight, accumulate=True)
        return padded[1:-1, 1:-1]

    def _add_stamps(
        self, image: Tensor, psf: Psf, scale: int, point_N3: Tensor, rate_N: Tensor
    ) -> None:
        pixel = self.pixel_arcsec / scale
        half, size = psf.half(pixel), image.shape[0]
        position_N2 = self._pixels(point_N3, scale)
        near_N = ((position_N2 > -half) & (position_N2 < size - 1 + half)).all(1)
        point_N3, position_N2, rate_N = point_N3[near_N], position_N2[near_N], rate_N[near_N]
        if not len(rate_N):
            return
        nearest_N2 = position_N2.round()
        theta_N = torch.hypot(point_N3[:, 0], point_N3[:, 1]) / 60
        phi_N = torch.atan2(point_N3[:, 1], point_N3[:, 0])
        stamp_NKK = psf.stamps(position_N2 - nearest_N2, theta_N, phi_N, pixel, self.energy_kev)
        stamp_NKK *= rate_N[:, None, None]
        for stamp_KK, (column, row) in zip(stamp_NKK, nearest_N2.long().tolist(), strict=True):
            top, left = row - half, column - half
            rows = slice(max(top, 0), min(top + 2 * half + 1, size))
            columns = slice(max(left, 0), min(left + 2 * half + 1, size))
            image[rows, columns] += stamp_KK[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]

    def expose(self, rate_HW: Tensor, how: Exposure, live_HW: Tensor) -> Expected:
        """Expected counts of an image.

        Args:
            rate_HW: counts/s of the sources, as `rates` gives them.
            how: exposure, background and out-of-time events.
            live_HW: pixels that record photons.
        """
        scale = rate_HW.shape[0] // camera.FRAME
        vignetting_HW = self.vignetting[scale]
        rate_HW = camera.smear(rate_HW, how.out_of_time, scale)
        level = how.background / scale**2
        shape_HW = how.particles + (1 - how.particles) * vignetting_HW
        seconds_HW = how.exposure_s * live_HW
        background_HW = level * shape_HW * seconds_HW
        return Expected(
            counts_HW=rate_HW * seconds_HW + background_HW,
            background_HW=background_HW,
            exposure_HW=vignetting_HW * seconds_HW * (1 - how.out_of_time),
        )


def _hats(theta_FF: Tensor) -> Tensor:
    """Weights (K, F, F) of the nodes, linear in the off-axis angle; they sum to 1."""
    position = torch.zeros_like(theta_FF)
    for low, high in itertools.pairwise(NODES_ARCMIN):
        position += ((theta_FF - low) / (high - low)).clamp(0, 1)
    node_K = torch.arange(len(NODES_ARCMIN), dtype=theta_FF.dtype)
    return (1 - (position - node_K[:, None, None]).abs()).clamp(min=0)


def _halve(fine_FF: Tensor) -> Tensor:
    """Sum 2 x 2 pixels into one."""
    return torch.nn.functional.avg_pool2d(fine_FF[None], FINE)[0] * FINE**2
