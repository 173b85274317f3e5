"""Sherpa's side of the races: its spectra, its model and its fits, all through one response file.

Sherpa has no XSPEC models of its own: it gets its compiled power law, line and black body, and for
the absorption the cheapest model possible, one exponential of a cross section computed beforehand.
Sherpa is optional: ask `installed` first.

Shapes: C channel, E energy, P parameter, in the order of `NAMES`.
"""

import math
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wolter.xray.emission.components import parse
from wolter.xray.spectral.response import read_response

SIGMA_KEV = 0.1
NAMES = ("nh", "slope", "pow_norm", "line_energy", "line_norm", "kt", "bb_norm")

Fitter = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Counts (C), expected background (C) and start (P) -> best parameters (P)."""


def installed() -> bool:
    return find_spec("sherpa") is not None


def optical_depth(energy_edges_E1: torch.Tensor) -> np.ndarray:
    """Optical depth of the Wisconsin absorption (wabs) at nh = 1, in every bin."""
    factor_E = parse("wabs")(energy_edges_E1, {"nh": 0.01})[0]
    return -100 * factor_E.log().numpy()


def spectrum(response: Path, exposure_s: float) -> Any:
    """An empty `DataPHA` with a response file that holds the area."""
    from sherpa.astro.data import DataPHA
    from sherpa.astro.io import read_rmf

    rmf = read_rmf(str(response))
    data = DataPHA("spectrum", np.arange(rmf.detchans) + rmf.offset, np.zeros(rmf.detchans))
    data.exposure = exposure_s
    data.set_response(rmf=rmf)
    return data


def source(response: Path, bounds_2P: np.ndarray) -> Any:
    """`wabs * (powerlaw + gaussian + bbody)`, whose `free` are its parameters."""
    from sherpa.astro.models import BBody
    from sherpa.models.basic import NormGauss1D, PowLaw1D
    from sherpa.models.model import ArithmeticModel
    from sherpa.models.parameter import Parameter

    depth_E = optical_depth(read_response(response).energy_edges_E1)
    power, line, body = PowLaw1D(), NormGauss1D(), BBody()
    fwhm = SIGMA_KEV * math.sqrt(8 * math.log(2))

    class Source(ArithmeticModel):  # its black body has another norm than XSPEC's
        def __init__(self) -> None:
            self.free = []
            for name, low, high in zip(NAMES, *bounds_2P, strict=True):
                self.free.append(Parameter("source", name, low, low, high, low, high))
                setattr(self, name, self.free[-1])
            ArithmeticModel.__init__(self, "source", tuple(self.free))

        def calc(self, p: Any, *edges: Any, **options: Any) -> Any:
            sum_E = power.calc([p[1], 1.0, p[2]], *edges, **options)
            sum_E = sum_E + line.calc([fwhm, p[3], p[4]], *edges, **options)
            sum_E += body.calc([0.0, p[5], p[6] * 8.0525 / p[5] ** 4], *edges, **options)
            return np.exp(-p[0] * depth_E) * sum_E

    return Source()


def fitter(response: Path, exposure_s: float, bounds_2P: np.ndarray) -> Fitter:
    """Levenberg-Marquardt on C-stat with the background known."""
    from sherpa.astro.instrument import Response1D
    from sherpa.fit import Fit
    from sherpa.models.model import ArithmeticModel
    from sherpa.optmethods import LevMar
    from sherpa.stats import CStat

    class Background(ArithmeticModel):
        def __init__(self) -> None:
            self.counts_C = np.zeros(0)
            ArithmeticModel.__init__(self, "background", ())

        def calc(self, *_arguments: Any, **_options: Any) -> Any:
            return self.counts_C

    data = spectrum(response, exposure_s)
    model, background = source(response, bounds_2P), Background()
    fitting = Fit(data, Response1D(data)(model) + background, CStat(), LevMar())

    def fit(counts_C: np.ndarray, background_C: np.ndarray, start_P: np.ndarray) -> np.ndarray:
        data.counts, background.counts_C = counts_C, background_C
        for parameter, value in zip(model.free, start_P, strict=True):
            parameter.val = value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            best = fitting.fit()
        return np.array(best.parvals)

    return fit
