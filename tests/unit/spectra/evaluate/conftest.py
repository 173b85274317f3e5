"""A small labelled dataset, and models whose errors are known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from wolter import config as configs
from wolter import family as families
from wolter.data.shards import Manifest, ShardDataset, to_table, write_manifest, write_shard
from wolter.family import Family
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.simulator import REFERENCE_PRIOR

COMPONENTS = ("powerlaw", "gaussian", "bbody")
SPEC = SpectraSpec(
    energy_edges=tuple(np.geomspace(0.3, 10.0, 25).tolist()),
    parameters=REFERENCE_PRIOR,
    components=COMPONENTS,
)


def batch(n: int, spec: SpectraSpec = SPEC, exposure_s: float = 25e3, seed: int = 0):
    """Spectra of three shapes whose norms are the labels; not physics, but positive counts."""
    generator = torch.Generator().manual_seed(seed)
    low_P, high_P = spec.bounds_2P()
    parameters_BP = low_P + (high_P - low_P) * torch.rand(n, len(low_P), generator=generator)
    x_C = torch.linspace(0, 1, spec.n_channels)
    shapes_KC = torch.stack([2 - x_C, torch.exp(-((x_C - 0.8) ** 2) / 0.01), torch.exp(-6 * x_C)])
    strength_BK = 50 + 100 * torch.rand(n, 3, generator=generator)
    expected_BKC = strength_BK[:, :, None] * shapes_KC + 0.1
    background_BC = torch.full((n, spec.n_channels), 2.0)
    return SpectraBatch(
        counts_BC=torch.poisson(expected_BKC.sum(1) + background_BC, generator),
        background_BC=torch.poisson(5 * background_BC, generator),
        background_scale_B=torch.full((n,), 0.2),
        exposure_B=torch.full((n,), exposure_s),
        parameters_BP=parameters_BP if len(low_P) else None,
        expected_BKC=expected_BKC[:, : len(spec.components)] if spec.components else None,
        expected_background_BC=background_BC if spec.components else None,
    )


@pytest.fixture
def make_dataset(tmp_path) -> Callable[..., ShardDataset]:
    """Writes a dataset of two shards, all of whose rows are test rows unless told otherwise."""

    def make(
        n: int = 60,
        spec: SpectraSpec = SPEC,
        config: dict[str, Any] | None = None,
        split_key: float = 0.01,
        exposure_s: float = 25e3,
        name: str = "data",
    ) -> ShardDataset:
        folder = tmp_path / name
        folder.mkdir()
        rows = batch(n, spec, exposure_s)
        halves = (rows[: n // 2], rows[n // 2 :])
        shards = tuple(
            write_shard(folder, i, to_table(half, {"split_key": np.full(len(half), split_key)}))
            for i, half in enumerate(halves)
        )
        given = {"fixed": {"sigma": 0.1}, "rmf": "/far/away/pn.rmf"} if config is None else config
        return write_manifest(folder, Manifest("spectra", spec, given, 7, "ab", shards))

    return make


@dataclass(frozen=True)
class StubCard:
    spec: SpectraSpec = SPEC
    config: dict[str, Any] = field(default_factory=lambda: {"width": 8})
    dataset_sha256: str = "feed"
    seed: int = 3
    code_version: str = "0.0"


@dataclass(frozen=True)
class StubModel:
    family: Family
    card: Any
    module: nn.Module


@pytest.fixture
def known_model() -> Callable[..., StubModel]:
    """Makes models that answer with the truth times a factor."""
    return known


@pytest.fixture
def untrained_model() -> Callable[..., StubModel]:
    """Makes real families with their first weights."""
    return untrained


@pytest.fixture
def spec() -> SpectraSpec:
    """Of the datasets that `make_dataset` writes."""
    return SPEC


def known(
    factor: float = 1.1,
    mfe_factor: float = 0.8,
    component_factor: float | None = 1.21,
    name: str = "deepspectra",
    spec: SpectraSpec = SPEC,
) -> StubModel:
    """A model that answers with the truth times a factor."""

    def predict(_module: nn.Module, rows: SpectraBatch) -> dict[str, torch.Tensor]:
        assert not torch.is_grad_enabled()
        values = {}
        for i, parameter in enumerate(spec.names):
            values[parameter] = factor * rows.parameters_BP[:, i]
            values[f"{parameter}_mfe"] = mfe_factor * rows.parameters_BP[:, i]
        if component_factor is not None and rows.expected_BKC is not None:
            values["components"] = component_factor * rows.expected_BKC
        return values

    def never(*_: Any) -> Any:
        raise AssertionError("evaluation only predicts")

    family = Family(
        name, "spectra/parameters", dict, never, never, never, predict, never, never, (), {}
    )
    return StubModel(family, StubCard(spec), nn.Linear(1, 1))


def untrained(name: str, spec: SpectraSpec = SPEC) -> StubModel:
    """A real family with its first weights."""
    family = families.load(name)
    config = family.config()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = family.build(config, spec)
    family.normalise(module, batch(128, spec, seed=1))
    return StubModel(family, StubCard(spec, configs.to_dict(config)), module)
