import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from wolter.data.seeds import seed_of
from wolter.data.split import index_keys, name_keys, split_bounds
from wolter.errors import InputError
from wolter.spectra.simulate import shard_rows, shard_table
from wolter.spectra.simulator import BLOCK, REFERENCE_PRIOR, SimulateConfig, Simulator


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(SimulateConfig(exposure_s=(5e3, 1e5)))


def test_a_block_depends_on_config_seed_and_index_alone(simulator):
    first = simulator.draw(1, 2)
    again = Simulator(simulator.config).draw(1, 2)
    assert torch.equal(first.counts_BC, again.counts_BC)
    assert torch.equal(first.background_BC, again.background_BC)
    assert not torch.equal(first.parameters_BP, simulator.draw(1, 3).parameters_BP)
    assert not torch.equal(first.parameters_BP, simulator.draw(2, 2).parameters_BP)


def test_draws_fill_the_prior_and_the_exposure_range(simulator):
    batch = simulator.draw(0, 0)
    low_P, high_P = simulator.spec.bounds_2P()
    assert (batch.parameters_BP >= low_P).all()
    assert (batch.parameters_BP <= high_P).all()
    # The mean of n uniform draws is the centre to width / sqrt(12 n): 5 of these.
    off_P = (batch.parameters_BP.mean(0) - (low_P + high_P) / 2) / (high_P - low_P)
    assert (off_P.abs() < 5 / (12 * BLOCK) ** 0.5).all()
    # As many between 5 and 22.4 ks, the geometric mean, as above; log-uniform throughout.
    share_B = (batch.exposure_B / 5e3).log() / math.log(20)
    assert stats.kstest(share_B.numpy(), "uniform").pvalue > 1e-3
    assert 5e3 <= batch.exposure_B.min() < 6e3
    assert 9e4 < batch.exposure_B.max() <= 1e5


def test_counts_scatter_around_the_expected_as_poisson(simulator):
    batch = simulator.draw(0, 1)
    mean_BC = batch.expected_BKC.sum(1) + batch.expected_background_BC
    bright = mean_BC > 5
    chi2 = ((batch.counts_BC - mean_BC).square() / mean_BC)[bright]
    # chi2 has mean 1 and variance 2 + 1/mean <= 2.2 in each channel.
    assert abs(float(chi2.mean()) - 1) < 5 * (2.2 / len(chi2)) ** 0.5


def test_expected_counts_scale_with_exposure(simulator):
    batch = simulator.draw(0, 0)[:4]
    one = simulator.expected(batch.parameters_BP, torch.full((4,), 1e4))
    two = simulator.expected(batch.parameters_BP, torch.full((4,), 2e4))
    torch.testing.assert_close(two, 2 * one, rtol=1e-6, atol=0)


def test_a_shard_is_a_prefix_of_a_longer_one(simulator):
    short = shard_table(simulator, 0, 0, 10)
    longer = shard_table(simulator, 0, 0, BLOCK + 3)
    assert longer[BLOCK:].equals(shard_table(simulator, 0, 1, 3))
    assert longer.num_rows == BLOCK + 3
    assert short.equals(longer[:10])


def test_without_components_none_are_stored():
    config = SimulateConfig(components=False)
    simulator = Simulator(config)
    assert simulator.spec.components == ()
    assert "expected" not in shard_table(simulator, 0, 0, 5).column_names


@given(st.integers(1, 10**6))
def test_shards_hold_all_rows(n):
    assert sum(shard_rows(n)) == n
    assert min(shard_rows(n)) > 0


def test_split_keys_are_uniform_and_stable():
    keys = index_keys(seed_of(0, 0, "split"), np.arange(100_000))
    share = np.histogram(keys, np.linspace(0, 1, 21))[0] / len(keys)
    assert np.abs(share - 0.05).max() < 5 * (0.05 * 0.95 / len(keys)) ** 0.5
    assert name_keys(["3C 273"]) == name_keys(["3C 273"])
    assert name_keys(["3C 273"]) != name_keys(["3C 274"])
    with pytest.raises(InputError, match="unknown split 'tset'"):
        split_bounds("tset")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fixed": {}, "prior": REFERENCE_PRIOR[1:]}, "nh have no value"),
        ({"fixed": {"sigma": 0.1, "kT": 1.0}}, "kT are not its"),
        ({"fixed": {"sigma": 0.1, "nh": 1.0}}, "nh twice"),
        ({"exposure_s": (0.0, 1.0)}, "0 < low <= high"),
        ({"filter": "thicc"}, "thin"),
        ({"arf": "a.arf"}, "an ARF needs its RMF"),
        ({"rmf": "missing.rmf"}, "missing.rmf: no such file"),
        ({"model": "wabs * powerlw"}, "powerlw"),
    ],
)
def test_bad_configs_are_told_in_one_line(change, message):
    with pytest.raises(InputError, match=message) as error:
        Simulator(dataclasses.replace(SimulateConfig(), **change))
    assert "\n" not in str(error.value)


def test_seeds_are_those_of_every_machine_and_differ_by_purpose():
    assert seed_of(1, 2, "spectra") == 5478954848360106227
    assert seed_of(1, 2, "augment") == 6911770256723067418
    assert len({seed_of(a, b, p) for a in range(9) for b in range(9) for p in ("x", "y")}) == 162


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exposure_s": (2.0, 1.0)}, "exposure_s = 2"),
        ({"gain": (0.5, 0.0)}, r"gain = 0\.5"),
        ({"gain": (2.0, 0.0)}, r"gain = 2\.0"),
        ({"gain": (1.0, 1000.1)}, r"gain = 1\.0, 1000\.1"),
        ({"gain": (1.0, -1000.1)}, "gain"),
        ({"background_factor": 0.0}, r"background_factor = 0\.0"),
    ],
)
def test_limits_at_their_exact_value(change, message):
    with pytest.raises(InputError, match=message):
        SimulateConfig(**change)
    SimulateConfig(exposure_s=(1.0, 1.0), gain=(0.51, 1000.0), background_factor=1e-9)
    SimulateConfig(gain=(1.99, -1000.0))


def test_background_scales_are_log_uniform_from_a_tenth_to_a_half(simulator):
    scale_M = Simulator(SimulateConfig(n_backgrounds=400)).background_scale_M.double()
    share_M = (scale_M / 0.1).log() / math.log(5)
    assert stats.kstest(share_M.numpy(), "uniform").pvalue > 1e-3
