"""Table of thermal plasma spectra, from the network of the optional package nnapec.

nnapec (GPL-3) holds a small network that was trained on the APEC spectra of AtomDB (Smith et al.
2001, ApJ 556, L91; abundances of Anders & Grevesse 1989). The network's file is read; the package
is never imported.

The network's abundance is compressed below half of solar: its lines of metals at 0.3 are 0.45 of
those at 1, and at 0.02 still 0.3. Above, they are proportional. It was trained evenly in
temperature up to 64 keV, so that lines of iron below 1 keV are smoothed over temperature: those of
Fe XXIII at 1.05 keV are there at kT 0.3 keV, those of Fe XVII are too faint.

Shapes: A abundance, K temperature, M temperature and abundance, N energy bin of the network, N1 its
edges.
"""

import functools
import importlib.metadata
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError

REMEDY = (
    "install it with: pip install 'wolter[plasma]', or without the packages that nnapec imports "
    "and wolter does not need: pip install h5py && pip install --no-deps nnapec"
)
KT_KEV = (0.0801, 63.99)
"""Range of temperatures that the network was trained on."""
ABUNDANCES = (0.02, 0.06, 0.12, 0.2, 0.3, 0.42, 0.57, 0.75, 1.0, 1.4, 2.0, 2.8, 3.8, 5.0)
"""Knots of the abundance; the network's metal lines do not vanish below the first."""
LOG_STEP = 0.03
"""Distance of neighbouring temperatures of the table, at most."""
MAX_EXPONENT = 60.0
"""E / kT beyond which the table does not follow the Boltzmann factor."""

_FILE = "nn_apec.h5"
_LAYERS = range(0, 13, 2)
_TOGETHER = 16  # temperatures


@dataclass(frozen=True, eq=False)
class PlasmaTable:
    """Photons of a plasma of norm 1 in each energy bin of the network.

    Attributes:
        edges_N1: keV, float64.
        log_kt_K: natural logarithm of the temperatures in keV, equally spaced.
        flux_KAN: photons cm^-2 s^-1 in each bin, over the Boltzmann factor of its energy: smooth in
            temperature. Float32.
    """

    edges_N1: Tensor
    log_kt_K: Tensor
    flux_KAN: Tensor


def boltzmann(energy_N: Tensor, kt: Tensor) -> Tensor:
    """The factor exp(-E/kT), held at its value at `MAX_EXPONENT`.

    Args:
        energy_N: keV.
        kt: one temperature, keV, or a column of them (M, 1), for a factor (M, N).
    """
    return torch.exp(-(energy_N / kt).clamp(max=MAX_EXPONENT))


def plasma_table() -> PlasmaTable:
    """The table, kept for later calls.

    Raises:
        InputError: nnapec or h5py is not installed, or its file is not what it was.
    """
    return _made(network_file())


def network_file() -> Path:
    """The network's file in the installed package.

    Raises:
        InputError: nnapec is not installed.
    """
    try:
        files = importlib.metadata.files("nnapec") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.name == _FILE and path.is_file():
            return path
    raise InputError(f"the component 'plasma' needs the package nnapec; {REMEDY}")


@dataclass(frozen=True, eq=False)
class Network:
    """The network of nnapec.

    Attributes:
        weights: (weight, bias) of each layer, float32.
        shift_2, scale_2: of its inputs, abundance and temperature.
        value_shift_N, value_scale_N: of the logarithm of its outputs.
        energy_N: keV, equally spaced in their logarithm.
    """

    weights: tuple[tuple[Tensor, Tensor], ...]
    shift_2: Tensor
    scale_2: Tensor
    value_shift_N: Tensor
    value_scale_N: Tensor
    energy_N: Tensor

    def __call__(self, kt_M: Tensor, abundance_M: Tensor) -> Tensor:
        """Photon flux (M, N) of norm 1, photons cm^-2 s^-1 keV^-1."""
        x = (torch.stack([abundance_M, kt_M], 1) - self.shift_2) / self.scale_2
        n = len(self.energy_N)
        for i, (weight, bias) in enumerate(self.weights):
            last = i == len(self.weights) - 1
            # The second half of the outputs is the network's own uncertainty.
            x = torch.nn.functional.linear(x, weight[:n], bias[:n]) if last else x @ weight.T + bias
            x = x if last else torch.nn.functional.gelu(x)
        return torch.pow(10.0, x.double() * self.value_scale_N + self.value_shift_N)


def read_network(path: Path) -> Network:
    """Read the network.

    Raises:
        InputError: h5py is not installed, or the file is not what it was.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f"the component 'plasma' needs the package h5py; {REMEDY}") from None
    try:
        with h5py.File(path) as file:
            state, transformer = file["state_dict"], file["transformer"]
            weights = tuple(
                tuple(_tensor(state[f"layers.layers.{i}.{of}"]) for of in ("weight", "bias"))
                for i in _LAYERS
            )
            rest = [
                _tensor(transformer[name])
                for name in (
                    "param_shift", "param_scale", "value_shift", "value_scale", "energies"
                )
            ]  # fmt: skip
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: not the network of nnapec 0.1 ({error}); {REMEDY}") from None
    shift, scale, *others = rest
    return Network(weights, shift, scale, *(each.double() for each in others))  # type: ignore[arg-type]


def _tensor(values: "np.typing.ArrayLike") -> Tensor:
    return torch.from_numpy(np.asarray(values))


@functools.lru_cache(maxsize=1)
def _made(path: Path) -> PlasmaTable:
    network = read_network(path)
    log_low, log_high = (math.log(kt) for kt in KT_KEV)
    n = math.ceil((log_high - log_low) / LOG_STEP) + 1
    log_kt_K = torch.linspace(log_low, log_high, n, dtype=torch.float64)
    edges_N1 = bin_edges(network.energy_N)
    energy_N, width_N = network.energy_N, edges_N1.diff()
    flux_KAN = torch.empty(n, len(ABUNDANCES), len(energy_N))
    abundance_A = torch.tensor(ABUNDANCES)
    with torch.no_grad():
        for k in range(0, n, _TOGETHER):
            kt_M = log_kt_K[k : k + _TOGETHER].exp().repeat_interleave(len(ABUNDANCES))
            each_M = abundance_A.repeat(len(kt_M) // len(ABUNDANCES))
            flux_MN = network(kt_M.float(), each_M) * width_N
            flux_MN /= boltzmann(energy_N, kt_M[:, None])
            flux_KAN[k : k + _TOGETHER] = flux_MN.reshape(-1, len(ABUNDANCES), len(energy_N))
    return PlasmaTable(edges_N1, log_kt_K, flux_KAN)


def bin_edges(energy_N: Tensor) -> Tensor:
    """Edges of the bins that the network's energies are the middles of: halfway between them."""
    middle = (energy_N[1:] + energy_N[:-1]) / 2
    first, last = 2 * energy_N[:1] - middle[:1], 2 * energy_N[-1:] - middle[-1:]
    return torch.cat([first, middle, last])
