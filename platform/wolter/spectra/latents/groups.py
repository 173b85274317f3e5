"""Groups of classes: active galactic nuclei against compact objects of stars.

Shapes: N source.
"""

from collections.abc import Sequence

import numpy as np

from wolter.spectra.catalogue_rows.columns import COMPACT
from wolter.spectra.latents.sources import UNKNOWN, Indices

AGN = ("AGN",)


def two_groups(class_N: Indices, names: Sequence[str]) -> Indices:
    """0 for active galactic nuclei, 1 for compact objects, `UNKNOWN` for all others."""
    group_K = [0 if name in AGN else 1 if name in COMPACT else UNKNOWN for name in names]
    lookup = np.array([*group_K, UNKNOWN])  # the last is of sources of no class
    found: Indices = lookup[class_N]
    return found
