"""X-ray event lists (OGIP FITS): photons chosen by band and quality, with their good times.

Shapes: N events; M intervals of good time.
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray import goodtime, ogip
from wolter.xray.goodtime import GoodTimes
from wolter.xray.ogip import Array

if TYPE_CHECKING:
    from astropy.io import fits

FIRST_ROW = 13  # RAWY of EPIC-pn; rows 1-12 next to the read-out are noisy
SINGLES_AND_DOUBLES = 4  # the highest good PATTERN of EPIC-pn
EPIC_MOS_PATTERN = 12  # and of EPIC-MOS
CHANDRA_GRADES = (0, 2, 3, 4, 6)  # good ASCA grades of ACIS
ANY_TIME = (-np.inf, np.inf)
_EV = {"": 1.0, "ev": 1.0, "kev": 1e3, "chan": 1.0}


@dataclass(frozen=True)
class Axis:
    """A pair of position columns and the coordinates that they count.

    Attributes:
        ctype: of the image, e.g. ("RA---TAN", "DEC--TAN") or ("DETX", "DETY").
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
        file: where they came from.
        header: of the EVENTS table.
        band_kev: of the photons.
        time_N: s of the mission's clock.
        sky_N2: X and Y.
        detector_N2: DETX and DETY, 0.05 arcsec for EPIC; None where the list has none.
        ccd_N: number of the CCD.
        sky: celestial coordinates of X and Y; None where the header has none.
        times: good time intervals of every CCD.
        live: share of good time in which photons are recorded (dead time, out-of-time events).
        window: from when to when; photons outside were left out.
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
        return self.live * goodtime.length(
            goodtime.within(goodtime.of_ccd(self.times, ccd), self.window)
        )

    def between(self, start: float, end: float) -> "Events":
        """The photons from `start` to before `end`."""
        low, high = max(start, self.window[0]), min(end, self.window[1])
        return self._keep((self.time_N >= low) & (self.time_N < high), (low, high))

    def slices(self, exposure_s: float) -> list["Events"]:
        """Slices of the given exposure, one after the other; what is left over is in none.

        Exposure is that of the CCD with most of it; other CCDs may have less in the same time.
        """
        most_M2 = goodtime.within(goodtime.longest(self.times), self.window)
        points = goodtime.cut_points(most_M2, exposure_s / self.live)
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
    """Whether a FITS file holds a table of events with times and positions."""
    return _table(hdus) is not None


def read_events(path: Path, band_kev: tuple[float, float] = (0.5, 2.0)) -> Events:
    """Read the good photons of an event list in a band.

    EPIC: PATTERN of singles and doubles (pn) or up to quadruples (MOS), FLAG = 0, and for pn RAWY
    above 12. Chandra: ASCA grades 0, 2, 3, 4 and 6, and STATUS 0. All: within the good time
    intervals of the event's CCD.

    Args:
        path: FITS file with EVENTS and GTI tables.
        band_kev: energies, from the first to below the second.

    Raises:
        InputError: no events, energies or good time, damaged values, or no photon that is good.
    """
    with ogip.open_tables(path) as hdus:
        table = _table(hdus)
        if table is None:
            raise InputError(f"{path}: no table of events with TIME, X and Y; is it an event list?")
        names = ogip.columns(table)
        read = {name: ogip.column(path, table, name) for name in ("TIME", "X", "Y")}
        if not len(read["TIME"]):
            raise InputError(f"{path}: no event in it; fetch it again")
        energy_N = _energies(path, table, names)
        kept_N = _good(path, table, names)
        kept_N &= (energy_N >= band_kev[0]) & (energy_N < band_kev[1])
        kept_N &= np.isfinite(np.stack(list(read.values()))).all(0)
        ccd_N = _ccds(path, table, names, len(kept_N))
        detector_N2 = _pair(path, table, names, "DETX", "DETY")
        sky = _sky(table.header, names)
        header = table.header.copy()
        times = goodtime.read_good_times(path, hdus)
    if sum(map(goodtime.length, times.values())) <= 0:
        raise InputError(f"{path}: no good time intervals in it; give an event list with its GTI")
    inside_N = np.zeros(len(kept_N), bool)
    for ccd in np.unique(ccd_N):
        of_N = ccd_N == ccd
        inside_N[of_N] = goodtime.holds(goodtime.of_ccd(times, int(ccd)), read["TIME"][of_N])
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
        time_N=read["TIME"],
        sky_N2=np.stack([read["X"], read["Y"]], 1),
        detector_N2=detector_N2,
        ccd_N=ccd_N,
        sky=sky,
        times=times,
        live=_live(path, header, goodtime.length(goodtime.longest(times))),
    )
    return whole._keep(kept_N, ANY_TIME)


def _table(hdus: Any) -> Any:
    from astropy.io import fits

    tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
    found = ogip.with_columns(tables, "TIME", "X", "Y")
    named = [hdu for hdu in found if hdu.name.upper() == "EVENTS"]
    return next(iter(named or found), None)


def _pair(path: Path, table: Any, names: list[str], x: str, y: str) -> Array | None:
    if x not in names or y not in names:
        return None
    return np.stack([ogip.column(path, table, x), ogip.column(path, table, y)], 1)


def _energies(path: Path, table: Any, names: list[str]) -> Array:
    """Energies in keV: ENERGY, or the PI of EPIC, both in eV where no unit says otherwise."""
    xmm = ogip.text(table.header, "TELESCOP").upper().startswith("XMM")
    name = "ENERGY" if "ENERGY" in names else "PI" if xmm and "PI" in names else ""
    if not name:
        raise InputError(f"{path}: no column ENERGY, and no PI of XMM-Newton; add energies in eV")
    unit = (table.columns[name].unit or "").strip().lower()
    if unit not in _EV:
        raise InputError(f"{path}: column {name} has unit {unit!r}; expected eV or keV")
    return ogip.column(path, table, name) * (_EV[unit] / 1e3)


def _good(path: Path, table: Any, names: list[str]) -> NDArray[np.bool_]:
    """Events (N) of good quality by the rules of their instrument."""
    kept_N = np.ones(len(table.data), bool)
    pn = ogip.text(table.header, "INSTRUME").upper() == "EPN"
    if "PATTERN" in names:
        highest = SINGLES_AND_DOUBLES if pn else EPIC_MOS_PATTERN
        kept_N &= ogip.column(path, table, "PATTERN") <= highest
    if "FLAG" in names:
        kept_N &= ogip.column(path, table, "FLAG") == 0
    if pn and "RAWY" in names:
        kept_N &= ogip.column(path, table, "RAWY") >= FIRST_ROW
    if "GRADE" in names:
        kept_N &= np.isin(ogip.column(path, table, "GRADE"), CHANDRA_GRADES)
    if "STATUS" in names:
        status = np.asarray(table.data["STATUS"])
        kept_N &= (status if status.ndim == 1 else status.any(1)) == 0
    return kept_N


def _ccds(path: Path, table: Any, names: list[str], n: int) -> NDArray[np.int64]:
    name = next((name for name in ("CCDNR", "CCD_ID") if name in names), None)
    if name is None:
        return np.full(n, goodtime.ALL)
    return ogip.column(path, table, name).astype(np.int64)


def _sky(header: "fits.Header", names: list[str]) -> Axis | None:
    """Celestial coordinates of X and Y: the columns' own keywords, or XMM-Newton's REFX and REFY.

    FITS standard 4.0, table 22; TCTYP, TCRPX, TCRVL and TCDLT are the older, usual spellings.
    """
    spellings = []
    n = [names.index(name) + 1 for name in ("X", "Y")]
    spellings.append([[f"{key}{i}" for i in n] for key in ("TCTYP", "TCRPX", "TCRVL", "TCDLT")])
    spellings.append(
        [[f"REF{axis}{key}" for axis in "XY"] for key in ("CTYP", "CRPX", "CRVL", "CDLT")]
    )
    for keys in spellings:
        if all(key in header for pair in keys for key in pair):
            ctype, *numbers = ([header[key] for key in pair] for pair in keys)
            crpix, crval, cdelt = ((float(a), float(b)) for a, b in numbers)
            if 0.0 not in cdelt:
                return Axis((str(ctype[0]).strip(), str(ctype[1]).strip()), crpix, crval, cdelt)
    return None


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
