"""Event lists made up as the pipelines of XMM-Newton and Chandra write them.

Shapes: N events.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy.io import fits
from astropy.table import Table

from wolter.xray.imaging.epic_pn_exposure import CORNER_DET
from wolter.xray.instruments import epic_pn_camera as camera

TURN = np.radians(62.0)  # from detector to sky
REFERENCE = (25921, 25921)  # X, Y
POINTING = (83.633, 22.014)  # RA and Dec there
STEP = 0.05 / 3600  # deg
ON_AXIS = np.array(CORNER_DET) + (np.array(camera.BORESIGHT[::-1]) - 0.5) * 80
WORDS = {
    "TELESCOP": "XMM",
    "INSTRUME": "EPN",
    "FILTER": "Thin1",
    "OBS_ID": "0123456789",
    "OBJECT": "Nothing",
}


def turned(detector_N2: np.ndarray) -> np.ndarray:
    """X and Y of detector coordinates."""
    turn = np.array([[np.cos(TURN), np.sin(TURN)], [-np.sin(TURN), np.cos(TURN)]])
    return (detector_N2 - ON_AXIS) @ turn + np.array(REFERENCE)


def ccd_of(detector_N2: np.ndarray) -> np.ndarray:
    """CCD of detector coordinates."""
    column, row = np.floor((detector_N2 - np.array(CORNER_DET)) / 80 + 0.5).astype(int).T
    numbers = camera.ccd_numbers()
    at = (
        torch.from_numpy(row) + camera.CORNER[0],
        torch.from_numpy(column) + camera.CORNER[1],
    )
    return numbers[at].numpy()


def good_times(late: float = 0.0) -> dict[int, list[tuple[float, float]]]:
    """Two stretches of every CCD, 30 ks in all; the third begins `late` seconds later."""
    stretches = [(1000.0, 16_000.0), (20_000.0, 35_000.0)]
    times = dict.fromkeys(range(1, 13), stretches)
    times[3] = [(1000.0 + late, 16_000.0), stretches[1]]
    return times


def epic_pn(
    path: Path,
    n: int = 20_000,
    times: dict[int, list[tuple[float, float]]] | None = None,
    change: dict[str, Any] | None = None,
    seed: int = 0,
    **words: Any,
) -> np.ndarray:
    """Write events spread over the live pixels, all good, in 0.5-2 keV; returns their DETX, DETY.

    Args:
        path: of the file.
        n: events.
        times: good time intervals of each CCD.
        change: column -> function of its values that gives what is written.
        seed: of all that is drawn.
        words: of the header, in place of the usual ones; None: left out.
    """
    rng = np.random.default_rng(seed)
    times = times or good_times()
    row, column = np.nonzero(camera.live()[camera.native()].numpy())
    which = rng.integers(len(row), size=n)
    unit_N2 = rng.uniform(-0.5, 0.5, (n, 2))
    detector_N2 = np.stack([column, row], 1)[which] * 80.0 + CORNER_DET + unit_N2 * 80
    detector_N2 = np.round(detector_N2)  # edges lie at halves
    ccd_N = ccd_of(detector_N2)
    sky_N2 = turned(detector_N2)
    columns = {
        "TIME": [_draw(rng, times[ccd]) for ccd in ccd_N],
        "X": sky_N2[:, 0],
        "Y": sky_N2[:, 1],
        "DETX": detector_N2[:, 0],
        "DETY": detector_N2[:, 1],
        "PI": rng.integers(500, 2000, n),
        "PATTERN": rng.integers(0, 5, n),
        "FLAG": np.zeros(n, np.int32),
        "CCDNR": ccd_N,
        "RAWX": rng.integers(1, 65, n),
        "RAWY": rng.integers(13, 201, n),
    }
    for name, function in (change or {}).items():
        columns[name] = function(np.array(columns[name]))
    total = max(sum(b - a for a, b in each) for each in times.values())
    words = {**WORDS, "ONTIME": total, "LIVETIME": 0.9 * total, "EXPOSURE": 0.9 * total, **words}
    for i, axis in enumerate("XY"):
        words[f"REF{axis}CTYP"] = ("RA---TAN", "DEC--TAN")[i]
        words[f"REF{axis}CRPX"] = REFERENCE[i]
        words[f"REF{axis}CRVL"] = POINTING[i]
        words[f"REF{axis}CDLT"] = (-STEP, STEP)[i]
    events = _table(columns, "EVENTS", {k: v for k, v in words.items() if v is not None})
    gtis = [_gti(f"STDGTI{ccd:02d}", each, CCDID=ccd) for ccd, each in times.items()]
    fits.HDUList([fits.PrimaryHDU(), events, *gtis]).writeto(path, overwrite=True)
    return detector_N2


def chandra(path: Path, columns: dict[str, Any], times: dict[int, list[tuple[float, float]]]):
    """Write a list of ACIS with sky positions in columns x and y of 0.492 arcsec."""
    words = {"TELESCOP": "CHANDRA", "INSTRUME": "ACIS", "OBS_ID": "4487", "OBJECT": "star"}
    names = list(columns)
    for i, axis in enumerate("xy"):
        n = names.index(axis) + 1
        words |= {f"TCTYP{n}": ("RA---TAN", "DEC--TAN")[i], f"TCRPX{n}": 4096.5}
        words |= {f"TCRVL{n}": POINTING[i], f"TCDLT{n}": (-1, 1)[i] * 0.492 / 3600}
    total = max(sum(b - a for a, b in each) for each in times.values())
    words |= {"ONTIME": total, "LIVETIME": 0.98 * total, "EXPOSURE": 0.98 * total}
    gtis = [_gti(f"GTI{ccd}", each, CCD_ID=ccd) for ccd, each in times.items()]
    hdus = [fits.PrimaryHDU(), _table(columns, "EVENTS", words), *gtis]
    fits.HDUList(hdus).writeto(path, overwrite=True)


def _draw(rng: np.random.Generator, stretches: list[tuple[float, float]]) -> float:
    lengths = np.array([b - a for a, b in stretches])
    which = rng.choice(len(lengths), p=lengths / lengths.sum())
    return float(rng.uniform(*stretches[which]))


def _table(columns: dict[str, Any], name: str, words: dict[str, Any]) -> fits.BinTableHDU:
    hdu = fits.BinTableHDU(Table(columns), name=name)
    hdu.header.update(words)
    return hdu


def _gti(name: str, stretches: list[tuple[float, float]], **words: Any) -> fits.BinTableHDU:
    start, stop = zip(*stretches, strict=True)
    hduclass = {"HDUCLASS": "OGIP", "HDUCLAS1": "GTI"}
    return _table({"START": list(start), "STOP": list(stop)}, name, {**hduclass, **words})
