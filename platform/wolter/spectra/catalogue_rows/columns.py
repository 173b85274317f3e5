"""Columns of an X-ray source catalogue, by the names of the Chandra Source Catalog.

Shapes: B band (s 0.5-1.2, m 1.2-2, h 2-7 keV), N row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.spectra.catalogue_rows.table_files import read_columns

Array = NDArray[np.float64]
CLASSES = ("AGN", "YSO", "LM-STAR", "HM-STAR", "HMXB", "LMXB", "NS", "CV")
COMPACT = ("HMXB", "LMXB", "NS", "CV")
UNKNOWN = -1  # index of the class of a row without one
UNNAMED = "row "  # begins the name of a row without one, which its number follows
BANDS = "smh"

# Accepted names of each column, in order of preference; case does not matter.
NAMES: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "2CXO"),
    "ra": ("ra",),
    "dec": ("dec",),
    **{f"flux_{b}": (f"Fcsc_{b}", f"flux_aper_avg_{b}", f"flux_aper_{b}") for b in BANDS},
    **{f"error_{b}": (f"e_Fcsc_{b}",) for b in BANDS},
    "gamma": ("powlaw_gamma_mean", "powlaw_gamma"),
    "gamma_error": ("e_powlaw_gamma_mean", "e_powlaw_gamma"),
    "var_intra": ("var_intra_prob", "var_intra_prob_b"),
    "var_inter": ("var_inter_prob", "var_inter_prob_b"),
    "class": ("Class", "true_Class"),
}
REQUIRED = tuple(f"{kind}_{b}" for kind in ("flux", "error") for b in BANDS)
OPTIONAL = ("gamma", "gamma_error", "var_intra", "var_inter")


@dataclass(frozen=True)
class CatalogueRows:
    """Measured quantities of catalogue sources.

    Attributes:
        name_N: name of the source, or its row number.
        ra_N: right ascension, deg; NaN unknown.
        dec_N: declination, deg; NaN unknown.
        flux_NB: energy flux of each band, erg/s/cm^2.
        error_NB: its standard error, erg/s/cm^2.
        gamma_N: photon index of a power law; NaN where the catalogue has none.
        gamma_error_N: its standard error.
        var_intra_N: probability that the source varied within an observation; NaN unknown.
        var_inter_N: probability that it varied between observations; NaN unknown.
        class_N: index into `CLASSES`; `UNKNOWN` without a class.
    """

    name_N: NDArray[np.str_]
    ra_N: Array
    dec_N: Array
    flux_NB: Array
    error_NB: Array
    gamma_N: Array
    gamma_error_N: Array
    var_intra_N: Array
    var_inter_N: Array
    class_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.name_N)

    @property
    def named_N(self) -> NDArray[np.bool_]:
        """True for rows that the table names; numbers of rows are no names of sources."""
        return np.array([not name.startswith(UNNAMED) for name in self.name_N], bool)

    def also_in(self, other: "CatalogueRows") -> NDArray[np.bool_]:
        """Mask of the rows (N) whose source another table has, too, by its name."""
        return np.isin(self.name_N, other.name_N[other.named_N])

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.int64]) -> "CatalogueRows":
        """The rows of a mask or of indices."""
        return CatalogueRows(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class ReadRows:
    """Rows of a table that can be used, and what was left out.

    Attributes:
        rows: usable rows.
        rejects: source and reason of each row that is not usable.
        absent: optional columns that the table does not have.
    """

    rows: CatalogueRows
    rejects: tuple[tuple[str, str], ...]
    absent: tuple[str, ...]


def read_rows(
    path: Path, given: Sequence[str] = (), labelled: bool = False, positions: bool = False
) -> ReadRows:
    """Read the rows of a source catalogue; columns are found by name.

    A row without a usable flux or error in each band is rejected with the reason. Slope and
    variability may be missing.

    Args:
        path: table as .csv, .parquet, .fits, .vot or .xml.
        given: NAME=COLUMN of columns with other names than those in `NAMES`.
        labelled: reject rows without one of `CLASSES`.
        positions: reject rows without a position.

    Raises:
        InputError: the file is unreadable, a column is missing, or no row is usable.
    """
    columns = read_columns(path)
    found = _find(path, columns, given)
    wanted = [*REQUIRED, *(["class"] if labelled else []), *(["ra", "dec"] if positions else [])]
    missing = [name for name in wanted if name not in found]
    if missing:
        told = "; ".join(f"{name} (as {' or '.join(NAMES[name])})" for name in missing)
        raise InputError(
            f"{path}: no column for {told}; name yours with --column {missing[0]}=COLUMN"
        )
    n = len(next(iter(columns.values())))
    numbers = {
        name: _numbers(path, columns[found[name]], found[name])
        if name in found
        else np.full(n, np.nan)
        for name in (*REQUIRED, *OPTIONAL, "ra", "dec")
    }
    if not positions:  # else such a row is rejected
        ra_N, dec_N = numbers["ra"], numbers["dec"]
        off_N = ~((ra_N >= 0) & (ra_N <= 360) & (np.abs(dec_N) <= 90))
        numbers |= {name: np.where(off_N, np.nan, numbers[name]) for name in ("ra", "dec")}
    names, labels = (
        [_word(x) for x in columns[found[column]]] if column in found else [""] * n
        for column in ("name", "class")
    )
    rows = CatalogueRows(
        name_N=np.array(
            [name or f"{UNNAMED}{i + 1}" for i, name in enumerate(names)], dtype=np.str_
        ),
        ra_N=numbers["ra"],
        dec_N=numbers["dec"],
        flux_NB=np.stack([numbers[f"flux_{b}"] for b in BANDS], 1),
        error_NB=np.stack([numbers[f"error_{b}"] for b in BANDS], 1),
        gamma_N=numbers["gamma"],
        gamma_error_N=numbers["gamma_error"],
        var_intra_N=numbers["var_intra"],
        var_inter_N=numbers["var_inter"],
        class_N=np.array([CLASSES.index(x) if x in CLASSES else UNKNOWN for x in labels], np.int64),
    )
    reasons = _reasons(rows, labels if labelled else None, positions)
    kept_N = np.array([not reason for reason in reasons], bool)
    rejects = tuple(
        (str(name), reason) for name, reason in zip(rows.name_N, reasons, strict=True) if reason
    )
    if not kept_N.any():
        why = f": {rejects[0][0]}: {rejects[0][1]}" if rejects else ""
        raise InputError(f"{path}: none of {n} rows can be used{why}")
    return ReadRows(rows[kept_N], rejects, tuple(name for name in OPTIONAL if name not in found))


def _find(path: Path, columns: Mapping[str, object], given: Sequence[str]) -> dict[str, str]:
    """Column of each quantity that the table has."""
    lower = {name.lower(): name for name in columns}
    found = {
        name: next(lower[a.lower()] for a in accepted if a.lower() in lower)
        for name, accepted in NAMES.items()
        if any(a.lower() in lower for a in accepted)
    }
    for text in given:
        name, _, column = text.partition("=")
        if name not in NAMES:
            raise InputError(f"--column {text}: give NAME=COLUMN with NAME of {', '.join(NAMES)}")
        if column not in columns:
            raise InputError(f"--column {text}: {path} has no column {column!r}")
        found[name] = column
    return found


def _numbers(path: Path, values: NDArray[np.generic], column: str) -> Array:
    """A column as numbers; what is empty or masked is NaN."""
    try:
        return np.array([np.nan if _empty(x) else float(x) for x in values.tolist()])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: column {column} has no numbers ({error})") from error


def _word(value: object) -> str:
    """A cell as text; what is empty, masked or NaN is empty."""
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    return "" if missing else str(value).strip()


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _reasons(rows: CatalogueRows, labels: Sequence[str] | None, positions: bool) -> list[str]:
    """Why each row is not usable; empty where it is."""
    found, seen = [], set[str]()
    for i, name in enumerate(rows.name_N):
        reason = _reason(rows, i, positions)
        if not reason and labels is not None and rows.class_N[i] == UNKNOWN:
            reason = f"class {labels[i]!r} is none of {', '.join(CLASSES)}"
        if not reason and labels is not None and name in seen:
            reason = "a source of this name came before"
        if not reason:
            seen.add(str(name))
        found.append(reason)
    return found


def _reason(rows: CatalogueRows, i: int, positions: bool) -> str:
    for b, band in enumerate(BANDS):
        flux, error = rows.flux_NB[i, b], rows.error_NB[i, b]
        if not (np.isfinite(flux) and flux >= 0):
            return f"flux_{band} is {flux:g}; needed: 0 or more, erg/s/cm^2"
        if not (np.isfinite(error) and error > 0):
            return f"error_{band} is {error:g}; needed: above 0, erg/s/cm^2"
    if not rows.flux_NB[i].any():
        return "no flux in any band"
    for name in ("var_intra", "var_inter"):
        value = getattr(rows, f"{name}_N")[i]
        if value < 0 or value > 1:
            return f"{name} is {value:g}; needed: a probability"
    if rows.gamma_error_N[i] <= 0:
        return f"gamma_error is {rows.gamma_error_N[i]:g}; needed: above 0"
    ra, dec = rows.ra_N[i], rows.dec_N[i]
    if positions and not (0 <= ra <= 360 and -90 <= dec <= 90):
        return f"position is ra {ra:g}, dec {dec:g}; needed: 0 to 360 and -90 to 90 deg"
    return ""
