"""wolter: a distributed data-and-training platform on Ray for X-ray astronomy."""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["__version__", "embed"]

_FUNCTIONS = {"embed": "wolter.spectra.embedding"}  # imported when they are first asked for

try:
    __version__ = version("wolter")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _FUNCTIONS:
        raise AttributeError(f"module 'wolter' has no attribute {name!r}")
    return getattr(importlib.import_module(_FUNCTIONS[name]), name)
