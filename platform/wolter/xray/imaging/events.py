"""X-ray event lists (OGIP FITS): selection by band and quality, and good time intervals.

Shapes: N events; M intervals of good time.
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray.imaging.exposure_map import check_seconds
from wolter.xray.imaging.image_file import readable
from wolter.xray.instruments.event_rules import EventRules, energies, good_events
from wolter.xray.instruments.instrument import find
from wolter.xray.instruments.pointing import plain_axes
from wolter.xray.ogip import gti
from wolter.xray.ogip import tables as ogip
from wolter.xray.ogip.gti import GoodTimes
from wolter.xray.ogip.tables import Array

if TYPE_CHECKING:
    from astropy.io import fits

ANY_TIME = (-np.inf, np.inf)
MOST_CCDS = 64  # more are damage


@dataclass(frozen=True)
class Axis:
    """A pair of position columns and the coordinates that they count.

    Attributes:
        ctype: CTYPE of the image, e.g. ("RA---TAN", "DEC--TAN") or ("DETX", "DETY").
        crpix, crval, cdelt: position, in the columns' units, with the coordinate `crval`; and the
            coordinate's step for a step of 1 in the column (deg; 1 for detector coordinates).
    """

    ctype: tuple[str, str]
    crpix: tuple[float, float]
    crval: tuple[float, float]
    cdelt: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Events:
    """Good photons of one observation in one band.

    Attributes:
        file: file that they were read from.
        header: header of the EVENTS table.
        band_kev: band of the photons.
        time_N: s of the mission's clock.
        sky_N2: X and Y.
        detector_N2: DETX and DETY, 0.05 arcsec for EPIC; None where the list has none.
        ccd_N: number of the CCD.
        sky: celestial coordinates of X and Y; None where the header has none.
        times: good time intervals of every CCD.
        live: share of good time in which photons are recorded (dead time, out-of-time events).
        window: first and last time; photons outside were left out.
    """

    file: str
    header: "fits.Header"
    band_kev: tuple[float, float]
    time_N: Array
    sky_N2: Array
    detector_N2: Array | None
    ccd_N: NDArray[np.int64]
    sky: Axis | None
    times: GoodTimes
    live: float
    window: tuple[float, float] = ANY_TIME

    def __len__(self) -> int:
        return len(self.time_N)

    @property
    def exposure_s(self) -> float:
        """Live good time of the CCD that has most of it, s."""
        return max((self.ccd_exposure_s(ccd) for ccd in self.times), default=0.0)

    def ccd_exposure_s(self, ccd: int) -> float:
        """Live good time of a CCD in the window, s."""
        return self.live * gti.length(gti.within(gti.of_ccd(self.times, ccd), self.window))

    def between(self, start: float, end: float) -> "Events":
        """The photons from `start` to before `end`."""
        low, high = max(start, self.window[0]), min(end, self.window[1])
        return self._keep((self.time_N >= low) & (self.time_N < high), (low, high))

    def slices(self, exposure_s: float, most: int | None = None) -> list["Events"]:
        """Consecutive slices of the given exposure; the remainder is dropped.

        Exposure is that of the CCD with most of it; other CCDs may have less in the same time.

        Args:
            exposure_s: exposure of each slice, s.
            most: of them; None: all that there are.
        """
        most_M2 = gti.within(gti.longest(self.times), self.window)
        points = gti.cut_points(most_M2, exposure_s / self.live, most)
        return [self.between(a, b) for a, b in itertools.pairwise(points)]

    def _keep(self, kept_N: NDArray[np.bool_], window: tuple[float, float]) -> "Events":
        return replace(
            self,
            time_N=self.time_N[kept_N],
            sky_N2=self.sky_N2[kept_N],
            detector_N2=None if self.detector_N2 is None else self.detector_N2[kept_N],
            ccd_N=self.ccd_N[kept_N],
            window=window,
        )


def is_event_list(hdus: Any) -> bool:
    """True for a FITS file with a table of events, with times and positions."""
    return _table(hdus) is not None


def read_events(path: Path, band_kev: tuple[float, float] = (0.5, 2.0)) -> Events:
    """Read the good photons of an event list in a band.

    Good are those that the rules of their instrument say (`Instrument.events`), within the good
    time intervals of the event's CCD, with a position.

    Args:
        path: FITS file with EVENTS and GTI tables.
        band_kev: energies, from the first to below the second.

    Raises:
        InputError: another instrument, no events, energies or good time, a column by which bad
            events are told is missing, damaged values, or no photon that is good.
    """
    with ogip.open_fits(path) as hdus:
        table = _table(hdus)
        if table is None:
            raise InputError(f"{path}: no table of events with TIME, X and Y; is it an event list?")
        header = readable(table.header, hdus[0].header)
        rules = _rules(path, header)
        names = ogip.columns(table)
        time_N = ogip.vector(path, table, "TIME")
        if not len(time_N):
            raise InputError(f"{path}: no event in it; fetch it again")
        energy_N = energies(path, table, names, rules)
        kept_N = good_events(path, table, names, rules)
        kept_N &= (energy_N >= band_kev[0]) & (energy_N < band_kev[1])
        sky_N2 = _positions(path, table, names, header, "X", "Y")
        assert sky_N2 is not None
        detector_N2 = _positions(path, table, names, header, "DETX", "DETY")
        for position_N2 in (sky_N2, detector_N2):
            if position_N2 is not None:
                kept_N &= np.isfinite(position_N2).all(1)
        kept_N &= np.isfinite(time_N)
        ccd_N = _ccds(path, table, names, len(kept_N))
        sky = _sky(path, header, names)
        times = gti.read_good_times(path, hdus)
    good_s = sum(map(gti.length, times.values()))
    if not good_s > 0:
        raise InputError(f"{path}: no good time intervals in it; give an event list with its GTI")
    check_seconds(good_s / len(times), f"{path}: good time of a CCD")
    inside_N = np.zeros(len(kept_N), bool)
    for ccd in np.unique(ccd_N):
        of_N = ccd_N == ccd
        inside_N[of_N] = gti.holds(gti.of_ccd(times, int(ccd)), time_N[of_N])
    kept_N &= inside_N
    if not kept_N.any():
        raise InputError(
            f"{path}: no good photon between {band_kev[0]:g} and {band_kev[1]:g} keV; check the "
            "band and the good time intervals"
        )
    whole = Events(
        file=str(path),
        header=header,
        band_kev=band_kev,
        time_N=time_N,
        sky_N2=sky_N2,
        detector_N2=detector_N2,
        ccd_N=ccd_N,
        sky=sky,
        times=times,
        live=_live(path, header, gti.length(gti.longest(times))),
    )
    return whole._keep(kept_N, ANY_TIME)


def _rules(path: Path, header: "fits.Header") -> EventRules:
    """Rules of the instrument of an event list.

    Raises:
        InputError: the instrument is not one of those known: its grades and channels are others.
    """
    telescope, instrument = (ogip.text(header, key).upper() for key in ("TELESCOP", "INSTRUME"))
    known = find(telescope, instrument)
    if not known:
        whose = "/".join(word for word in (telescope, instrument) if word) or "no instrument"
        raise InputError(
            f"{path}: events of {whose}, whose grades and channels are not known; give lists of "
            "EPIC (XMM-Newton) or ACIS (Chandra), or images"
        )
    return known[0].events


def _table(hdus: Any) -> Any:
    from astropy.io import fits

    tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
    found = ogip.with_columns(tables, "TIME", "X", "Y")
    named = [hdu for hdu in found if hdu.name.upper() == "EVENTS"]
    return next(iter(named or found), None)


def _positions(
    path: Path, table: Any, names: list[str], header: "fits.Header", x: str, y: str
) -> Array | None:
    """Two columns of positions (N, 2), NaN where an event has none; None without such columns.

    Null values (`TNULLn`) and those outside of the legal range (`TLMINn`, `TLMAXn`) are none.
    """
    if x not in names or y not in names:
        return None
    return np.stack([_position(path, table, names, header, name) for name in (x, y)], 1)


def _position(path: Path, table: Any, names: list[str], header: "fits.Header", name: str) -> Array:
    values_N = ogip.vector(path, table, name)
    number = names.index(name) + 1
    null, scale, zero, lowest, highest = (
        ogip.number(path, header, f"{key}{number}")
        for key in ("TNULL", "TSCAL", "TZERO", "TLMIN", "TLMAX")
    )
    if null is not None:
        scale = 1.0 if scale is None else scale
        values_N[values_N == null * scale + (zero or 0.0)] = np.nan
    if lowest is not None and highest is not None and lowest < highest:
        values_N[(values_N < lowest) | (values_N > highest)] = np.nan
    return values_N


def _ccds(path: Path, table: Any, names: list[str], n: int) -> NDArray[np.int64]:
    name = next((name for name in ("CCDNR", "CCD_ID") if name in names), None)
    if name is None:
        return np.full(n, gti.ALL)
    values_N = ogip.vector(path, table, name)
    if not (np.abs(values_N) < 1e6).all() or len(np.unique(values_N)) > MOST_CCDS:
        raise InputError(f"{path}: column {name} holds no numbers of CCDs; fetch it again")
    return values_N.astype(np.int64)


def _sky(path: Path, header: "fits.Header", names: list[str]) -> Axis | None:
    """Celestial coordinates of X and Y: the columns' own keywords, or XMM-Newton's REFX and REFY.

    Raises:
        InputError: they make no sense, or X and Y do not run along their axes.
    """
    try:
        found = plain_axes(header, [names.index(name) + 1 for name in ("X", "Y")])
    except InputError as error:
        raise InputError(f"{path}: {error}; correct the header") from error
    return None if found is None else Axis(*found)


def _live(path: Path, header: "fits.Header", good_s: float) -> float:
    """Live share of good time by the header: LIVETIME or EXPOSURE over ONTIME, at most 1."""
    recorded = header.get("LIVETIME", header.get("EXPOSURE"))
    if recorded is None:
        return 1.0
    on = header.get("ONTIME", good_s)
    try:
        share = float(recorded) / float(on)
    except (TypeError, ValueError, ZeroDivisionError):
        share = np.nan
    if not share > 0:
        raise InputError(
            f"{path}: LIVETIME or EXPOSURE = {recorded} of ONTIME = {on}; correct the header"
        )
    return min(share, 1.0)
