"""Independent references of the physics."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest


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
