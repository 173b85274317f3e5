"""Models beside the exact posterior of simulated spectra.

The spectra are few and on a coarse grid, so that their exact posteriors take seconds.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from wolter import config as configs
from wolter.data.batches import read_split
from wolter.data.shards import Manifest, ShardDataset, write_manifest, write_shard
from wolter.errors import InputError
from wolter.family import Family
from wolter.spectra.augment import Augmentation
from wolter.spectra.evaluate import exact, exact_table
from wolter.spectra.response_variation import ResponseVariation
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulate import shard_table
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.stats.likelihood import cstat

N = 8
CONFIG = SimulateConfig(
    exposure_s=(2e3, 5e3),
    n_backgrounds=2,
    energy_edges=tuple(np.geomspace(0.3, 10.0, 41).round(6).tolist()),
)


def write(simulator: Simulator, folder, config: SimulateConfig) -> ShardDataset:
    """Some hundred simulated spectra."""
    folder.mkdir()
    shard = write_shard(folder, 0, shard_table(simulator, 0, 0, 300))
    manifest = Manifest(
        kind="spectra",
        spec=simulator.spec,
        config=configs.to_dict(config),
        seed=0,
        response_sha256=simulator.response_sha256,
        shards=(shard,),
    )
    return write_manifest(folder, manifest)


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(CONFIG)


@pytest.fixture(scope="module")
def dataset(simulator, tmp_path_factory) -> ShardDataset:
    return write(simulator, tmp_path_factory.mktemp("exact") / "data", CONFIG)


class Stub:
    """A model that answers with given values, whatever it reads."""

    def __init__(self, dataset: ShardDataset, values: dict[str, torch.Tensor]) -> None:
        def never(*_):
            raise AssertionError("a comparison only predicts")

        def predict(_module, batch):
            return {name: value[: len(batch)] for name, value in values.items()}

        self.family = Family(
            "stub", "spectra/parameters", dict, never, never, never, predict, never, never, (), {}
        )
        self.card = type("Card", (), {"spec": dataset.spec})
        self.module = nn.Linear(1, 1)


def prior_means(dataset: ShardDataset) -> dict[str, torch.Tensor]:
    middle_P = dataset.spec.bounds_2P().mean(0)
    return {
        name + suffix: value.expand(N)
        for name, value in zip(dataset.spec.names, middle_P, strict=True)
        for suffix in ("", "_mfe")
    }


def prior_samples(dataset: ShardDataset, size: int = 200) -> dict[str, torch.Tensor]:
    """What a network that learnt nothing says: the prior."""
    low_P, high_P = dataset.spec.bounds_2P()
    generator = torch.Generator().manual_seed(0)
    normal_BSP = torch.randn(N, size, len(low_P), generator=generator)
    samples_BSP = low_P + (high_P - low_P) * torch.special.ndtr(normal_BSP)
    return prior_means(dataset) | {
        "samples": samples_BSP,
        "log_density": -0.5 * normal_BSP.square().sum(2),
    }


@pytest.fixture(scope="module")
def comparison(dataset) -> exact.Comparison:
    seen: list[int] = []
    models = [Stub(dataset, prior_means(dataset)), Stub(dataset, prior_samples(dataset))]
    found = exact.compare(
        models, ["middle", "prior"], dataset, "all", N, resamples=100, progress=seen.append
    )
    assert seen == [N]
    return found


def test_the_likelihood_is_that_of_the_simulation(simulator, dataset):
    batch = read_split(dataset, "all", N)
    truth = exact.TrueLikelihood(dataset, batch)
    row_N = torch.tensor([0, 0, 3])
    parameters_NP = batch.parameters_BP[[0, 1, 3]]
    exposure_N = batch.exposure_B[row_N]
    model_NC = simulator.forward(parameters_NP, exposure_N) + batch.expected_background_BC[row_N]
    expected_N = -0.5 * cstat(batch.counts_BC[row_N].double(), model_NC.double())
    got_N = truth(row_N, parameters_NP).double()
    # Both are relative: the one to nothing, the other to the perfect model of the same counts.
    assert float(got_N[0] - got_N[1]) == pytest.approx(
        float(expected_N[0] - expected_N[1]), rel=0.01
    )


def test_the_exact_row_has_an_excess_of_one(comparison, dataset):
    assert comparison.n == N
    assert comparison.names == dataset.spec.names
    for ratios in (comparison.exact.excess_mfe, comparison.exact.excess_rmse):
        for estimate in ratios.values():
            assert estimate.value == 1
            assert estimate.interval_95 == (1, 1)
    assert comparison.r_hat < 1.1
    assert comparison.exact.shift_P.tolist() == [0] * 7
    assert comparison.exact.width_P.tolist() == [1] * 7


def test_exact_posteriors_know_more_than_the_prior_and_cover_the_truth(comparison):
    row = comparison.rows[0]
    assert row.label == "middle"
    assert row.calibration is None
    for name in comparison.names:
        for estimate in (row.excess_mfe[name], row.excess_rmse[name]):
            low, high = estimate.interval_95
            assert low <= estimate.value <= high
            assert high > 0.9  # nothing beats them but by chance
    assert row.excess_mfe["pow_norm"].value > 3
    assert row.excess_rmse["slope"].value > 1.5
    inside = comparison.exact.calibration.coverage[0.95].percent_P
    assert inside.mean() > 80  # 56 intervals of 95 %


def test_a_posterior_is_judged_and_refined(comparison):
    labels = [row.label for row in comparison.rows]
    assert labels == ["middle", "prior", "prior refined"]
    _, prior, refined = comparison.rows
    assert (prior.width_P >= 0.9).all()
    assert prior.calibration is not None
    assert prior.effective is None
    # The prior is a poor start, but one that the ensembles leave.
    assert refined.effective < 0.1
    assert (refined.width_P < prior.width_P).sum() >= 5
    assert refined.excess_mfe["pow_norm"].value < prior.excess_mfe["pow_norm"].value


def test_its_json_has_stable_fields(comparison):
    values = exact_table.to_json(comparison)
    assert set(values) == {"exact", "excess_mfe", "excess_rmse", "exact_rows"}
    names = list(comparison.names)
    for key in ("mfe_percent", "rmse"):
        assert list(values["exact"][key]) == names
        assert all(value > 0 for value in values["exact"][key].values())
    for key in ("excess_mfe", "excess_rmse"):
        assert list(values[key]) == names
        assert values[key] == values["exact_rows"][0][key]
        intervals = values["exact_rows"][0][f"{key}_interval_95"]
        assert all(low <= values[key][n] <= high for n, (low, high) in intervals.items())
    assert values["exact"]["n"] == N
    assert list(values["exact"]["coverage"]) == ["68", "95"]
    assert "effective_share" in values["exact_rows"][2]
    assert "shift" not in values["exact_rows"][0]


def test_its_tables_have_a_line_for_each_row(comparison, dataset):
    tables = exact_table.excess_tables(comparison, dataset.spec.parameters)
    mfe, rmse, agreement = tables
    assert [line.label for line in mfe.lines] == ["middle", "prior", "prior refined"]
    assert f"{N} spectra" in rmse.title
    assert len(agreement.lines) == 4
    calibrated = {"exact": comparison.exact.calibration}
    (coverage,) = exact_table.calibration_tables(calibrated, dataset.spec.parameters)
    assert len(coverage.lines) == 3
    assert exact_table.calibration_tables({}, dataset.spec.parameters) == ()


def test_only_simulated_spectra_of_one_response_have_an_exact_posterior(
    dataset, simulator, tmp_path
):
    batch = read_split(dataset, "all", 2)
    varied = replace(CONFIG, variety=ResponseVariation(area=(0.5, 1.0)))
    with pytest.raises(InputError, match="its effective areas vary"):
        exact.TrueLikelihood(write(simulator, tmp_path / "varied", varied), batch)
    augmented = replace(CONFIG, augment=Augmentation(blur=10.0))
    with pytest.raises(InputError, match="its spectra are augmented"):
        exact.TrueLikelihood(write(simulator, tmp_path / "augmented", augmented), batch)
    ingested = replace(dataset, manifest=replace(dataset.manifest, config={}))
    with pytest.raises(InputError, match="was simulated with its components"):
        exact.TrueLikelihood(ingested, batch)
    with pytest.raises(InputError, match="was simulated with its components"):
        exact.TrueLikelihood(dataset, replace(batch, expected_background_BC=None))


def test_a_model_of_other_spectra_is_refused(dataset):
    model = Stub(dataset, prior_means(dataset))
    model.card.spec = replace(dataset.spec, energy_edges=dataset.spec.energy_edges[:-1])
    with pytest.raises(InputError):
        exact.compare([model], ["other"], dataset, "all", N)


def test_moments_of_weighted_samples():
    """By hand: mean 3, variance 9 / 2 + 1 / 4 + 25 / 4 = 11; without weights mean 4."""
    samples_NSP = torch.tensor([[[0.0], [4.0], [8.0]]])
    mean_NP, deviation_NP = exact._Posterior(
        samples_NSP, torch.tensor([[0.5, 0.25, 0.25]])
    ).moments()
    assert mean_NP[0, 0] == pytest.approx(3)
    assert deviation_NP[0, 0] == pytest.approx(math.sqrt(11))
    mean_NP, deviation_NP = exact._Posterior(samples_NSP).moments()
    assert mean_NP[0, 0] == pytest.approx(4)
    assert deviation_NP[0, 0] == pytest.approx(math.sqrt(32 / 3))


def test_a_refined_row_has_the_weighted_width():
    """Weights that halve a sample's deviation halve the width that is told."""
    truth = np.random.default_rng(0).uniform(1, 3, (40, 1))
    batch = SpectraBatch(*[torch.zeros(40, 1)] * 2, *[torch.ones(40)] * 2, torch.tensor(truth))
    grid_NSP = torch.tensor(truth)[:, None] + torch.linspace(-2, 2, 401)[None, :, None]
    narrow_NS = torch.exp(-0.5 * torch.linspace(-2, 2, 401).div(0.1) ** 2).expand(40, -1)
    wide_NS = torch.exp(-0.5 * torch.linspace(-2, 2, 401).div(0.2) ** 2).expand(40, -1)
    normal = [n / n.sum(1, keepdim=True) for n in (narrow_NS, wide_NS)]
    judge = exact._Judge(("a",), batch, exact._Posterior(grid_NSP), 10, 0)
    judge.mean_NP, judge.deviation_NP = exact._Posterior(grid_NSP, normal[1]).moments()
    row = judge.row("x", (truth, truth), exact._Posterior(grid_NSP, normal[0]))
    assert row.width_P == pytest.approx([0.5], rel=1e-4)
    assert row.shift_P == pytest.approx([0], abs=1e-5)
