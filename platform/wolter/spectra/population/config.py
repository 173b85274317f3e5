"""Configuration of a simulated population of Chandra sources."""

import math
from dataclasses import dataclass, field
from typing import Literal

from wolter.errors import InputError
from wolter.spectra.grid import acis_grid
from wolter.spectra.population.classes import CLASSES, NAMES
from wolter.spectra.population.observing import ObservingConfig

Thermal = Literal["plasma", "bremsstrahlung"]


@dataclass(frozen=True)
class PopulationConfig:
    """Configuration of a population.

    Attributes:
        mix: shares of the classes: "catalogue", as among labelled Chandra sources; "equal"; or
            CLASS=SHARE,... such as "AGN=2,CV=1".
        thermal: what stars, YSOs and CVs emit: plasma, which needs the extra `plasma`, or
            bremsstrahlung with the strongest lines.
        counts: range of the expected counts of a source, and
        counts_slope: the slope of their cumulative distribution, N(> counts) ~ counts^-slope.
        significance: least signal-to-noise ratio of a record; 0: all are kept.
        observing: exposures, detectors, years, off-axis angles.
        energy_edges: keV, the grid of the records.
    """

    mix: str = "catalogue"
    thermal: Thermal = "plasma"
    counts: tuple[float, float] = (20.0, 20_000.0)
    counts_slope: float = 0.7
    significance: float = 5.0
    observing: ObservingConfig = field(default_factory=ObservingConfig)
    energy_edges: tuple[float, ...] = field(default_factory=acis_grid)

    def __post_init__(self) -> None:
        """Check the values."""
        low, high = self.counts
        slope, significance = self.counts_slope, self.significance
        if not (
            0 < low < high < math.inf and 0 < slope < math.inf and 0 <= significance < math.inf
        ):
            raise InputError(
                f"counts = {low:g}, {high:g}, counts_slope = {slope:g}, significance = "
                f"{significance:g}: give 0 < low < high, a slope above 0 and 0 or more"
            )
        self.shares()

    def shares(self) -> tuple[float, ...]:
        """Share of each class; they sum to 1.

        Raises:
            InputError: the mix names a class that there is none of, or no share above 0.
        """
        if self.mix == "catalogue":
            weights = {each.name: float(each.labelled) for each in CLASSES}
        elif self.mix == "equal":
            weights = dict.fromkeys(NAMES, 1.0)
        else:
            weights = self._named()
        total = sum(weights.values())
        return tuple(weights.get(name, 0.0) / total for name in NAMES)

    def _named(self) -> dict[str, float]:
        weights = {}
        for part in self.mix.split(","):
            name, _, value = part.partition("=")
            name = name.strip().upper()
            try:
                weights[name] = float(value)
            except ValueError:
                weights[name] = -1.0
            if name not in NAMES or not 0 <= weights[name] < math.inf:
                raise InputError(
                    f"mix {self.mix!r}: give catalogue, equal, or CLASS=SHARE,... of "
                    f"{', '.join(NAMES)}"
                )
        if not sum(weights.values()) > 0:
            raise InputError(f"mix {self.mix!r}: give one class at least a share above 0")
        return weights
