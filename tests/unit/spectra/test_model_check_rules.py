"""Rules of judgements at both sides of their bounds; likelihoods, starts and p-values by hand."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.spectra import model_check
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.model_check import Likelihood, check_checkable, check_model
from wolter.spectra.reading import read_observed
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.observation import Spectrum, write_spectrum
from wolter.xray.stats.fit import Counted
from wolter.xray.stats.goodness import posterior_predictive_p


@pytest.fixture(scope="module")
def posterior(untrained):
    return load_model(untrained("posterior"))


@pytest.fixture(scope="module")
def gridded(posterior, tmp_path_factory):
    """Few counts in some channels, none in most."""
    response = epic_pn.response("medium")
    counts_C = torch.zeros(response.matrix_EC.shape[1], dtype=torch.float64)
    counts_C[100:1500:20] = 3
    spectrum = Spectrum(
        counts_C, 25_000.0, telescope="XMM", instrument="EPN", filter="Medium"
    )  # fmt: skip
    path = tmp_path_factory.mktemp("rules") / "a.pha"
    write_spectrum(path, spectrum)
    observation = read_observed(path, response="embedded", background="none")
    return GriddedObservation.of(observation, posterior.card.spec, path.name)


@pytest.fixture
def likelihood(gridded, posterior):
    return Likelihood(gridded, posterior.card.spec)


def emptied(gridded):
    batch = gridded.record.batch
    none = dataclasses.replace(batch, counts_BC=torch.zeros_like(batch.counts_BC))
    return dataclasses.replace(gridded, record=dataclasses.replace(gridded.record, batch=none))


def middle(likelihood):
    return (likelihood.prior.low_P + likelihood.prior.high_P)[None] / 2


def test_the_likelihood_by_hand(likelihood):
    """Of a bright, a faint and an empty model."""
    three_SP = middle(likelihood).repeat(3, 1)
    for i, name in enumerate(likelihood.seen.names):
        if name.endswith("norm"):
            three_SP[:, i] *= torch.tensor([1.0, 1e-3, 0.0])
    expected_SC = likelihood.expected(three_SP).double().clamp_min(1e-20)
    log_S = (likelihood.counts_BC * expected_SC.log() - expected_SC).sum(1)
    found_S = likelihood.log(torch.zeros(3), three_SP)
    assert (expected_SC[1] < 1).any()
    assert (expected_SC[2] == 1e-20).all()
    torch.testing.assert_close(found_S, log_S, rtol=1e-5, atol=0)
    assert found_S.isfinite().all()


def test_a_likelihood_that_is_no_number_is_the_lowest(likelihood, monkeypatch):
    monkeypatch.setattr(likelihood, "log", lambda row, _: torch.tensor([torch.nan, -1.0]))
    assert likelihood._log(torch.zeros(2, 7)).tolist() == [-torch.inf, -1.0]


@pytest.mark.parametrize(
    ("exposure_s", "factor"),
    [(None, 1.0), ((5e4, 1e5), 2.0), ((5e3, 1e4), 0.4), ((2e4, 3e4), 1.0)],
)
def test_bounds_of_norms_follow_the_trained_exposures(gridded, posterior, exposure_s, factor):
    spec = dataclasses.replace(posterior.card.spec, exposure_s=exposure_s)
    low_P, high_P = spec.bounds_2P()
    for scaled in (True, False):
        box = Likelihood(gridded, spec, scaled=scaled).prior
        for i, name in enumerate(spec.names):
            times = factor if scaled and name.endswith("norm") else 1.0
            assert float(box.low_P[i]) == pytest.approx(times * float(low_P[i]))
            assert float(box.high_P[i]) == pytest.approx(times * float(high_P[i]))


def test_norms_are_absent_below_what_counts_as_detected(likelihood, monkeypatch):
    """Of the three norms the first is far above, the second just below, the third just at it."""
    names, asked = likelihood.seen.names, []
    norms = [i for i, name in enumerate(names) if name.endswith("norm")]
    rise = dict(zip(norms, (50.0, model_check.DETECTED - 1e-3, model_check.DETECTED), strict=True))

    def rise_without(seen, data, best_BP, bounds_2P, norm):
        asked.append(best_BP.tolist())
        assert torch.equal(bounds_2P[0], likelihood.prior.low_P)
        assert torch.equal(bounds_2P[1], likelihood.prior.high_P)
        return torch.tensor([rise[norm]], dtype=torch.float64)

    monkeypatch.setattr(model_check, "rise_without", rise_without)
    best_P = middle(likelihood)[0]
    assert likelihood.undetected(best_P) == (names[norms[1]],)
    assert asked == [[best_P.tolist()]] * 3


@pytest.mark.parametrize("samples", [None, 2, 10])
def test_best_fits_start_at_the_answer_the_middle_and_the_best_samples(
    likelihood, monkeypatch, samples
):
    started = []

    def fit(seen, data, start_BRP, bounds_2P, search):
        started.append(start_BRP)
        return SimpleNamespace(parameters_BP=start_BRP[:, 0])

    monkeypatch.setattr(model_check, "fit", fit)
    monkeypatch.setattr(likelihood, "_log", lambda samples_SP: samples_SP[:, 1])
    answer_P = 1.1 * middle(likelihood)[0]
    samples_SP = None
    if samples:
        share_S1 = torch.linspace(0.5, 1, samples)[:, None]
        low_P = likelihood.prior.low_P
        samples_SP = low_P + (middle(likelihood) - low_P) * share_S1
    found_P = likelihood.best(answer_P, samples_SP)
    expected = [answer_P[None], middle(likelihood)]
    if samples:
        expected.append(samples_SP.flip(0)[:4])  # highest first, four at most
    torch.testing.assert_close(started[0], torch.cat(expected)[None].double())
    torch.testing.assert_close(found_P, answer_P.double())
    # Starts beyond the box are moved to it.
    likelihood.best(10 * likelihood.prior.high_P)
    torch.testing.assert_close(started[1][0, 0], likelihood.prior.high_P.double())


def test_a_best_fit_stays_where_no_sample_is_better(likelihood, monkeypatch):
    monkeypatch.setattr(likelihood, "best", lambda best_P, samples_SP: "anew")
    monkeypatch.setattr(likelihood, "_log", lambda samples_SP: samples_SP[:, 0])
    best_P = torch.tensor([2.0])
    for highest, anew in ((1.9, False), (2.0, False), (2.1, True)):
        samples_SP = torch.tensor([[0.0], [highest], [1.0]])
        found = likelihood.better(best_P, samples_SP)
        assert found == "anew" if anew else found is best_P


@pytest.mark.parametrize(
    ("cstat", "counts", "p_value", "refined", "unexplained"),
    [
        (5.0, 0, 0.5, False, False),  # 4 deviations, which is not more than 4
        (5.01, 0, 0.5, False, True),
        (4.99, 0, 0.5, True, False),
        (3.0, 2, 0.5, False, False),  # two counts are fitted by two parameters
        (3.01, 2, 0.5, False, True),
        (-1.99, 9, 0.5, False, True),  # seven at most
        (-2.0, 9, 0.5, False, False),
        (1.0, 0, 0.00099, True, True),
        (1.0, 0, 0.001, True, False),
        (1.0, 0, 0.0, False, False),
    ],
)
def test_what_is_not_explained_at_both_sides_of_its_bounds(
    cstat, counts, p_value, refined, unexplained
):
    figures = {"cstat": cstat, "cstat_expected": 1.0, "cstat_sigma": 1.0, "p_value": p_value}
    seen = SimpleNamespace(counts_BC=torch.tensor([[counts, 0.0]]))
    assert model_check._unexplained(seen, figures, 7, refined) is unexplained


def test_a_predictive_distribution_is_of_samples_from_first_to_last():
    samples_SP = torch.arange(1000.0)[:, None]
    chosen_SP = model_check.predictive(samples_SP)
    assert len(chosen_SP) == 400
    assert (float(chosen_SP[0]), float(chosen_SP[-1])) == (0.0, 999.0)
    assert (chosen_SP.diff(dim=0) > 0).all()


def test_no_answer_of_a_model_without_emission_is_judged(posterior):
    check_checkable(posterior)
    spec = dataclasses.replace(posterior.card.spec, model="")
    unknown = dataclasses.replace(posterior, card=dataclasses.replace(posterior.card, spec=spec))
    with pytest.raises(InputError, match=r"^posterior: its training data name no emission model"):
        check_checkable(unknown)


@pytest.fixture
def quick(monkeypatch):
    """Judgements without fits: what is told of them alone."""
    monkeypatch.setattr(Likelihood, "best", lambda self, start_P, *_: start_P.double())
    monkeypatch.setattr(Likelihood, "undetected", lambda *_: ())


def test_point_estimates_have_nothing_to_refine(quick, untrained, gridded):
    model = load_model(untrained("mlp"))
    with pytest.raises(InputError, match=r"^mlp gives no posterior to refine; choose posterior$"):
        check_model(model, gridded, refined=True)
    checked = check_model(model, gridded)
    assert not checked.sets
    assert checked.figures.keys() == {"cstat", "cstat_expected", "cstat_sigma"}


@pytest.fixture
def refinement(quick, gridded, posterior, monkeypatch):
    """All weight on the sample of index 7, which is then given as it is."""
    fine = {}

    def refine(sampler, row_B, samples_BSP, density_BS):
        assert row_B.tolist() == [0]
        weights_BS = torch.zeros(density_BS.shape)
        weights_BS[0, 7] = 1.0
        fine["chosen"] = samples_BSP[0, 7]
        return SimpleNamespace(
            parameters_BSP=samples_BSP, weights_BS=weights_BS, share_B=torch.tensor([0.25])
        )

    monkeypatch.setattr(model_check, "refine", refine)
    return fine


def test_nothing_is_refined_unasked(quick, gridded, posterior):
    checked = check_model(posterior, gridded)
    assert list(checked.sets) == ["posterior"]
    assert "effective" not in checked.figures
    samples_SP = torch.from_numpy(checked.values["samples"][0])
    assert torch.equal(checked.sets["posterior"], samples_SP)


def test_of_no_counts_nothing_is_refined(quick, gridded, posterior):
    checked = check_model(posterior, emptied(gridded), refined=True)
    assert list(checked.sets) == ["posterior"]
    assert checked.figures["effective"] == 0.0
    assert "refined" not in checked.flags
    assert "no_counts" in checked.flags


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("unexplained", [False, True])
def test_few_counts_that_are_not_explained_keep_the_prior(
    refinement, gridded, posterior, monkeypatch, few, unexplained
):
    monkeypatch.setattr(model_check, "uninformed", lambda *_: torch.tensor([few]))
    monkeypatch.setattr(model_check, "_unexplained", lambda *_: unexplained)
    told = []
    plain = model_check.estimate_flags

    def flags(card, batch, values, exact):
        told.append((values["slope"][0], exact))
        return plain(card, batch, values, exact)

    monkeypatch.setattr(model_check, "estimate_flags", flags)
    checked = check_model(posterior, gridded, refined=True)
    kept = not (few and unexplained)
    assert ("refined posterior" in checked.sets) is kept
    assert ("refined" in checked.flags) is kept
    assert ("not_explained" in checked.flags) is unexplained
    assert told == [(checked.values["slope"][0], kept)]
    own = model_check.estimate(posterior, gridded.record.batch)
    assert (checked.values["slope"] == own["slope"]).all() == (not kept)


@pytest.mark.parametrize("refined", [False, True])
def test_p_values_are_of_the_last_samples_and_the_same_each_time(
    refinement, gridded, posterior, refined
):
    checked = check_model(posterior, gridded, refined)
    samples_SP = checked.sets["refined posterior" if refined else "posterior"]
    likelihood = checked.likelihood
    seen_C = likelihood.seen_C
    expected_SC = likelihood.expected(model_check.predictive(samples_SP))
    p_B = posterior_predictive_p(
        likelihood.counts_BC[:, seen_C], expected_SC[None][..., seen_C],
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert checked.figures["p_value"] == float(p_B[0])


def test_figures_are_of_the_channels_that_are_seen(quick, gridded, posterior):
    checked = check_model(posterior, gridded)
    likelihood, seen_C = checked.likelihood, checked.likelihood.seen_C
    data = Counted(
        likelihood.counts_BC[:, seen_C], likelihood.exposure_B,
        likelihood.gridded.background_C[None][:, seen_C],
    )  # fmt: skip
    source_BC = likelihood.seen(checked.best_P[None].float(), likelihood.exposure_B)[:, seen_C]
    assert checked.figures["cstat"] == pytest.approx(float(data.statistic(source_BC)), rel=1e-5)


def test_refined_samples_are_drawn_by_their_weight(refinement, gridded, posterior, monkeypatch):
    monkeypatch.setattr(model_check, "at_least_wide", lambda samples_BSP, *_: samples_BSP)
    checked = check_model(posterior, gridded, refined=True)
    samples_SP = checked.sets["refined posterior"]
    assert checked.figures["effective"] == 0.25
    assert len(samples_SP) == checked.values["samples"].shape[1]
    assert len(samples_SP) == len(checked.sets["posterior"])
    torch.testing.assert_close(samples_SP, refinement["chosen"].expand_as(samples_SP))
    names = posterior.card.spec.names
    told_P = torch.tensor([float(checked.values[name][0]) for name in names])
    torch.testing.assert_close(told_P, refinement["chosen"], rtol=1e-4, atol=0)


def test_widened_samples_are_those_that_are_told(refinement, gridded, posterior, monkeypatch):
    monkeypatch.setattr(model_check, "at_least_wide", lambda samples_BSP, *_: samples_BSP * 1.5)
    checked = check_model(posterior, gridded, refined=True)
    names = posterior.card.spec.names
    told_P = torch.tensor([float(checked.values[name][0]) for name in names])
    torch.testing.assert_close(told_P, 1.5 * refinement["chosen"], rtol=1e-4, atol=0)
    samples_SP = torch.from_numpy(checked.values["samples"][0])
    assert torch.equal(checked.sets["refined posterior"], samples_SP)


def test_an_exposure_of_any_length_is_trained_on_where_none_is_known(gridded, posterior):
    batch = dataclasses.replace(gridded.record.batch, exposure_B=torch.tensor([0.25]))
    record = dataclasses.replace(gridded.record, batch=batch)
    short = dataclasses.replace(gridded, record=record)
    spec = dataclasses.replace(posterior.card.spec, exposure_s=None)
    low_P, high_P = spec.bounds_2P()
    box = Likelihood(short, spec).prior
    torch.testing.assert_close(box.low_P, low_P)
    torch.testing.assert_close(box.high_P, high_P)
