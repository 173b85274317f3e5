"""The contract of an X-ray instrument, and how one is found: by name, or by the header of a file.

An instrument is one file of this folder with an `INSTRUMENT` (or several `INSTRUMENTS`), or an
entry point of another package. Simulation, reading and serving reach it through `load` and `find`.

Shapes: B batch of backgrounds, C channel, E photon energy.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from wolter import plugins
from wolter.errors import InputError
from wolter.xray.instruments import background
from wolter.xray.instruments.background import BackgroundLevels
from wolter.xray.instruments.event_rules import EventRules
from wolter.xray.instruments.psf import Psf
from wolter.xray.spectral.response import Response

if TYPE_CHECKING:
    from astropy.io import fits

GROUP = "wolter.instruments"
DEFAULT = "epic_pn"


class Camera(Protocol):
    """Detector of a focal plane; the module `epic_pn_camera` is one.

    The exposure of its images is known pixel by pixel.
    """

    FRAME: int
    PIXEL_ARCSEC: float
    AXIS_XY: tuple[float, float]

    def vignetting(self, theta_arcmin: Tensor, energy_kev: float = 1.0) -> Tensor:
        """Share of the on-axis area at an off-axis angle."""

    def off_axis(self, scale: int = 1, pixel_arcsec: float = 4.0) -> Tensor:
        """Off-axis angle of every pixel (H, W), arcmin."""

    def smear(self, rate_HW: Tensor, share: float, scale: int = 1) -> Tensor:
        """Spread a share of all events along the read-out."""


@dataclass(frozen=True)
class Imaging:
    """Imaging properties of an instrument.

    Attributes:
        psf: point-spread function of its mirrors.
        pixel_arcsec: side of a pixel of the detector on the sky.
        detector_arcsec: step of the columns DETX and DETY on the sky; None where they count
            something else.
        out_of_time: share of the events that are read out while they move, by SUBMODE.
        pointing: DETX and DETY, arcsec, of the direction RA_PNT and DEC_PNT; None: not known.
        camera: CCDs, gaps and vignetting; None: images are taken as evenly exposed. Scenes are
            simulated in the frame of EPIC-pn's camera alone.
    """

    psf: Psf
    pixel_arcsec: float
    detector_arcsec: float | None = None
    out_of_time: Mapping[str, float] = field(default_factory=dict)
    pointing: tuple[float, float] | None = None
    camera: Camera | None = None


@dataclass(frozen=True, eq=False)
class Instrument:
    """One X-ray instrument, with a response and backgrounds that need no files.

    Attributes:
        name: name for `--instrument` and `load`.
        title: name for people, in messages and figures.
        telescope: first letters of TELESCOP in the headers of its files.
        detectors: INSTRUME of its files; the first is that of the embedded response.
        filters: filters of the embedded response, the default one first.
        band_kev: energy band in which its spectra are useful.
        area: `(energies in keV, filter) -> on-axis effective area in cm^2`.
        make_response: `(filter, dtype) -> on-axis response`; see `response`.
        background: levels of its background, and the usual source region.
        events: rules that select good photons from its event lists.
        imaging: imaging properties; None where the package knows no images of it.
        filter_is_year: the filter is a calendar year (of a growing contamination), which the date
            of a file tells and its FILTER does not.
    """

    name: str
    title: str
    telescope: str
    detectors: tuple[str, ...]
    filters: tuple[str, ...]
    band_kev: tuple[float, float]
    area: Callable[[Tensor, str], Tensor]
    make_response: Callable[[str, torch.dtype], Response]
    background: BackgroundLevels
    events: EventRules
    imaging: Imaging | None = None
    filter_is_year: bool = False

    def response(self, filter: str = "", dtype: torch.dtype = torch.float32) -> Response:  # noqa: A002 - the field's word
        """The on-axis response, kept for later calls; the default filter's where none is given.

        Raises:
            InputError: the filter is unknown.
        """
        return _made(self, self.check_filter(filter), dtype)

    def check_filter(self, name: str = "") -> str:
        """The filter of a name; the default one of an empty name.

        Raises:
            InputError: the filter is unknown.
        """
        if name and name not in self.filters:
            raise InputError(
                f"unknown {self.title} filter '{name[:50]}'; use {', '.join(self.filters)}"
            )
        return name or self.filters[0]

    def filter_of(self, word: str, date: str = "") -> str:
        """The filter that FILTER and DATE-OBS of a file name; empty where it is none of these.

        Thin1 and Thin2 are one filter.
        """
        if self.filter_is_year:
            year = date[:4]
            if not year.isdecimal():
                return ""
            return min(self.filters, key=lambda each: abs(int(each) - int(year)))
        plain = word.strip().lower()
        plain = plain.rstrip("12") if plain.startswith("thin") else plain
        return plain if plain in self.filters else ""

    @property
    def plain_date(self) -> str:
        """A DATE-OBS by which the default filter is found; empty where none is needed."""
        return f"{self.filters[0]}-01-01" if self.filter_is_year else ""

    def draw_backgrounds(
        self,
        response: Response,
        n: int,
        generator: torch.Generator,
        region_arcmin2: tuple[float, float] | None = None,
    ) -> Tensor:
        """Draw realistic backgrounds (B, C) of point sources.

        See `wolter.xray.instruments.background.draw_backgrounds`.
        """
        return background.draw_backgrounds(self.background, response, n, generator, region_arcmin2)

    def is_of(self, telescope: str, detector: str) -> bool:
        """True if TELESCOP (or none) and INSTRUME of a file are this instrument's."""
        telescope, detector = telescope.strip().upper(), detector.strip().upper()
        return detector in self.detectors and (
            not telescope or telescope.startswith(self.telescope)
        )


@functools.lru_cache(maxsize=4)
def _made(instrument: Instrument, filter_name: str, dtype: torch.dtype) -> Response:
    return instrument.make_response(filter_name, dtype)


def names() -> tuple[str, ...]:
    """Names of all instruments; others' packages declare theirs in the group `wolter.instruments`.

    The entry point has the instrument's name.
    """
    return tuple(sorted({*_own(), *plugins.names(GROUP)}))


def load(name: str) -> Instrument:
    """An instrument by its name.

    Raises:
        InputError: there is none, or another package's cannot be imported.
    """
    if name in _own():
        return _own()[name]
    if name not in names():
        raise InputError(f"unknown instrument {name[:50]!r}; choose one of: {', '.join(names())}")
    return plugins.load(GROUP, name, Instrument)


def find(telescope: str, detector: str) -> tuple[Instrument, ...]:
    """Instruments whose files have this TELESCOP and INSTRUME, by name.

    ACIS-S and ACIS-I share one. Instruments of other packages that cannot be imported are none.
    """
    return tuple(each for each in _all() if each.is_of(telescope, detector))


def of_header(header: "fits.Header") -> Instrument | None:
    """The first instrument of a FITS header's TELESCOP and INSTRUME; None where it is unknown."""
    telescope, detector = (str(header.get(key, "")) for key in ("TELESCOP", "INSTRUME"))
    return next(iter(find(telescope, detector)), None)


@functools.cache
def _own() -> dict[str, Instrument]:
    package = importlib.import_module("wolter.xray.instruments")
    found: list[Instrument] = []
    for each in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"wolter.xray.instruments.{each.name}")
        found += getattr(module, "INSTRUMENTS", ())
        found += [module.INSTRUMENT] if hasattr(module, "INSTRUMENT") else []
    assert all(isinstance(each, Instrument) for each in found)
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


@functools.cache
def _all() -> tuple[Instrument, ...]:
    loaded = list(_own().values())
    for name in names():
        if name in _own():
            continue
        try:
            loaded.append(load(name))
        except InputError:  # who asks for it by name is told why
            continue
    return tuple(loaded)
