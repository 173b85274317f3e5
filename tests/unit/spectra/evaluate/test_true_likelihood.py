"""Exact posteriors of spectra of a shifted domain, under the truth and under a wrong model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wolter import config as configs
from wolter.data.batches import read_split
from wolter.data.shards import Manifest, ShardDataset, write_manifest, write_shard
from wolter.errors import InputError
from wolter.spectra.augment import Augmentation
from wolter.spectra.evaluate import conditions
from wolter.spectra.evaluate.exact import ASSUMED, compare
from wolter.spectra.evaluate.true_likelihood import TrueLikelihood
from wolter.spectra.simulate import shard_table
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.stats.likelihood import cstat

N = 8
PLAIN = SimulateConfig(
    n_backgrounds=2, energy_edges=tuple(np.geomspace(0.3, 10.0, 81).round(6).tolist())
)
SHIFTED = replace(
    PLAIN,
    model="wabs * (powerlaw + gaussian + bbody + bremss)",
    fixed={"sigma": 0.1, "brems_kt": 4.0, "brems_norm": 2e-4},
    filter="thick",
    gain=(1.02, 20.0),
    background_factor=3.0,
)


def write(folder, config: SimulateConfig) -> ShardDataset:
    simulator = Simulator(config)
    folder.mkdir()
    shard = write_shard(folder, 0, shard_table(simulator, 0, 0, 300))
    return write_manifest(
        folder,
        Manifest(
            kind="spectra",
            spec=simulator.spec,
            config=configs.to_dict(config),
            seed=0,
            response_sha256=simulator.response_sha256,
            shards=(shard,),
        ),
    )


@pytest.fixture(scope="module")
def shifted(tmp_path_factory) -> ShardDataset:
    return write(tmp_path_factory.mktemp("shifted") / "data", SHIFTED)


def test_a_shifted_set_has_the_same_sources_seen_otherwise(shifted, tmp_path):
    plain = read_split(write(tmp_path / "plain", PLAIN), "all", N)
    batch = read_split(shifted, "all", N)
    assert torch.equal(batch.parameters_BP, plain.parameters_BP)
    assert shifted.spec.names == tuple(p.name for p in PLAIN.prior)
    assert shifted.spec.components == ("powerlaw", "gaussian", "bbody", "bremss")
    # The background's total is three times as high, but for what the gain moves over the ends.
    ratio_B = batch.expected_background_BC.sum(1) / plain.expected_background_BC.sum(1)
    torch.testing.assert_close(ratio_B, torch.full((N,), 3.0), rtol=0.1, atol=0)
    # The line of 6.4 keV and its likes: 1.02 (E + 0.02).
    edges = torch.tensor(PLAIN.energy_edges)
    centre_C = (edges[1:] + edges[:-1]) / 2
    mean_B = [
        (b.expected_BKC[:, 1] * centre_C).sum(1) / b.expected_BKC[:, 1].sum(1)
        for b in (plain, batch)
    ]
    torch.testing.assert_close(mean_B[1], 1.02 * (mean_B[0] + 0.02), rtol=2e-3, atol=0)


@pytest.mark.slow
def test_the_likelihood_is_that_of_the_shifted_simulation(shifted):
    batch = read_split(shifted, "all", N)
    row_N = torch.tensor([0, 0, 3])
    parameters_NP = batch.parameters_BP[[0, 1, 3]]
    forward = Simulator(SHIFTED).forward
    model_NC = forward(parameters_NP, batch.exposure_B[row_N]) + batch.expected_background_BC[row_N]
    wanted_N = -0.5 * cstat(batch.counts_BC[row_N].double(), model_NC.double())
    got_N = TrueLikelihood(shifted, batch)(row_N, parameters_NP).double()
    assert float(got_N[0] - got_N[1]) == pytest.approx(float(wanted_N[0] - wanted_N[1]), rel=0.01)


@pytest.mark.slow
def test_the_assumed_likelihood_is_that_of_its_own_model(shifted):
    batch = read_split(shifted, "all", N)
    row_N, every = torch.arange(N), batch.parameters_BP
    drawn = replace(PLAIN, augment=Augmentation(blur=10.0))  # left out: it is not told
    wrong_N = TrueLikelihood(shifted, batch, drawn)(row_N, every).double()
    model_NC = Simulator(PLAIN).forward(every, batch.exposure_B) + batch.expected_background_BC
    counts_NC = batch.counts_BC.double()
    wanted_N = (counts_NC * model_NC.double().log() - model_NC.double()).sum(1)
    torch.testing.assert_close(wrong_N, wanted_N, rtol=0, atol=0.5)
    assert bool((wrong_N < TrueLikelihood(shifted, batch)(row_N, every).double() - 10).all())


@pytest.mark.slow
def test_perfect_inference_with_the_wrong_model_is_biased_and_too_sure(shifted):
    found = compare([], [], shifted, "all", N, resamples=50, assumed=PLAIN)
    (row,) = found.rows
    assert row.label == ASSUMED
    energy = found.names.index("line_energy")
    assert row.excess_rmse["line_energy"].value > 1.2
    assert row.shift_P[energy] > 2  # 1.02 (E + 0.02) moves a line by some 140 eV
    right, wrong = (r.calibration.coverage[0.95].percent_P for r in (found.exact, row))
    assert wrong.mean() < 70 < right.mean()


def test_what_is_assumed_must_have_the_parameters_and_grid(shifted):
    batch = read_split(shifted, "all", 2)
    for change in ({"prior": PLAIN.prior[::-1]}, {"energy_edges": PLAIN.energy_edges[1:]}):
        with pytest.raises(InputError, match="not those of the assumed model"):
            TrueLikelihood(shifted, batch, replace(PLAIN, **change))


def test_augmented_spectra_have_a_posterior_of_the_assumed_model_alone(tmp_path):
    augmented = write(
        tmp_path / "augmented", replace(PLAIN, augment=Augmentation(background_norm=0.5))
    )
    batch = read_split(augmented, "all", 2)
    with pytest.raises(InputError, match="its spectra are augmented"):
        TrueLikelihood(augmented, batch)
    assert bool(
        TrueLikelihood(augmented, batch, PLAIN)(torch.arange(2), batch.parameters_BP)
        .isfinite()
        .all()
    )


def test_a_shifted_set_is_told_from_the_standard_one(shifted, tmp_path):
    exposure_N = np.full(N, 25_000.0)
    plain = write(tmp_path / "plain", PLAIN)
    assert conditions.shift(plain) == {}
    assert conditions.is_standard(plain, exposure_N)
    assert not conditions.is_standard(shifted, exposure_N)
    assert conditions.shift(shifted) == {
        "model": SHIFTED.model, "gain": [1.02, 20.0], "background_factor": 3.0,
    }  # fmt: skip
    remarks = conditions.remarks([], shifted, "all", exposure_N)
    assert any("Another domain" in text and "gain [1.02, 20.0]" in text for text in remarks)
    augmented = write(tmp_path / "augmented", replace(PLAIN, augment=Augmentation(blur=10.0)))
    assert conditions.shift(augmented) == {"augment": {"blur": 10.0}}
