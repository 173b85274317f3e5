"""Training curves: metrics of each epoch of a run."""

from collections.abc import Mapping, Sequence

History = Mapping[str, Sequence[tuple[int, float]]]
"""Metrics of a run by name, as pairs of epoch and value."""
