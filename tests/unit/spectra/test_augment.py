"""Augmentation: what is drawn, and that it is seen in the counts it belongs to."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
import tyro
from scipy import stats

from wolter import config as configs
from wolter.data.shards import table_to_numpy, to_batch
from wolter.errors import InputError
from wolter.spectra import simulator as simulators
from wolter.spectra.augment import Augmentation, Augmenter
from wolter.spectra.commands.simulate import SimulateSpectra
from wolter.spectra.response_variation import ResponseVariation
from wolter.spectra.simulate import shard_table
from wolter.spectra.simulator import BLOCK, SimulateConfig, Simulator
from wolter.xray.spectral.gain import regain

GRID = tuple(np.geomspace(0.3, 10.0, 65).round(6).tolist())
PLAIN = SimulateConfig(n_backgrounds=3, energy_edges=GRID)
STRONG = Augmentation(
    gain_slope=0.005,
    gain_offset=5.0,
    blur=10.0,
    area_tilt=0.05,
    background_norm=0.1,
    background_tilt=0.2,
    line_width=(0.02, 0.2),
    extra_share=0.5,
)


def drawn(augmentation: Augmentation, n: int = 4000, seed: int = 0):
    return augmentation.draw(n, torch.Generator().manual_seed(seed))


def batch(augmentation: Augmentation, block: int = 0, **changes):
    return Simulator(replace(PLAIN, augment=augmentation, **changes)).draw(5, block)


@pytest.fixture(scope="module")
def plain():
    return batch(Augmentation())


def test_what_is_drawn_has_its_distribution():
    nuisance, near = drawn(STRONG), 5 / np.sqrt(2 * 4000)
    assert float(nuisance.slope_B.std()) == pytest.approx(0.005, rel=near)
    assert float(nuisance.slope_B.mean()) == pytest.approx(1, abs=5 * 0.005 / np.sqrt(4000))
    assert float(nuisance.offset_B.std()) == pytest.approx(0.005, rel=near)  # keV
    assert float(nuisance.blur_B.square().mean().sqrt()) == pytest.approx(0.010, rel=near)
    assert nuisance.area_BN.std(0).tolist() == pytest.approx([0.05] * 4, rel=near)
    both = (0.1**2 + 0.2**2) ** 0.5
    assert nuisance.background_BN.std(0).tolist() == pytest.approx([both] * 4, rel=near)
    common_B = nuisance.background_BN.mean(1)
    assert float(common_B.std()) == pytest.approx((0.1**2 + 0.2**2 / 4) ** 0.5, rel=near)
    share_B = (nuisance.sigma_B / 0.02).log() / np.log(10)
    assert stats.kstest(share_B.numpy(), "uniform").pvalue > 0.001
    has_B = nuisance.extra_B > 0
    assert float(has_B.float().mean()) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(4000))
    share_R = (nuisance.extra_B[has_B] / 0.01).log() / np.log(10)
    assert stats.kstest(share_R.numpy(), "uniform").pvalue > 0.001


def test_no_setting_changes_what_the_others_give():
    whole, alone = drawn(STRONG, 50), drawn(Augmentation(extra_share=0.5), 50)
    assert torch.equal(whole.extra_B, alone.extra_B)
    assert torch.equal(whole.slope_B, drawn(replace(STRONG, blur=0, area_tilt=0), 50).slope_B)
    assert not torch.equal(whole.slope_B, drawn(STRONG, 50, seed=1).slope_B)


def test_without_augmentation_nothing_is_drawn_and_no_column_written(plain):
    simulator = Simulator(PLAIN)
    assert simulator.augmenter is None
    assert plain.unmodelled_BC is None
    assert "unmodelled" not in shard_table(simulator, 5, 0, 3).column_names


def test_shards_without_augmentation_are_those_of_the_first_version():
    """Hash of exact columns: the noise-free ones differ in their last bits between processors."""
    table = shard_table(Simulator(SimulateConfig()), 3, 1, 300)
    rows = to_batch(table_to_numpy(table), "spectra")
    digest = hashlib.sha256(rows.parameters_BP.numpy().tobytes())
    digest.update(rows.background_scale_B.numpy().tobytes())
    assert digest.hexdigest()[:16] == "60d5e95a5074e7ff"
    assert float(rows.counts_BC.sum()) == pytest.approx(18154072.0, rel=1e-4)


def test_the_same_seed_has_the_same_sources_with_and_without(plain):
    got = batch(STRONG)
    for name in ("parameters_BP", "exposure_B", "background_scale_B", "area_BA"):
        assert torch.equal(getattr(got, name), getattr(plain, name)), name


def test_a_block_follows_from_seed_and_index_alone():
    simulator = Simulator(replace(PLAIN, augment=STRONG))
    table = shard_table(simulator, 5, 0, BLOCK + 4)
    assert table[BLOCK:].equals(shard_table(simulator, 5, 1, 4))
    assert not torch.equal(simulator.draw(5, 0).counts_BC, simulator.draw(6, 0).counts_BC)


def test_gain_moves_source_and_background(plain):
    own = Augmentation(gain_slope=0.01, gain_offset=10)
    got = batch(own)
    nuisance = own.draw(BLOCK, augment_generator())
    both_BKC = torch.cat([plain.expected_BKC, plain.expected_background_BC[:, None]], 1)
    edges_C1 = torch.tensor(GRID, dtype=torch.float64)
    moved_BKC = regain(both_BKC, edges_C1, nuisance.slope_B, nuisance.offset_B)
    torch.testing.assert_close(got.expected_BKC, moved_BKC[:, :3])
    torch.testing.assert_close(got.expected_background_BC, moved_BKC[:, 3])
    assert got.unmodelled_BC is None


def augment_generator() -> torch.Generator:
    return torch.Generator().manual_seed(simulators.seed_of(5, 0, "augment"))


def test_an_untold_area_changes_components_alike_and_is_not_in_the_record(plain):
    got = batch(Augmentation(area_tilt=0.2))
    assert torch.equal(got.area_BA, plain.area_BA)
    assert torch.equal(got.expected_background_BC, plain.expected_background_BC)
    ratio_BC = got.expected_BKC.sum(1) / plain.expected_BKC.sum(1)
    knots_BN = Augmentation(area_tilt=0.2).draw(BLOCK, augment_generator()).area_BN
    # Far below 10 keV, and where the response is narrow, the factor is that of the energy.
    centre_C = (np.array(GRID[1:]) + np.array(GRID[:-1])) / 2
    at = int(np.abs(centre_C - 3.0).argmin())
    torch.testing.assert_close(ratio_BC[:, at], knots_BN[:, 2].exp(), rtol=0.03, atol=0)
    # With variety, the told factor stays in the record and both are in the counts.
    varied = ResponseVariation(area=(0.4, 0.9))
    told, both = batch(Augmentation(), variety=varied), batch(STRONG, variety=varied)
    assert torch.equal(both.area_BA, told.area_BA)


def test_a_background_mismatch_is_in_the_source_region_alone(plain):
    got = batch(Augmentation(background_norm=0.3))
    assert torch.equal(got.expected_BKC, plain.expected_BKC)
    assert torch.equal(got.expected_background_BC, plain.expected_background_BC)
    factor_BC = 1 + got.unmodelled_BC / got.expected_background_BC
    log_B = factor_BC[:, 0].log()
    torch.testing.assert_close(factor_BC, factor_BC[:, :1].expand(-1, 64), rtol=1e-4, atol=0)
    assert float(log_B.std()) == pytest.approx(0.3, rel=5 / np.sqrt(2 * BLOCK))
    assert float(got.unmodelled_BC.min()) < 0 < float(got.unmodelled_BC.max())


def test_the_width_of_the_line_changes_the_line_alone(plain):
    got = batch(Augmentation(line_width=(0.3, 0.3)))
    wide = batch(Augmentation(), fixed={"sigma": 0.3})
    torch.testing.assert_close(got.expected_BKC, wide.expected_BKC)
    assert torch.equal(got.expected_BKC[:, 0], plain.expected_BKC[:, 0])
    assert got.parameters_BP.shape == plain.parameters_BP.shape


def test_an_extra_component_has_its_share_of_the_counts_and_no_label(plain):
    own = Augmentation(extra_share=0.6, extra_flux=(0.05, 0.3))
    got = batch(own)
    assert torch.equal(got.expected_BKC, plain.expected_BKC)
    extra_B = own.draw(BLOCK, augment_generator()).extra_B
    share_B = got.unmodelled_BC.sum(1) / plain.expected_BKC.sum((1, 2))
    torch.testing.assert_close(share_B, extra_B, rtol=1e-3, atol=1e-4)
    # Lines lie in a few channels, bremsstrahlung in all of them.
    has = extra_B > 0
    peak_R = got.unmodelled_BC[has].amax(1) / got.unmodelled_BC[has].sum(1)
    assert 0.3 < float((peak_R > 0.2).float().mean()) < 0.7


def test_counts_and_fresh_noise_hold_all_of_it():
    got = batch(replace(STRONG, extra_flux=(0.5, 1.0), background_norm=0.5))
    mean_BC = got.expected_BKC.sum(1) + got.expected_background_BC + got.unmodelled_BC
    assert float(mean_BC.min()) > -1e-3
    for counts_BC in (got.counts_BC, got.redraw(torch.Generator().manual_seed(1)).counts_BC):
        bright = mean_BC > 5
        chi2 = ((counts_BC - mean_BC).square() / mean_BC)[bright]
        # chi2 has mean 1 and variance 2 + 1/mean <= 2.2 in each channel.
        assert abs(float(chi2.mean()) - 1) < 5 * (2.2 / len(chi2)) ** 0.5


def test_the_background_spectrum_knows_nothing_of_the_mismatch():
    got = batch(Augmentation(background_norm=0.5))
    mean_BC = got.expected_background_BC / got.background_scale_B[:, None]
    total = float(mean_BC.sum())
    assert float(got.background_BC.sum()) == pytest.approx(total, abs=5 * total**0.5)


def test_shards_give_back_what_was_drawn():
    simulator = Simulator(replace(PLAIN, augment=STRONG))
    read = to_batch(table_to_numpy(shard_table(simulator, 5, 0, BLOCK)), "spectra")
    assert torch.equal(read.unmodelled_BC, simulator.draw(5, 0).unmodelled_BC)


def test_without_components_the_same_counts_are_expected():
    whole, bare = batch(STRONG), batch(STRONG, components=False)
    assert bare.expected_BKC is None
    assert bare.unmodelled_BC is None
    total = float(whole.counts_BC.sum())
    assert float(bare.counts_BC.sum()) == pytest.approx(total, abs=8 * total**0.5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"gain_slope": -0.1}, "gain_slope = -0.1; give 0 or more"),
        ({"gain_slope": 5.0}, "is a fraction"),
        ({"blur": -1.0}, "blur = -1.0; give 0 or more"),
        ({"extra_share": 1.5}, "give 1 or less"),
        ({"extra_flux": (0.0, 0.1)}, "give 0 < low <= high"),
        ({"line_width": (0.3, 0.1)}, "give 0 < low <= high"),
    ],
)
def test_bad_settings_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**bad)


def test_a_model_without_a_line_has_no_width():
    forward = Simulator(PLAIN).forward
    free = replace(forward, names=(*forward.names, "sigma"))
    with pytest.raises(InputError, match="no parameter sigma that is not free"):
        Augmenter(Augmentation(line_width=(0.1, 0.2)), free)


def test_the_options_of_the_command_line_reach_the_config():
    words = "--augment.gain-slope 0.005 --augment.line-width 0.02 0.2 --augment.extra-share 0.3"
    shifted = "--gain 1.01 -5 --background-factor 3 --fixed brems_kt 4 --fixed brems_norm 1e-4"
    model = ["--model", "wabs * (powerlaw + gaussian + bbody + bremss)"]
    config = tyro.cli(SimulateSpectra, args=[*words.split(), *shifted.split(), *model]).config()
    own = Augmentation(gain_slope=0.005, line_width=(0.02, 0.2), extra_share=0.3)
    assert config.augment == own
    assert config.gain == (1.01, -5.0)
    assert config.background_factor == 3
    assert config.fixed == {"sigma": 0.1, "brems_kt": 4.0, "brems_norm": 1e-4}
    assert configs.from_dict(SimulateConfig, configs.to_dict(config)) == config
    assert tyro.cli(SimulateSpectra, args=[]).config() == SimulateConfig()
