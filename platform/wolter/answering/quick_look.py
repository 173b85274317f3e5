"""Quick look at a record: its counts in few bins, and what a model expects there.

It is small enough to be kept of every record of a catalogue, and says what the bins are along, so
that whoever draws it need not know what was observed.

Shapes: G bin, G1 its edges.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LookAxis:
    """What the bins of quick looks are along.

    Attributes:
        name: of the quantity.
        unit: of the edges.
        scale: in which the bins are even.
    """

    name: str
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"


@dataclass(frozen=True, eq=False)
class QuickLook:
    """Counts of a record in few bins, and what a model expects there.

    Attributes:
        edges_G1: edges of the bins, ascending.
        counts_G: counts that were seen.
        background_G: counts that the background is expected to have among them.
        exposure_s: seconds, by which counts are rates.
        model_G: counts that the model expects, background included: median over the posterior;
            None where there is no model of them.
        low_G, high_G: the same at 16 and 84 % of the posterior; None where there is no posterior.
    """

    edges_G1: Array
    counts_G: Array
    background_G: Array
    exposure_s: float
    model_G: Array | None = None
    low_G: Array | None = None
    high_G: Array | None = None

    @property
    def rate_per_count_G(self) -> Array:
        """Rate per unit of the axis that a count is worth, 1/s."""
        per_count_G: Array = 1 / (np.diff(self.edges_G1) * self.exposure_s)
        return per_count_G

    @property
    def limits_2G(self) -> Array:
        """Ends of the 68 % interval of the counts that are expected where these were seen.

        Gehrels 1986, ApJ 303, 336, equations 7 and 9.
        """
        n_G = self.counts_G
        at_least_G = np.maximum(n_G, 1)
        low_G = n_G * (1 - 1 / (9 * at_least_G) - 1 / (3 * np.sqrt(at_least_G))) ** 3
        return np.stack([low_G, n_G + np.sqrt(n_G + 0.75) + 1])
