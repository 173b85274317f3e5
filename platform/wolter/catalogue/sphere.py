"""Unit vectors of positions on the sky, and the angles between them.

Shapes: N positions.
"""

import numpy as np
from numpy.typing import NDArray


def unit_vectors(ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors (N, 3) of positions in deg."""
    ra_N, dec_N = np.radians(ra_N), np.radians(dec_N)
    return np.stack([np.cos(dec_N) * np.cos(ra_N), np.cos(dec_N) * np.sin(ra_N), np.sin(dec_N)], 1)


def separations(a_N3: NDArray[np.float64], b_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angular separations (N) of unit vectors, deg: 2 atan2(|a - b|, |a + b|).

    Exact to machine precision at every angle (Kahan 2006, "How Futile are Mindless Assessments of
    Roundoff in Floating-Point Computation?", section 12).
    """
    minus_N = np.sqrt(((a_N3 - b_N3) ** 2).sum(1))
    plus_N = np.sqrt(((a_N3 + b_N3) ** 2).sum(1))
    separation_N: NDArray[np.float64] = np.degrees(2 * np.arctan2(minus_N, plus_N))
    return separation_N
