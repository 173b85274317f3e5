"""wolter: a distributed data-and-training platform on Ray for X-ray astronomy."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("wolter")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
