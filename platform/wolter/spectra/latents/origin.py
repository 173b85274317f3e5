"""Origin of the spectra of a dataset, which every row of a table tells."""

from typing import Literal

from wolter.data.shards import ShardDataset

Origin = Literal["simulated", "semi-real", "real"]
_REAL_ROWS = ("rows", "semi_real", "labelled_rows")  # config keys of sources drawn from real rows


def origin_of(dataset: ShardDataset) -> Origin:
    """Origin of a dataset's spectra.

    Simulated ones have noise-free counts; semi-real ones are simulated of real catalogue rows, as
    the dataset's config tells; all others are of the sky.
    """
    config = dataset.manifest.config
    if any(config.get(key) for key in _REAL_ROWS):
        return "semi-real"
    return "simulated" if dataset.spec.components or config.get("prior") else "real"
