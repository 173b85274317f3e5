"""Small OGIP files made on the spot, with the oddities of real ones; XSPEC's own functions."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits


def runs(row: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of each run of values other than zero."""
    bounds = np.flatnonzero(np.diff(np.concatenate([[0], row != 0, [0]]).astype(int)))
    return [(int(a), int(b)) for a, b in bounds.reshape(-1, 2)]


def rows_of(values: list[Any], dtype: type) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = [np.asarray(v, dtype) for v in values]
    return out


@dataclass
class Files:
    """Writes files into a folder; every option is one oddity."""

    folder: Path

    def _write(self, name: str, hdus: list[Any]) -> Path:
        path = self.folder / name
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
        return path

    def arf(self, area, edges, name="a.arf", unit="cm**2", energy_unit="keV") -> Path:
        edges = np.asarray(edges, float)
        table = fits.BinTableHDU.from_columns(
            [
                fits.Column("ENERG_LO", "D", unit=energy_unit, array=edges[:-1]),
                fits.Column("ENERG_HI", "D", unit=energy_unit, array=edges[1:]),
                fits.Column("SPECRESP", "D", unit=unit, array=np.asarray(area, float)),
            ],
            name="SPECRESP",
        )
        return self._write(name, [table])

    def rmf(
        self,
        matrix,
        edges,
        channel_edges,
        name="a.rmf",
        *,
        hdu_name="MATRIX",
        first=0,
        tlmin="first",
        variable=True,
        ebounds_first=False,
        kind="REDIST",
        copies=1,
        descending=False,
    ) -> Path:
        matrix = np.asarray(matrix, float)
        low, high = np.asarray(channel_edges, float)[:-1], np.asarray(channel_edges, float)[1:]
        if descending:
            matrix, low, high = matrix[:, ::-1], low[::-1], high[::-1]
        edges = np.asarray(edges, float)
        groups = [runs(row) for row in matrix]
        starts = [[a + first for a, _ in row] for row in groups]
        counts = [[b - a for a, b in row] for row in groups]
        values = [row[row != 0] for row in matrix]
        if variable:
            forms = ("PJ()", "PJ()", "PD()")
            arrays = [rows_of(starts, np.int32), rows_of(counts, np.int32), rows_of(values, float)]
        else:  # every row padded to the longest
            n_groups = max(1, *(len(row) for row in groups))
            n_values = max(1, *(len(row) for row in values))
            forms = (f"{n_groups}I", f"{n_groups}I", f"{n_values}D")
            arrays = [
                np.array([list(row) + [0] * (width - len(row)) for row in rows])
                for rows, width in ((starts, n_groups), (counts, n_groups), (values, n_values))
            ]
        columns = [
            fits.Column("ENERG_LO", "D", unit="keV", array=edges[:-1]),
            fits.Column("ENERG_HI", "D", unit="keV", array=edges[1:]),
            fits.Column("N_GRP", "I", array=[len(row) for row in groups]),
            fits.Column("F_CHAN", forms[0], array=arrays[0]),
            fits.Column("N_CHAN", forms[1], array=arrays[1]),
            fits.Column("MATRIX", forms[2], array=arrays[2]),
        ]
        table = fits.BinTableHDU.from_columns(columns, name=hdu_name)
        table.header["HDUCLAS3"] = kind
        if tlmin is not None:
            table.header["TLMIN4"] = first if tlmin == "first" else tlmin
        bounds = fits.BinTableHDU.from_columns(
            [
                fits.Column("CHANNEL", "J", array=np.arange(len(low)) + first),
                fits.Column("E_MIN", "D", unit="keV", array=low),
                fits.Column("E_MAX", "D", unit="keV", array=high),
            ],
            name="EBOUNDS",
        )
        tables = [table.copy() for _ in range(copies)]
        return self._write(name, [bounds, *tables] if ebounds_first else [*tables, bounds])

    def spectrum_hdu(self, counts, *, first=0, column="COUNTS", columns=None, channel=None, **keys):
        counts = np.asarray(counts)
        channel = np.arange(first, first + len(counts)) if channel is None else channel
        cols = [
            fits.Column("CHANNEL", "J", array=channel),
            fits.Column(column, "J" if counts.dtype.kind in "iu" else "D", array=counts),
        ]
        for key, values in (columns or {}).items():
            form = "I" if np.asarray(values).dtype.kind in "iu" else "D"
            cols.append(fits.Column(key, form, array=values))
        hdu = fits.BinTableHDU.from_columns(cols, name="SPECTRUM")
        hdu.header.update({"EXPOSURE": 1000.0, "HDUCLAS1": "SPECTRUM", "HDUCLAS2": "TOTAL"})
        for key, value in keys.items():
            if value is None:
                hdu.header.remove(key)
            else:
                hdu.header[key] = value
        return hdu

    def pha(self, counts, name="a.pha", **options: Any) -> Path:
        return self._write(name, [self.spectrum_hdu(counts, **options)])

    def pha_of(self, *hdus: Any, name="a.pha") -> Path:
        return self._write(name, list(hdus))

    def set(self) -> Path:
        """A spectrum of 4 channels with its background, RMF and ARF; returns the spectrum."""
        self.rmf(np.eye(3, 4) + np.eye(3, 4, 1), [1, 2, 3, 4], [1, 2, 3, 4, 5])
        self.arf([10, 20, 30], [1, 2, 3, 4])
        self.pha([1, 1, 1, 1], "b.pha", EXPOSURE=2000.0, BACKSCAL=4.0)
        return self.pha(
            [5, 6, 7, 8], BACKSCAL=1.0, RESPFILE="a.rmf", ANCRFILE="a.arf", BACKFILE="b.pha"
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture(scope="session")
def make_files() -> type[Files]:
    """For property tests, which need a fresh folder an example."""
    return Files


@pytest.fixture(scope="session")
def xspec() -> Callable[[str, Sequence[float], np.ndarray], np.ndarray]:
    """XSPEC's own functions: `xspec(symbol, parameters, edges)` is the model, norm 1, per bin.

    A symbol that ends in _ is Fortran, which computes in float32.
    """
    os.environ.pop("HEADAS", None)  # xspectrampoline brings its own
    library = pytest.importorskip("xspectrampoline").get_libraries()

    def call(symbol: str, params: Sequence[float], edges: np.ndarray) -> np.ndarray:
        dtype = np.float32 if symbol.endswith("_") else np.float64
        values, errors = (np.zeros(len(edges) - 1, dtype) for _ in range(2))
        library.get_model(symbol)(edges.astype(dtype), np.asarray(params, dtype), values, errors)
        return values.astype(np.float64)

    return call
