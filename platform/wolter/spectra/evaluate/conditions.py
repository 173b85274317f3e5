"""Comparability of a test set with the published and the limit rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wolter import config as configs
from wolter.data.shards import ShardDataset, open_dataset
from wolter.errors import InputError
from wolter.registry.checkpoint import Model
from wolter.report.bootstrap import Array
from wolter.spectra.evaluate import reference
from wolter.spectra.simulator import SimulateConfig
from wolter.xray.instruments.instrument import DEFAULT, find, load

FEW = 2000  # spectra below which heavy tails leave an error uncertain by several percent


def is_standard(dataset: ShardDataset, exposure_N: Array) -> bool:
    """True for the standard test: the reference's prior, 25 ks, sigma 0.1 keV."""
    return (
        reference.same_prior(dataset.spec.parameters)
        and np.allclose(exposure_N, reference.STANDARD_EXPOSURE_S, rtol=0.01)
        and _sigma(dataset) == reference.STANDARD_SIGMA_KEV
        and not shift(dataset)
    )


def shift(dataset: ShardDataset) -> dict[str, Any]:
    """Domain-shift settings of a simulated dataset, relative to the standard test."""
    config, plain = dataset.manifest.config, configs.to_dict(SimulateConfig())
    found = {
        key: config[key]
        for key in ("model", "gain", "background_factor")
        if config.get(key, plain[key]) != plain[key]
    }
    augment = config.get("augment", {})
    changed = {k: v for k, v in augment.items() if v != plain["augment"].get(k)}
    found |= {"augment": changed} if changed else {}
    own = dataset.spec.instrument
    telescope, detector = f"{own}/".split("/")[:2]
    is_known = own and load(DEFAULT) in find(telescope, detector)
    return found if is_known or not own else found | {"instrument": own.rstrip("/")}


def _sigma(dataset: ShardDataset) -> float | None:
    fixed = dataset.manifest.config.get("fixed", {})
    return fixed.get("sigma") if isinstance(fixed, dict) else None


def remarks(
    models: Sequence[Model], dataset: ShardDataset, split: str, exposure_N: Array
) -> tuple[str, ...]:
    """Remarks on the comparability of numbers, a sentence each."""
    found = []
    if not reference.same_prior(dataset.spec.parameters):
        found.append(
            "The parameters or their prior are not the reference's: its rows and the exact limits "
            "belong to another problem."
        )
    else:
        found += _against_limits(dataset, exposure_N)
    for model in models:
        found += _against_training(model, dataset, split)
    if len(exposure_N) < FEW:
        found.append(
            f"{len(exposure_N):,} spectra: a few bad cases carry these errors; use 10,000 for a "
            "table to be quoted."
        )
    return tuple(dict.fromkeys(found))


def _against_limits(dataset: ShardDataset, exposure_N: Array) -> list[str]:
    found = []
    low, high = exposure_N.min() / 1e3, exposure_N.max() / 1e3
    if not np.allclose(exposure_N, reference.STANDARD_EXPOSURE_S, rtol=0.01):
        span = f"{low:.4g} ks" if np.isclose(low, high) else f"{low:.4g} to {high:.4g} ks"
        found.append(
            f"Exposure {span}: the exact limits are those of 25 ks, and the published rows state "
            "no exposure."
        )
    sigma = _sigma(dataset)
    if sigma != reference.STANDARD_SIGMA_KEV:
        width = "unknown" if sigma is None else f"{sigma:g} keV"
        found.append(f"Line width {width}: the exact limits are those of sigma 0.1 keV.")
    if shifted := shift(dataset):
        settings = ", ".join(f"{key} {value}" for key, value in shifted.items())
        found.append(f"Another domain than that of the exact limits: {settings}.")
    if not dataset.manifest.config.get("rmf"):
        found.append(
            "Embedded response and backgrounds: the exact limits were measured with those of an "
            "EPIC-pn observation of NGC 7793 ULX-4."
        )
    return found


def _against_training(model: Model, dataset: ShardDataset, split: str) -> list[str]:
    found, name, own = [], model.family.name, model.card.spec
    if model.card.dataset_sha256 == dataset.sha256() and split in ("train", "all"):
        found.append(f"{name} was trained on spectra of this split: its errors are too small.")
    given = {p.name: p for p in dataset.spec.parameters}
    beyond = [
        p.name
        for p in own.parameters
        if given[p.name].low < p.low * (1 - 1e-6) or given[p.name].high > p.high * (1 + 1e-6)
    ]
    if beyond:
        found.append(f"{name} was trained on a narrower prior of {', '.join(beyond)}.")
    if own.instrument and dataset.spec.instrument and own.instrument != dataset.spec.instrument:
        found.append(
            f"{name} was trained on {own.instrument}, these spectra are {dataset.spec.instrument}."
        )
    return found


def config_of(folder: Path) -> SimulateConfig:
    """Simulation config of a dataset.

    Raises:
        InputError: there is no dataset, or it was not simulated.
    """
    config = open_dataset(folder).manifest.config
    if not config.get("prior"):
        raise InputError(f"{folder}: not simulated; give a dataset of `wolter simulate spectra`")
    return configs.from_dict(SimulateConfig, config)
