"""Simulated image pairs: scene -> expected counts -> independent photons of input and target.

Shapes: B tiles, H and W rows and columns of an input tile.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from wolter.data.seeds import seed_of
from wolter.errors import InputError
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.tiles import cut, tile_starts
from wolter.xray.imaging import scenes as sky
from wolter.xray.imaging.background import with_streaks
from wolter.xray.imaging.imager import Expected, Exposure, Imager
from wolter.xray.instruments import epic_pn_camera as camera
from wolter.xray.instruments import instrument as instruments
from wolter.xray.instruments.psf import TARGET_SHARPNESS
from wolter.xray.spectral import fluxes

PILED = 0.5  # ct/s in a pixel, above which full frames pile photons up: scenes are dimmed to it


@dataclass(frozen=True)
class ImageSimulateConfig:
    """Configuration of a simulation.

    Attributes:
        scenes: kinds of scene, equally often.
        maps: images as further scenes: FITS files of brightness.
        exposure_s: fixed exposure of the input (low = high) or a log-uniform range, s.
        target_exposure_s: exposure of the target, s.
        scale: target pixels along a side of an input pixel: 2 to super-resolve (with sharper
            mirrors), 1 to denoise.
        target_background: the target holds the background and out-of-time events too, as a longer
            observation would.
        band_kev: energies of the photons.
        instrument: name of the instrument; its camera must be known.
        filter: filter of the instrument; empty for its first.
        background: log-uniform range, counts/s in an input pixel on the axis.
        particles: uniform range of the background's share that is not vignetted.
        background_error: relative scatter of the background that records store for families.
        estimated: share of the fields whose stored background is estimated from their photons, as
            for an observation.
        out_of_time: shares of out-of-time events in inputs, equally often; targets without
            background have none. The stored background includes the out-of-time events.
        bad_columns: largest number of rejected columns in a frame; the number is uniform.
        faintest: flux above which AGN are drawn one by one, erg cm^-2 s^-1.
        reach_arcsec: radius at which the point-spread function is cut off.
        tile: rows and columns of a record; 0: whole frames of 416.
        overlap: least pixels that neighbouring tiles share.
    """

    scenes: tuple[str, ...] = tuple(sky.SCENES)
    maps: tuple[str, ...] = ()
    exposure_s: tuple[float, float] = (5_000.0, 100_000.0)
    target_exposure_s: float = 100_000.0
    scale: int = 2
    target_background: bool = False
    band_kev: tuple[float, float] = (0.5, 2.0)
    instrument: str = instruments.DEFAULT
    filter: str = ""
    background: tuple[float, float] = (5e-6, 2e-5)
    particles: tuple[float, float] = (0.0, 0.8)
    background_error: float = 0.05
    estimated: float = 0.7
    out_of_time: tuple[float, ...] = (0.0, 0.023, 0.063)
    bad_columns: int = 12
    faintest: float = 2e-16
    reach_arcsec: float = 150.0
    tile: int = 128
    overlap: int = 32

    def __post_init__(self) -> None:
        """Check the values that need no file."""
        low, high = self.exposure_s
        if not 0 < low <= high:
            raise InputError(f"exposure_s = {low}, {high}: give 0 < low <= high, in seconds")
        if self.target_exposure_s <= 0:
            raise InputError(f"target_exposure_s = {self.target_exposure_s}: give seconds above 0")
        if self.scale not in (1, 2):
            raise InputError(f"scale = {self.scale}: give 1 to denoise or 2 to super-resolve")
        unknown = [kind for kind in self.scenes if kind not in sky.SCENES]
        if unknown or not (self.scenes or self.maps):
            raise InputError(
                f"unknown scene {', '.join(unknown) or '(none)'}; choose from: "
                f"{', '.join(sky.SCENES)}"
            )
        if self.tile and not 8 <= self.tile <= camera.FRAME:
            raise InputError(f"tile = {self.tile}: give 8 to {camera.FRAME} pixels, or 0")
        if self.tile and not 0 <= self.overlap < self.tile:
            raise InputError(f"overlap = {self.overlap}: give 0 or more, less than the tile")


@dataclass(frozen=True)
class Field:
    """One simulated pointing.

    Attributes:
        scene, kind: what there is to see, and its kind.
        pair: input and target, one row of a whole frame.
        how: how the input was taken.
    """

    scene: sky.Scene
    kind: str
    pair: ImageBatch
    how: Exposure


class ImageSimulator:
    """Simulator of fields; a field depends on (config, seed, index) alone."""

    def __init__(self, config: ImageSimulateConfig) -> None:
        """Prepare the telescope.

        Raises:
            InputError: a map cannot be read, the filter, the band or the camera is unknown.
        """
        self.config = config
        self.maps = [sky.read_map(Path(name)) for name in config.maps]
        self.kinds = (*config.scenes, *(f"map {Path(name).name}" for name in config.maps))
        instrument = instruments.load(config.instrument)
        imaging = instrument.imaging
        if imaging is None or imaging.camera is not camera:  # the only one that scenes are for
            raise InputError(
                f"instrument {instrument.name}: its camera is not known, so that no image can "
                f"be simulated; choose {instruments.DEFAULT}"
            )
        response = instrument.response(config.filter)
        self.counts_per_flux = fluxes.source_rates(response, config.band_kev)
        energy = math.sqrt(config.band_kev[0] * config.band_kev[1])
        psf = replace(imaging.psf, reach_arcsec=config.reach_arcsec)
        sharp = replace(psf, sharpness=TARGET_SHARPNESS if config.scale > 1 else 1.0)
        self.imager = Imager({"input": (psf, 1), "target": (sharp, config.scale)}, energy)
        size = config.tile or camera.FRAME
        self.spec = ImageSpec(
            shape=(size, size),
            scale=config.scale,
            pixel_arcsec=camera.PIXEL_ARCSEC,
            band_kev=config.band_kev,
            exposure_s=config.exposure_s,
            target_exposure_s=config.target_exposure_s,
            target_background=config.target_background,
            instrument="/".join((response.telescope, response.instrument, response.filter)),
            psf_fwhm_arcsec=(psf.fwhm(0, energy), sharp.fwhm(0, energy)),
        )

    def scene(self, seed: int, index: int) -> tuple[sky.Scene, str]:
        """The true scene of a field, and its kind."""
        generator = torch.Generator().manual_seed(seed_of(seed, index, "scene"))
        which = int(torch.randint(len(self.kinds), (1,), generator=generator))
        field = sky.agn_field(generator, self.config.faintest)
        if which < len(self.config.scenes):
            scene = sky.SCENES[self.config.scenes[which]](generator)
        else:
            scene = sky.from_map(generator, self.maps[which - len(self.config.scenes)])
        return scene.with_points(field.point_N3), self.kinds[which]

    def draw(self, seed: int, index: int) -> Field:
        """Draw one field: expected counts, and photons of input and target."""
        c = self.config
        scene, kind = self.scene(seed, index)
        generator = torch.Generator().manual_seed(seed_of(seed, index, "observation"))
        unit = torch.rand(5, generator=generator).tolist()
        how = Exposure(
            exposure_s=_log_between(c.exposure_s, unit[0]),
            background=_log_between(c.background, unit[1]),
            particles=c.particles[0] + (c.particles[1] - c.particles[0]) * unit[2],
            out_of_time=c.out_of_time[int(unit[3] * len(c.out_of_time))],
        )
        n_bad = int(unit[4] * (c.bad_columns + 1))
        columns = camera.draw_bad_columns(n_bad, generator)
        target_how = Exposure(
            exposure_s=c.target_exposure_s,
            background=how.background if c.target_background else 0.0,
            particles=how.particles,
            out_of_time=how.out_of_time if c.target_background else 0.0,
        )
        rates = self.imager.rates(scene, self.counts_per_flux)
        dim = min(1.0, PILED / max(float(rate_HW.max()) for rate_HW in rates.values()))
        scene, rates = scene.dimmed(dim), {name: dim * rate_HW for name, rate_HW in rates.items()}
        taken = self.imager.expose(rates["input"], how, camera.live(1, columns))
        target = self.imager.expose(rates["target"], target_how, camera.live(c.scale, columns))
        off = 1 + c.background_error * float(torch.randn(1, generator=generator))
        pair = _pair(taken, target, generator)
        estimated = float(torch.rand(1, generator=generator)) < c.estimated
        told_HW = with_streaks(
            pair.counts_BHW[0],
            pair.exposure_BHW[0],
            how.out_of_time,
            camera.AXIS_XY[1],
            camera.PIXEL_ARCSEC,
            None if estimated else taken.background_HW * max(off, 0.5),
        )
        return Field(scene, kind, replace(pair, background_BHW=told_HW[None]), how)

    def tiles(self, pair: ImageBatch) -> ImageBatch:
        """Cut a frame into the tiles of the config (B of them)."""
        size, scale = self.spec.shape[0], self.config.scale
        parts = [cut(pair, row, column, size, scale) for row, column in tile_corners(self.config)]
        return ImageBatch.concatenate(parts)


def _log_between(ends: tuple[float, float], unit: float) -> float:
    value: float = ends[0] * (ends[1] / ends[0]) ** unit
    return value


def _pair(taken: Expected, target: Expected, generator: torch.Generator) -> ImageBatch:
    """Independent photons of the two."""
    return ImageBatch(
        counts_BHW=taken.draw(generator)[None],
        exposure_BHW=taken.exposure_HW[None],
        background_BHW=taken.background_HW[None],
        target_BHW=target.draw(generator)[None],
        target_exposure_BHW=target.exposure_HW[None],
        expected_BHW=taken.counts_HW[None],
        expected_target_BHW=target.counts_HW[None],
    )


def tile_corners(config: ImageSimulateConfig) -> list[tuple[int, int]]:
    """Row and column where each tile of a frame begins."""
    starts = tile_starts(camera.FRAME, config.tile, config.overlap)
    return [(row, column) for row in starts for column in starts]
