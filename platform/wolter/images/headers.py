"""Classification of archive image files, with exposure maps and masks.

Shapes: H and W rows and columns of an image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.imaging.band import band_of, same_band
from wolter.xray.imaging.counts_image import CountsImage, read_counts_image
from wolter.xray.imaging.events import is_event_list
from wolter.xray.imaging.exposure_map import read_mask, read_spread
from wolter.xray.imaging.image_file import read_image, readable
from wolter.xray.ogip import tables
from wolter.xray.ogip.files import FITS_SUFFIXES
from wolter.xray.ogip.tables import open_fits

if TYPE_CHECKING:
    from astropy.io import fits

FOR_ALL = ""  # key of a map that goes with every observation


class FileKind(Enum):
    """Kinds of archive file."""

    EVENTS = "events"
    IMAGE = "image"
    OTHER = "other"


@dataclass(frozen=True)
class FileHeader:
    """Header information of an archive image file.

    Attributes:
        kind: the kind of file.
        source: the observation: OBS_ID, or else the object or the file's place in its archive.
        parent: the observed object, or the observation where OBJECT is blank.
        group: what images must have in common to make a pair.
        exposure_s: exposure of an image.
        reason: why a file that ought to give a pair cannot.
    """

    kind: FileKind
    source: str = ""
    parent: str = ""
    group: str = ""
    exposure_s: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Maps:
    """Exposure maps and masks, by OBS_ID or for all.

    Attributes:
        exposure, mask: OBS_ID -> file.
    """

    exposure: Mapping[str, str] = field(default_factory=dict)
    mask: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, exposure: str | None, mask: str | None) -> "Maps":
        """Maps of a file for all, or of a folder of files with an OBS_ID each.

        Raises:
            InputError: there is no such file, or a file of the folder has no OBS_ID.
        """
        return cls(_by_observation(exposure), _by_observation(mask))

    @property
    def files(self) -> set[str]:
        """All the maps' files, absolute."""
        return {*self.exposure.values(), *self.mask.values()}

    def read(self, path: Path, pixel_arcsec: float) -> CountsImage:
        """Image of photons with the exposure of its own maps, where there are some.

        A map tells how the exposure is spread; how long it is the image's header tells, so that one
        map serves short and long images.

        Raises:
            InputError: as `read_counts_image`; also pixels of another size, and no whole counts.
        """
        _, header = read_image(path)
        exposure, mask = self.named(tables.text(header, "OBS_ID"))
        picture = read_counts_image(path, exposure, mask, pixel_arcsec=pixel_arcsec, spread=True)
        if abs(picture.pixel_arcsec / pixel_arcsec - 1) > 0.01:
            raise InputError(
                f"{path}: pixels of {picture.pixel_arcsec:.3g} arcsec; use --pixel to say so"
            )
        if not torch.equal(picture.counts_HW, picture.counts_HW.round()):
            raise InputError(f"{path}: pixels are not whole counts; give photons")
        return picture

    def spread(
        self, observation: str, file: Path, header: "fits.Header", shape: tuple[int, int]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Exposure (H, W), 1 at its highest, and mask of an observation; None without a map.

        Args:
            observation: its OBS_ID.
            file: event list that images are made of, for messages.
            header: of those images.
            shape: of those images.

        Raises:
            InputError: a map cannot be read, has no exposure, or is of other pixels or another sky.
        """
        exposure, mask = self.named(observation)
        spread_HW = mask_HW = None
        if exposure is not None:
            spread_HW, _ = read_spread(exposure, file, header, shape)
        if mask is not None:
            mask_HW, _ = read_mask(mask, file, header, shape)
        return spread_HW, mask_HW

    def named(self, observation: str) -> tuple[Path | None, Path | None]:
        """Files of the exposure map and the mask of an observation."""
        found = (each.get(observation, each.get(FOR_ALL)) for each in (self.exposure, self.mask))
        exposure, mask = (None if name is None else Path(name) for name in found)
        return exposure, mask


def _by_observation(name: str | None) -> dict[str, str]:
    if name is None:
        return {}
    path = Path(name).absolute()
    if path.is_file():
        return {FOR_ALL: str(path)}
    if not path.is_dir():
        raise InputError(f"{name}: no such file or folder; check the path")
    found = {}
    for file in sorted(path.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            observation = tables.text(read_image(file)[1], "OBS_ID")
            if not observation:
                raise InputError(
                    f"{file}: no OBS_ID in the header; add it, or give one map for all"
                )
            found[observation] = str(file)
    return found


def classify(
    path: Path,
    maps: Maps,
    pixel_arcsec: float,
    band_kev: tuple[float, float] = (0.5, 2.0),
    archive: Path | None = None,
) -> FileHeader:
    """Classify a file: event list, counts image (read completely) or something else.

    Args:
        path: path of the file.
        maps: exposure maps and masks.
        pixel_arcsec: side of a pixel, that images must have.
        band_kev: band of the photons, where an image tells its own.
        archive: folder that the file is told apart in; by default its own.
    """
    try:
        with open_fits(path) as hdus:
            events = is_event_list(hdus)
            images = any(_is_image(hdu) for hdu in hdus)
            headers = [readable(hdu.header) for hdu in hdus] if events or images else []
    except InputError as error:
        fits = path.suffix.lower() in FITS_SUFFIXES
        return FileHeader(FileKind.OTHER, reason=str(error) if fits else "")
    if not headers:
        return FileHeader(FileKind.OTHER)
    words = {key: _word(headers, key) for key in ("OBS_ID", "OBJECT", "INSTRUME", "EXPIDSTR")}
    source = words["OBS_ID"] or words["OBJECT"] or str(path.relative_to(archive or path.parent))
    parent = words["OBJECT"].upper() or source
    if events:
        return FileHeader(FileKind.EVENTS, source, parent)
    if not words["OBS_ID"]:
        why = f"{path}: no OBS_ID in the header, by which pairs are found; add it"
        return FileHeader(FileKind.IMAGE, source, parent, reason=why)
    try:
        picture = maps.read(path, pixel_arcsec)
    except InputError as error:
        return FileHeader(FileKind.IMAGE, source, parent, reason=str(error))
    band = band_of(picture.header)
    if band is not None and not same_band(band, band_kev):
        why = (
            f"{path}: photons of {band[0]:g}-{band[1]:g} keV, and pairs are to be of "
            f"{band_kev[0]:g}-{band_kev[1]:g}; use --band to say so"
        )
        return FileHeader(FileKind.IMAGE, source, parent, reason=why)
    group = " ".join(words[key] for key in ("OBS_ID", "INSTRUME", "EXPIDSTR"))
    return FileHeader(FileKind.IMAGE, source, parent, group, picture.exposure_s)


def _is_image(hdu: Any) -> bool:
    return bool(hdu.is_image and hdu.header.get("NAXIS") == 2)


def _word(headers: list[Any], key: str) -> str:
    return next((word for header in headers if (word := tables.text(header, key))), "")
