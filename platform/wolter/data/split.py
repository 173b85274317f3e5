"""Splits by source: a uniform key in [0, 1) from a hash of the source's identity."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError

SPLITS = {"test": (0.0, 0.05), "validation": (0.05, 0.10), "train": (0.10, 1.0), "all": (0.0, 1.0)}


def split_bounds(split: str) -> tuple[float, float]:
    """Interval of keys that makes up a split, or the first share of it: `train`, `train:0.25`.

    Raises:
        InputError: no split has this name.
    """
    name, _, share = split.partition(":")
    if name not in SPLITS:
        raise InputError(f"unknown split {name!r}; choose one of: {', '.join(SPLITS)}")
    low, high = SPLITS[name]
    return low, low + (high - low) * float(share) if share else high


def index_keys(seed: int, index_B: NDArray[np.int64]) -> NDArray[np.float64]:
    """Keys of simulated sources: the splitmix64 finaliser of (seed, index)."""
    z = index_B.astype(np.uint64) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def name_keys(names: Iterable[str]) -> NDArray[np.float64]:
    """Keys of named sources: the first 53 bits of BLAKE2b."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.array([(int.from_bytes(d, "big") >> 11) * 2.0**-53 for d in digests])
