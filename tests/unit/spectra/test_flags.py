"""Flags at both sides of their thresholds, and the prior where a spectrum tells too little."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.synthetic import SPEC, make_batch

from wolter import config as configs
from wolter import family as families
from wolter.registry.checkpoint import Card, load_model, save_model
from wolter.spectra.flags import DETECTED, EDGE, estimate_flags, prior_back, uninformed
from wolter.spectra.predict import estimate
from wolter.spectra.reading import Record
from wolter.spectra.training_ranges import TrainingRanges, beyond_training
from wolter.train.loop import build
from wolter.xray.stats.sampling import even_normals

TRAINED = make_batch(512, seed=1)
CARD = Card("posterior", {}, SPEC, trained=TrainingRanges.of(TRAINED))


@pytest.fixture(scope="module", params=["mlp", "posterior"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    family = families.load(request.param)
    module = build(family, family.config(), SPEC, seed=0)
    family.normalise(module, TRAINED)
    config = configs.to_dict(family.config())
    save_model(folder, replace(CARD, family=request.param, config=config), module)
    return load_model(folder)


def middle(n: int = 1) -> dict[str, np.ndarray]:
    """Estimates in the middle of the prior."""
    values = {p.name: np.full(n, (p.low + p.high) / 2, np.float32) for p in SPEC.parameters}
    return values | {"anomaly": np.zeros(n, np.float32)}


@pytest.mark.parametrize("parameter", SPEC.parameters, ids=lambda p: p.name)
@pytest.mark.parametrize("upper", [False, True])
def test_estimates_near_an_edge_are_flagged_and_no_others(parameter, upper):
    batch = TRAINED[:1]
    width = parameter.high - parameter.low
    for inside, flagged in ((0.0, True), (0.6 * EDGE, True), (2 * EDGE, False)):
        edge = parameter.high - inside * width if upper else parameter.low + inside * width
        values = middle() | {parameter.name: np.array([edge], np.float32)}
        flags = estimate_flags(CARD, batch, values)[0]
        assert (f"at_prior_edge:{parameter.name}" in flags) == flagged, inside


@pytest.mark.parametrize(("deviations", "detected"), [(0.95, False), (1.05, True)])
def test_a_norm_is_detected_where_its_mean_is_so_many_deviations_above_the_least(
    deviations, detected
):
    deviation = 0.1
    mean = 1.0 + deviations * DETECTED * deviation  # the least pow_norm is 1
    two_S = np.array([mean - deviation, mean + deviation], np.float32)
    samples_BSP = np.stack([np.full(2, 2.0), two_S, np.full(2, 1.0)], 1)[None].astype(np.float32)
    flags = estimate_flags(CARD, TRAINED[:1], middle() | {"samples": samples_BSP})[0]
    assert ("not_detected:pow_norm" not in flags) == detected


def test_point_estimates_alone_say_nothing_of_detection():
    assert estimate_flags(CARD, TRAINED[:1], middle())[0] == []


def test_unknown_ranges_are_said():
    flags = estimate_flags(replace(CARD, trained=None), TRAINED[:1], middle())[0]
    assert flags == ["training_ranges_unknown"]


def test_other_responses_and_backgrounds_are_said():
    batch = replace(TRAINED[:1], area_BA=3 * TRAINED.area_BA[:1])
    assert "response_outside_training" in estimate_flags(CARD, batch, middle())[0]
    batch = replace(TRAINED[:1], background_scale_B=torch.tensor([1.0]))
    assert "background_outside_training" in estimate_flags(CARD, batch, middle())[0]


def test_the_likelihood_answers_beyond_training_alone():
    row = TRAINED[:1]
    other = replace(row, background_scale_B=torch.tensor([1.0]))
    empty = replace(other, counts_BC=torch.zeros_like(row.counts_BC))
    cut = Record("a", row, ("band_not_covered",))
    records = [Record("a", row), Record("a", other), Record("a", empty), cut]
    found = [beyond_training(CARD.trained, record) for record in records]
    assert found == [False, True, False, True]


@pytest.mark.parametrize("counts", [0, 5])
def test_few_counts_give_the_prior_back(model, counts):
    flat_BC = torch.zeros(2, SPEC.n_channels)
    flat_BC[0, :counts] = 1
    flat_BC[1] = TRAINED.counts_BC[0]
    nothing_BC = torch.zeros_like(flat_BC)
    batch = replace(TRAINED[:2], counts_BC=flat_BC, background_BC=nothing_BC)
    values = estimate(model, batch)
    flags = estimate_flags(model.card, batch, values)
    assert ("few_counts" if counts else "no_counts") in flags[0]
    assert not {"few_counts", "no_counts"} & set(flags[1])
    assert "not_detected:pow_norm" in flags[0]
    assert not any(flag.startswith("at_prior_edge") for flag in flags[0])
    for p in SPEC.parameters:
        width = p.high - p.low
        assert values[p.name][0] == pytest.approx((p.low + p.high) / 2, abs=0.01 * width)
        if f"{p.name}_lolim" in values:
            low, high = values[f"{p.name}_lolim"][0], values[f"{p.name}_hilim"][0]
            assert low == pytest.approx(p.low + 0.16 * width, abs=0.01 * width)
            assert high == pytest.approx(p.high - 0.16 * width, abs=0.01 * width)
            upper = values[f"{p.name}_upper"][0]
            assert upper == pytest.approx(p.high - 0.05 * width, abs=0.01 * width)


@pytest.mark.parametrize("model", ["posterior"], indirect=True)
def test_no_interval_is_of_zero_width(model):
    wild = replace(make_batch(16), counts_BC=1e6 * torch.rand(16, SPEC.n_channels))
    values = estimate(model, wild)
    for p in SPEC.parameters:
        for level in ("", "95"):
            low_B, high_B = values[f"{p.name}_lolim{level}"], values[f"{p.name}_hilim{level}"]
            assert (high_B - low_B > 5e-5 * (p.high - p.low)).all(), p.name


def test_what_is_no_number_is_not_hidden_by_the_prior(model):
    batch = replace(TRAINED[:1], counts_BC=torch.zeros(1, SPEC.n_channels))

    def broken(module, given):
        return {k: torch.full_like(v, torch.nan) for k, v in predict(module, given).items()}

    predict = model.family.predict
    bad = replace(model, family=replace(model.family, predict=broken))
    assert np.isnan(estimate(bad, batch)["slope"]).all()


def test_an_area_that_is_not_told_is_flagged_for_posteriors_alone():
    """One unknown band is enough, and says nothing of the other spectra."""
    batch = TRAINED[:3]
    samples_BSP = np.tile(np.float32([2.0, 2.0, 1.0]), (3, 50, 1))
    samples_BSP += np.random.default_rng(0).normal(0, 0.01, samples_BSP.shape).astype(np.float32)
    area_BA = torch.ones(3, 24) * 100
    area_BA[1, 5] = torch.nan
    for area, told in ((area_BA, [False, True, False]), (None, [True] * 3)):
        seen = replace(batch, area_BA=area)
        card = replace(CARD, trained=None)
        flags = estimate_flags(card, seen, middle(3) | {"samples": samples_BSP})
        assert ["area_unknown" in each for each in flags] == told
        assert not any("area_unknown" in each for each in estimate_flags(card, seen, middle(3)))


def test_one_count_is_not_none():
    card = replace(CARD, trained=None)
    batch = make_batch(2)
    batch.counts_BC.zero_()
    batch.counts_BC[1, 3] = 1
    assert uninformed(card, batch).tolist() == [True, False]
    flags = estimate_flags(card, batch, middle(2))
    assert ["no_counts" in each for each in flags] == [True, False]
    assert not any("few_counts" in each for each in flags)


@pytest.mark.parametrize(("anomaly", "flagged"), [(3.45, False), (3.5, False), (3.55, True)])
def test_a_spectrum_is_novel_beyond_three_and_a_half_deviations(anomaly, flagged):
    values = middle() | {"anomaly": np.float32([anomaly])}
    assert ("anomalous" in estimate_flags(CARD, TRAINED[:1], values)[0]) is flagged


def test_a_anomaly_that_is_no_number_is_unknown():
    values = middle(2) | {"anomaly": np.float32([np.nan, 0.0])}
    assert estimate_flags(CARD, TRAINED[:2], values) == [["anomaly_unknown"], []]


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize(("share", "flagged"), [(0.0045, True), (0.005, True), (0.0055, False)])
def test_the_edge_is_half_a_hundredth_of_the_prior(upper, share, flagged):
    """Of a prior from 0 to 1, of which 0.005 is half a hundredth to the last bit."""
    parameters = (replace(SPEC.parameters[0], low=0.0, high=1.0), *SPEC.parameters[1:])
    card = replace(CARD, spec=replace(SPEC, parameters=parameters))
    value = 1.0 - share if upper else share
    values = middle() | {"slope": np.array([value])}
    assert ("at_prior_edge:slope" in estimate_flags(card, TRAINED[:1], values)[0]) is flagged


def samples_of(mean, deviation):
    """Two samples of norms with a mean and a deviation."""
    two_S = np.array([mean - deviation, mean + deviation])
    samples_BSP = np.stack([np.full(2, 2.0), two_S, np.full(2, 1.0)], 1)[None]
    return middle() | {"samples": samples_BSP}


@pytest.mark.parametrize(("deviations", "detected"), [(1.9, False), (2.1, True)])
def test_two_deviations_are_a_detection(deviations, detected):
    flags = estimate_flags(CARD, TRAINED[:1], samples_of(1 + 0.5 * deviations, 0.5))[0]
    assert ("not_detected:pow_norm" not in flags) == detected


def test_samples_that_agree_are_a_detection_where_they_are_above_the_least():
    """The least pow_norm is 1; a deviation of 0 divides nothing."""
    for value, detected in ((1.0, False), (1.001, True)):
        flags = estimate_flags(CARD, TRAINED[:1], samples_of(value, 0.0))[0]
        assert ("not_detected:pow_norm" not in flags) == detected


@pytest.mark.parametrize(
    ("exposure_s", "outside"),
    [(99.85, True), (99.95, False), (200.1, False), (200.15, False), (200.3, True)],
)
def test_exposures_are_compared_to_a_thousandth(exposure_s, outside):
    card = replace(CARD, spec=replace(SPEC, exposure_s=(100.0, 200.0)))
    batch = replace(TRAINED[:1], exposure_B=torch.tensor([exposure_s]))
    flags = estimate_flags(card, batch, middle())[0]
    assert ("exposure_outside_training" in flags) is outside


@pytest.mark.parametrize("exposure_s", [1e-3, 0.5, 1e9])
def test_where_no_exposures_are_known_none_is_outside(exposure_s):
    card = replace(CARD, trained=None)
    batch = replace(TRAINED[:1], exposure_B=torch.tensor([exposure_s]))
    assert estimate_flags(card, batch, samples_of(3.0, 0.5)) == [["training_ranges_unknown"]]


def test_norms_are_compared_as_if_seen_for_a_trained_exposure():
    """Half the shortest: norms at twice the prior's least are the lowest that are known."""
    card = replace(CARD, trained=None, spec=replace(SPEC, exposure_s=(100.0, 200.0)))
    for exposure_s, factor in ((50.0, 2.0), (400.0, 0.5), (150.0, 1.0)):
        batch = replace(TRAINED[:1], exposure_B=torch.tensor([exposure_s]))
        for deviations, detected in ((1.9, False), (2.1, True)):
            values = samples_of(factor + 0.1 * deviations, 0.1)
            flags = estimate_flags(card, batch, values)[0]
            assert ("not_detected:pow_norm" not in flags) == detected, exposure_s
        for value, flagged in ((1.01, True), (1.2, False), (9.8, False), (9.99, True)):
            values = middle() | {"pow_norm": np.array([factor * value])}
            flags = estimate_flags(card, batch, values)[0]
            assert ("at_prior_edge:pow_norm" in flags) is flagged, exposure_s


def test_exact_posteriors_of_few_counts_speak_for_themselves():
    batch = replace(TRAINED[:1], counts_BC=torch.zeros(1, SPEC.n_channels))
    batch.counts_BC[0, :3] = 1
    values = samples_of(3.0, 0.1) | {"slope": np.array([SPEC.parameters[0].low])}
    own, exact = (estimate_flags(CARD, batch, values, how)[0] for how in (False, True))
    assert "few_counts" in own
    assert "few_counts" in exact
    assert "no_counts" not in exact
    assert ("not_detected:pow_norm" in own, "not_detected:pow_norm" in exact) == (True, False)
    assert ("at_prior_edge:slope" in own, "at_prior_edge:slope" in exact) == (False, True)


@pytest.mark.parametrize("model", ["posterior"], indirect=True)
def test_the_prior_that_is_given_back_has_the_density_of_its_samples(model):
    batch = replace(TRAINED[:2], counts_BC=TRAINED.counts_BC[:2].clone())
    batch.counts_BC[0] = 0
    values = estimate(model, batch)
    n = values["samples"].shape[1]
    normal_SP = even_normals(n, len(SPEC.names))
    density_S = torch.distributions.Normal(0.0, 1.0).log_prob(normal_SP).sum(1)
    np.testing.assert_allclose(values["log_density"][0], density_S, rtol=1e-5)
    np.testing.assert_allclose(values["samples"][0], SPEC.prior.physical(normal_SP), rtol=1e-5)
    own = estimate(model, TRAINED[1:2])
    np.testing.assert_allclose(values["samples"][1], own["samples"][0], rtol=1e-3)


@pytest.mark.parametrize("model", ["mlp"], indirect=True)
def test_answers_to_enough_counts_stay_as_they_are(model):
    values = {name: np.ones(2, np.float32) for name in SPEC.names}
    assert prior_back(model.card, TRAINED[:2], values) is values
