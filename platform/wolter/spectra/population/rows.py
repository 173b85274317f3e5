"""Real catalogue rows that simulated sources follow: `wolter simulate population --like ROWS.csv`.

Shapes: R rows, 3 the bands s, m, h.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.spectra.population.classes import NAMES

FLUXES = ("Fcsc_s", "Fcsc_m", "Fcsc_h")
ERRORS = ("e_Fcsc_s", "e_Fcsc_m", "e_Fcsc_h")
OTHERS = ("powlaw_gamma_mean", "e_powlaw_gamma_mean", "var_intra_prob", "var_inter_prob")
_COLUMNS = ("name", "Class", *FLUXES, *ERRORS, *OTHERS)

# Energy flux of one count in each band, over that of the soft one: medians of error^2 / flux of
# labelled Chandra sources that are seen at 3 sigma in all bands.
_COUNT_FLUX = np.array([1.0, 0.85, 3.1])
_LEAST_RELATIVE_ERROR = 0.05  # of a flux: templates are no denser


@dataclass(frozen=True)
class Rows:
    """Rows of a catalogue.

    Attributes:
        names: names of the sources.
        class_R: index of the class.
        flux_R3: band fluxes, erg cm^-2 s^-1.
        error_R3: their errors, as the catalogue has them.
        other_R4: photon index, its error, and probabilities of variability; NaN where unknown.
        rejects: name and reason of the rows that cannot be followed.
    """

    names: tuple[str, ...]
    class_R: NDArray[np.int64]
    flux_R3: NDArray[np.float64]
    error_R3: NDArray[np.float64]
    other_R4: NDArray[np.float64]
    rejects: tuple[tuple[str, str], ...] = field(default=())

    def __len__(self) -> int:
        return len(self.names)

    def errors(self) -> NDArray[np.float64]:
        """Errors (R, 3) of at least the flux of one count, as the best band tells it.

        Where nothing was seen, catalogues fill in small numbers.
        """
        best_R = (self.flux_R3 / self.error_R3).argmax(1)
        at = np.arange(len(self)), best_R
        one_R = self.error_R3[at] ** 2 / self.flux_R3[at] / _COUNT_FLUX[best_R]
        errors: NDArray[np.float64] = np.maximum(self.error_R3, one_R[:, None] * _COUNT_FLUX)
        return errors

    def fit_errors(self) -> NDArray[np.float64]:
        """Errors (R, 3) that templates are weighted by: also at least 5 % of the flux."""
        errors: NDArray[np.float64] = np.maximum(
            self.errors(), _LEAST_RELATIVE_ERROR * self.flux_R3
        )
        return errors

    def counts(self) -> NDArray[np.float64]:
        """Expected counts (R) that make such errors: the sum over bands of (flux / error)^2."""
        counts: NDArray[np.float64] = ((self.flux_R3 / self.errors()) ** 2).sum(1)
        return counts

    def kept(self, good_R: NDArray[np.bool_], reason: str) -> "Rows":
        """The good rows; the others are rejected."""
        lost = tuple((self.names[i], reason) for i in np.flatnonzero(~good_R))
        return Rows(
            tuple(self.names[i] for i in np.flatnonzero(good_R)),
            self.class_R[good_R],
            self.flux_R3[good_R],
            self.error_R3[good_R],
            self.other_R4[good_R],
            (*self.rejects, *lost),
        )


def read_rows(path: Path) -> Rows:
    """Read a table of labelled sources.

    Rows of an unknown class, without a name, or with a flux or error that is none are rejected.

    Args:
        path: CSV file with the columns name, Class, Fcsc_s, Fcsc_m, Fcsc_h (erg cm^-2 s^-1),
            e_Fcsc_s, e_Fcsc_m, e_Fcsc_h, powlaw_gamma_mean, e_powlaw_gamma_mean, var_intra_prob and
            var_inter_prob.

    Raises:
        InputError: the file cannot be read, or a column is missing.
    """
    import pyarrow as pa
    from pyarrow import csv

    text = csv.ConvertOptions(column_types=dict.fromkeys(("name", "Class"), pa.string()))
    try:
        table = csv.read_csv(path, convert_options=text)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: not a table of comma-separated values ({error})") from None
    if missing := [name for name in _COLUMNS if name not in table.column_names]:
        raise InputError(f"{path}: no column {', '.join(missing)}; it needs {', '.join(_COLUMNS)}")

    def numbers(names: tuple[str, ...]) -> NDArray[np.float64]:
        try:
            columns = [table[name].cast(pa.float64()) for name in names]
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: {', '.join(names)} must be numbers ({error})") from None
        return np.stack([column.to_numpy(zero_copy_only=False) for column in columns], 1)

    names = tuple(name or "" for name in table["name"].to_pylist())
    classes = [(name or "").strip().upper() for name in table["Class"].to_pylist()]
    class_R = np.array([NAMES.index(name) if name in NAMES else -1 for name in classes])
    rows = Rows(names, class_R, numbers(FLUXES), numbers(ERRORS), numbers(OTHERS))
    rows = rows.kept(np.array([bool(name) for name in rows.names], bool), "it has no name")
    rows = rows.kept(rows.class_R >= 0, f"its class is none of {', '.join(NAMES)}")
    rows = rows.kept(_positive(rows.flux_R3), "a band flux is missing or not above 0")
    return rows.kept(_positive(rows.error_R3), "an error of a band flux is missing or not above 0")


def _positive(values_R3: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((np.isfinite(values_R3) & (values_R3 > 0)).all(1))
