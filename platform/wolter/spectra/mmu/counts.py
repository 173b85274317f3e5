"""Counts behind a grouped, background-subtracted spectrum of rates and errors.

The spectra of the MultimodalUniverse are Sherpa's plots: the background subtracted, channels from
0.5 to 8 keV grouped until each group holds 5 counts, counts/s/keV with errors of Gehrels' formula,
1 + sqrt(N + 0.75) (Gehrels 1986, ApJ 303, 336), which is Sherpa's default. An error is thus a
function of the counts N of its group and of the exposure alone, as long as the error of the scaled
background is small beside it, and both are found again:

- The exposure follows from the least error, which is that of 5 counts. Where a spectrum is so
  bright that no group has as few, it follows from the group that has the least background.
- The counts of each group, background included, follow from its error. Its background is what the
  rate leaves of them.

With background regions 20 times the source's, as in the Chandra Source Catalog, exposures are right
to 0.1 % and the counts of all groups are exact. With one of twice the source's area and a third of
the counts from the background, the exposure is 4 % and the counts are 20 % off; the difference of
counts and background is right to the exposure's error always. Had (rate/error)^2 been taken for the
counts, as if errors were Gaussian, half of them would be missing. Where Gehrels' errors contradict
the rates, Gaussian errors, sqrt(N), are assumed.

Shapes: C channel, G group of channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.spectra.grid import ACIS_CHANNEL_KEV

Array = NDArray[np.float64]

GROUPED = 5.0  # counts of a full group
BAND_KEV = (0.7, 7.0)  # that groups must cover: nearly all counts of any source
_CONTRADICTION = 1.05  # exposure from rates over that from errors; Gehrels' errors give 1.01


@dataclass(frozen=True)
class ErrorLaw:
    """Formula of the error of N counts.

    Attributes:
        name: name of the formula.
        error: error of counts.
        counts: counts of an error.
        of_ratio: counts whose ratio to their error is given.
    """

    name: str
    error: Callable[[Array], Array]
    counts: Callable[[Array], Array]
    of_ratio: Callable[[Array], Array]


GEHRELS = ErrorLaw(
    "gehrels",
    lambda n: 1 + np.sqrt(n + 0.75),
    lambda e: np.maximum(e - 1, 0.75**0.5) ** 2 - 0.75,
    lambda r: r * (1 + r / 2 + np.sqrt(r * r / 4 + r + 0.75)),
)
GAUSSIAN = ErrorLaw("gaussian", np.sqrt, np.square, np.square)


@dataclass(frozen=True, eq=False)
class GroupedSpectrum:
    """Spectrum of groups of channels: edges in keV, rates and errors in counts/s/keV."""

    low_G: Array
    high_G: Array
    rate_G: Array
    error_G: Array

    @classmethod
    def of(
        cls,
        low: Sequence[float] | None,
        high: Sequence[float] | None,
        rate: Sequence[float] | None,
        error: Sequence[float] | None,
    ) -> "GroupedSpectrum":
        """Check and convert the columns of one spectrum.

        Raises:
            InputError: there is none, lengths differ, a value is not finite, an error is not above
                0, energies do not ascend, or the groups do not cover `BAND_KEV`.
        """
        columns = {"lower energies": low, "upper energies": high, "fluxes": rate, "errors": error}
        arrays = {
            name: np.atleast_1d(np.asarray([] if values is None else values, np.float64))
            for name, values in columns.items()
        }
        if not any(len(values) for values in arrays.values()):
            raise InputError("no spectrum; leave the row out")
        if len({len(values) for values in arrays.values()}) > 1:
            told = ", ".join(f"{len(values)} {name}" for name, values in arrays.items())
            raise InputError(f"lengths differ: {told}; make the row again")
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                at = int(np.flatnonzero(~np.isfinite(values))[0])
                raise InputError(f"{name}: {values[at]} in group {at}; make the row again")
        spectrum = cls(*arrays.values())
        spectrum._check()
        return spectrum

    def _check(self) -> None:
        if not (self.error_G > 0).all():
            at = int(np.argmin(self.error_G))
            raise InputError(f"errors: {self.error_G[at]:g} in group {at} is not above 0")
        step = 0.1 * ACIS_CHANNEL_KEV
        overlaps = self.low_G[1:] < self.high_G[:-1] - step
        if (self.width_G <= 0).any() or overlaps.any():
            raise InputError("energies do not ascend, or groups overlap; sort them by energy")
        low, high = BAND_KEV
        if self.low_G[0] > low or self.high_G[-1] < high:
            raise InputError(
                f"band not covered: groups from {self.low_G[0]:.3g} to {self.high_G[-1]:.3g} keV, "
                f"expected {low:g} to {high:g}"
            )
        if len(self.low_G) < 2:
            raise InputError("one group only, from which no exposure can be told")

    @property
    def width_G(self) -> Array:
        """Widths of the groups, keV."""
        return self.high_G - self.low_G


@dataclass(frozen=True, eq=False)
class GroupedCounts:
    """Counts of a spectrum's groups, as far as rates and errors tell them.

    Attributes:
        exposure_s: exposure, s.
        counts_G: whole counts, background included.
        background_G: background expected among them.
        law: formula of the errors.
    """

    exposure_s: float
    counts_G: Array
    background_G: Array
    law: ErrorLaw


def recover(spectrum: GroupedSpectrum) -> GroupedCounts:
    """Find exposure and counts of a grouped spectrum from its rates and errors."""
    law, exposure_s = GEHRELS, 0.0
    for each in (GEHRELS, GAUSSIAN):
        by_error, by_rate = _exposures(spectrum, each)
        if by_rate <= _CONTRADICTION * by_error:
            law, exposure_s = each, max(by_error, by_rate)
            break
    else:  # no group has as few as 5 counts
        exposure_s = _exposures(spectrum, GEHRELS)[1]
    counts_G = np.round(law.counts(spectrum.error_G * spectrum.width_G * exposure_s))
    net_G = spectrum.rate_G * spectrum.width_G * exposure_s
    return GroupedCounts(exposure_s, counts_G, np.clip(counts_G - net_G, 0, counts_G), law)


def _exposures(spectrum: GroupedSpectrum, law: ErrorLaw) -> tuple[float, float]:
    """Exposures, s, by the least error, and by the group with the least background.

    Neither can be too long: the error of a background makes the first shorter, and a background the
    second.
    """
    error_G, net_G = spectrum.error_G * spectrum.width_G, spectrum.rate_G * spectrum.width_G
    full_G = error_G[:-1]  # the last group may hold fewer counts
    by_error = float(law.error(np.array(GROUPED))) / float(full_G.min())
    ratio_G = np.maximum(net_G / error_G, 0)
    positive_G = ratio_G > 0
    longest_G = law.of_ratio(ratio_G[positive_G]) / net_G[positive_G]
    return by_error, float(longest_G.max(initial=0.0))


def spread(
    spectrum: GroupedSpectrum, counts: GroupedCounts, edges_C1: Array
) -> tuple[Array, Array]:
    """Counts and background (C) in channels of a grid, fractions of counts where need be.

    A group ends with the channel that fills it: of its N counts all but 4 are there (of a group
    filled by n, all but n - 1). The others may be anywhere in the group, and are spread evenly over
    it, as the background is. What lies outside the grid is lost.
    """
    counts_G, low_G, high_G = counts.counts_G, spectrum.low_G, spectrum.high_G
    least = max(GROUPED, float(counts_G[:-1].min()))
    anywhere_G = np.minimum(counts_G, least - 1)
    anywhere_G[-1] = counts_G[-1]  # nothing filled it
    last_G = np.maximum(high_G - ACIS_CHANNEL_KEV, low_G)  # where the last channel begins
    before_G = anywhere_G * (last_G - low_G) / spectrum.width_G
    begin_G = np.cumsum(counts_G) - counts_G
    knots = np.stack([low_G, last_G, high_G], 1).ravel()
    summed = np.stack([begin_G, begin_G + before_G, begin_G + counts_G], 1).ravel()
    edges = np.stack([low_G, high_G], 1).ravel()
    sum_G = np.cumsum(counts.background_G)
    background = np.stack([sum_G - counts.background_G, sum_G], 1).ravel()
    counts_C = np.diff(np.interp(edges_C1, knots, summed))
    return counts_C, np.diff(np.interp(edges_C1, edges, background))
