from dataclasses import replace

import pytest
import torch
from tests.synthetic import make_batch

from wolter import config as configs
from wolter.spectra.grid import PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.training_ranges import TrainingRanges
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.redistribution import recorded_offsets

SCALE = 0.5  # of the synthetic spectra


@pytest.fixture(scope="module")
def trained():
    """A training set of one background scale whose areas differ by a factor alone."""
    batch = make_batch(400)
    area_A = torch.linspace(300, 900, batch.area_BA.shape[1])
    offset_QA = recorded_offsets(epic_pn.response("medium"), PHOTONS_KEV, RECORDED_SHARES).float()
    return replace(
        batch,
        area_BA=area_A * torch.linspace(0.5, 1, 400)[:, None],
        redistribution_BQA=offset_QA.expand(400, -1, -1),
    )


@pytest.fixture(scope="module")
def ranges(trained):
    return TrainingRanges.of(trained)


def changed(trained: SpectraBatch, **columns) -> SpectraBatch:
    """The training spectrum of the largest area, with other columns."""
    return replace(trained[-1:], **columns)


def test_a_training_spectrum_is_within(trained, ranges):
    assert not ranges.other_response(trained).any()
    assert not ranges.other_background(trained).any()
    assert not ranges.few_counts(trained).any()


def test_ranges_survive_json(ranges):
    assert configs.from_dict(TrainingRanges, configs.to_dict(ranges)) == ranges


@pytest.mark.parametrize(("factor", "outside"), [(1.01, False), (1.05, True), (0.3, True)])
def test_areas_are_told_at_both_sides_of_the_margin(trained, ranges, factor, outside):
    batch = changed(trained, area_BA=trained.area_BA[-1:] * factor)
    assert bool(ranges.other_response(batch)) == outside


@pytest.mark.parametrize(("share", "outside"), [(0.005, False), (0.02, True)])
def test_a_band_is_judged_where_photons_are_seen(trained, share, outside):
    """The lowest band sees next to nothing in training; an area of `share` of the largest there."""
    blind = replace(trained, area_BA=trained.area_BA.clone())
    blind.area_BA[:, 0] = 0.02
    other = changed(blind, area_BA=blind.area_BA[-1:].clone())
    other.area_BA[:, 0] = share * 900
    assert bool(TrainingRanges.of(blind).other_response(other)) == outside


@pytest.mark.parametrize(("step", "outside"), [(0.02, False), (0.06, True)])
def test_the_shape_of_an_area_is_told_within_its_range(trained, ranges, step, outside):
    area_BA = trained.area_BA[100:101].clone()
    area_BA[:, 10:] *= 1 + step
    batch = changed(trained, area_BA=area_BA)
    assert bool(ranges.other_response(batch)) == outside


@pytest.mark.parametrize(("blur", "outside"), [(1.005, False), (1.05, True)])
def test_another_resolution_is_told(trained, ranges, blur, outside):
    batch = changed(trained, redistribution_BQA=trained.redistribution_BQA[-1:] * blur)
    assert bool(ranges.other_response(batch)) == outside


def test_what_a_record_does_not_tell_is_not_judged(trained, ranges):
    batch = changed(trained, area_BA=None, redistribution_BQA=None)
    assert not ranges.other_response(batch)


@pytest.mark.parametrize(
    ("scale", "outside"), [(0.495, False), (0.48, True), (0.52, True), (1.0, True), (0.0, True)]
)
def test_background_scales_are_told(trained, ranges, scale, outside):
    counts_BC = trained.background_BC[-1:] * (SCALE / scale if scale else 0)
    batch = changed(
        trained, background_scale_B=torch.tensor([scale]), background_BC=counts_BC.round()
    )
    assert bool(ranges.other_background(batch)) == outside


@pytest.mark.parametrize(("level", "outside"), [(1.0, False), (3.0, True), (0.1, True)])
def test_background_levels_are_told_beyond_their_noise(trained, ranges, level, outside):
    expected_BC = trained.expected_background_BC[-1:] / SCALE * level
    batch = changed(trained, background_BC=expected_BC.round())
    assert bool(ranges.other_background(batch)) == outside


def test_few_counts_are_fewer_than_any_training_spectrum_s(trained, ranges):
    least = ranges.net_counts[0]
    flat_BC = torch.zeros_like(trained.counts_BC[:1])
    for counts, few in ((least + 1, False), (least - 1, True)):
        flat_BC[0, 0] = counts
        batch = changed(trained, counts_BC=flat_BC, background_BC=torch.zeros_like(flat_BC))
        assert bool(ranges.few_counts(batch)) == few


def test_one_trained_area_scales_exposures_and_several_do_not(trained, ranges):
    one = TrainingRanges.of(replace(trained, area_BA=trained.area_BA[-1:].expand(400, -1)))
    batch = changed(trained, area_BA=1.2 * trained.area_BA[-1:])
    exposure_B = batch.exposure_B
    torch.testing.assert_close(one.effective_exposure(batch), 1.2 * exposure_B)
    assert torch.equal(one.effective_exposure(trained[-1:]), exposure_B)
    assert torch.equal(ranges.effective_exposure(batch), exposure_B)
