"""Answers held against spectra: best fits, what is not explained, what pictures show."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from wolter.registry.checkpoint import load_model
from wolter.spectra import check_files, model_check
from wolter.spectra.evaluate.plots import predictive_plot
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.model_check import FEW, UNEXPLAINED, Likelihood, check_model
from wolter.spectra.reading import read_observed
from wolter.xray.emission import components
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.fakeit import fakeit
from wolter.xray.spectral.observation import write_spectrum
from wolter.xray.stats.fit import Counted

TRUTH = {
    "nh": 0.2, "slope": 1.8, "pow_norm": 5e-4, "line_energy": 5.3, "line_norm": 3e-5, "kt": 0.15,
    "bb_norm": 2e-5, "sigma": 0.1,
}  # fmt: skip
EXPOSURE_S = 25_000.0


@pytest.fixture(scope="module")
def pha(tmp_path_factory):
    response = epic_pn.response("medium")
    model = components.parse("wabs * (powerlaw + gaussian + bbody)")
    flux_BE = model(response.energy_edges_E1, TRUTH)
    generator = torch.Generator().manual_seed(3)
    spectrum, _ = fakeit(response, flux_BE[0].float(), EXPOSURE_S, generator)
    path = tmp_path_factory.mktemp("judgement") / "a.pha"
    write_spectrum(path, spectrum)
    return path


@pytest.fixture(scope="module")
def posterior(untrained):
    return load_model(untrained("posterior"))


@pytest.fixture(scope="module")
def gridded(pha, posterior):
    observation = read_observed(pha, response="embedded", background="none")
    return GriddedObservation.of(observation, posterior.card.spec, pha.name)


def statistic(likelihood, parameters_SP):
    data = Counted(
        likelihood.counts_BC, likelihood.exposure_B, likelihood.gridded.background_C[None]
    )
    return torch.cat(
        [
            data.statistic(likelihood.seen(p[None].float(), likelihood.exposure_B))
            for p in parameters_SP
        ]
    )


@pytest.mark.parametrize("refined", [False, True])
def test_the_best_fit_is_never_worse_than_the_samples(gridded, posterior, refined):
    checked = check_model(posterior, gridded, refined)
    for samples_SP in checked.sets.values():
        lowest = statistic(checked.likelihood, samples_SP[::20]).min()
        assert statistic(checked.likelihood, checked.best_P[None]) <= lowest + 1e-2
    told = statistic(checked.likelihood, checked.best_P[None]).item()
    assert checked.figures["cstat"] == pytest.approx(told, abs=1e-2)


def test_only_what_is_asked_for_is_refined(gridded, posterior):
    plain, refined = (check_model(posterior, gridded, how) for how in (False, True))
    assert list(plain.sets) == ["posterior"]
    assert "effective" not in plain.figures
    assert "refined" not in plain.flags
    assert list(refined.sets) == ["posterior", "refined posterior"]
    assert 0 < refined.figures["effective"] <= 1
    assert "refined" in refined.flags
    kept = refined.values["samples"][0]
    assert not (kept == plain.values["samples"][0]).all()
    assert len(kept) == plain.values["samples"].shape[1]


def test_what_is_detected_is_for_the_likelihood_to_say(gridded, posterior, monkeypatch):
    monkeypatch.setattr(
        model_check, "estimate_flags", lambda *_: [["anomalous", "not_detected:pow_norm"]]
    )
    monkeypatch.setattr(Likelihood, "undetected", lambda self, best_P: ("bb_norm",))
    flags = check_model(posterior, gridded).flags
    assert {"anomalous", "not_detected:bb_norm"} <= {*flags}
    assert "not_detected:pow_norm" not in flags


def test_best_fits_search_for_lower_minima(gridded, posterior, monkeypatch):
    asked = []
    plain = model_check.fit

    def watched(*words, search):
        asked.append(search)
        return plain(*words, search=search)

    monkeypatch.setattr(model_check, "fit", watched)
    check_model(posterior, gridded)
    assert asked == [True]


def test_norms_are_scaled_only_where_the_network_answers(gridded, posterior, monkeypatch):
    scaled = []
    plain = model_check.Likelihood

    def watched(gridded, spec, *, scaled: bool, _told=scaled):
        _told.append(scaled)
        return plain(gridded, spec, scaled=scaled)

    monkeypatch.setattr(model_check, "Likelihood", watched)
    for few in (False, True):
        monkeypatch.setattr(model_check, "uninformed", lambda *_, few=few: torch.tensor([few]))
        check_model(posterior, gridded)
    assert scaled == [True, False]


def test_a_best_fit_begins_at_the_best_samples(gridded, posterior, monkeypatch):
    """Without any search, from an answer that leads to a local minimum."""
    likelihood = Likelihood(gridded, posterior.card.spec)
    names = posterior.card.spec.names
    truth_P = torch.tensor([TRUTH[name] for name in names])
    far_P = truth_P.clone()
    far_P[names.index("line_energy")], far_P[names.index("line_norm")] = 6.9, 1e-6
    plain = model_check.fit
    monkeypatch.setattr(model_check, "fit", lambda *words, search: plain(*words))
    samples_SP = far_P.repeat(20, 1)
    samples_SP[13] = truth_P
    best_P = likelihood.best(far_P, samples_SP)
    assert best_P[names.index("line_energy")] == pytest.approx(5.3, abs=0.1)
    lost_P = likelihood.best(far_P)
    assert statistic(likelihood, lost_P[None]) > statistic(likelihood, best_P[None]) + 10
    better_P = likelihood.better(lost_P, samples_SP)
    torch.testing.assert_close(
        statistic(likelihood, better_P[None]), statistic(likelihood, best_P[None]), atol=0.1, rtol=0
    )
    assert likelihood.better(best_P, samples_SP) is best_P


def unexplained(monkeypatch, model, gridded, distance=0.0, p_value=0.5, refined=False):
    """Flags where C-stat of the best fit is so many deviations above what 7 fitted ones leave."""
    sigma = 10.0
    told = SimpleNamespace(statistic=200.0 + sigma * distance - 7, expected=200.0, sigma=sigma)
    monkeypatch.setattr(model_check, "goodness", lambda *_: told)
    monkeypatch.setattr(model_check, "_p_value", lambda _: p_value)
    monkeypatch.setattr(model_check, "_refine", lambda checked, _: checked.sets["posterior"])
    monkeypatch.setattr(Likelihood, "best", lambda self, start_P, *_: start_P)
    return "not_explained" in check_model(model, gridded, refined).flags


def test_a_distant_best_fit_is_not_explained(monkeypatch, gridded, untrained):
    model = load_model(untrained("mlp"))
    assert not unexplained(monkeypatch, model, gridded, UNEXPLAINED - 0.05)
    assert unexplained(monkeypatch, model, gridded, UNEXPLAINED + 0.05)


def test_no_more_parameters_are_fitted_than_there_are_counts():
    """Of no counts, where one is expected, nothing is taken: 1 is what C-stat should be."""
    figures = {"cstat": 2.0, "cstat_expected": 1.5, "cstat_sigma": 1.0}
    for counts, far in ((0.0, False), (3.0, False), (4.0, True)):
        likelihood = SimpleNamespace(counts_BC=torch.tensor([[counts, 0.0]]))
        assert model_check._unexplained(likelihood, figures, 7, False) is far


def test_a_low_p_value_of_a_refined_posterior_is_not_explained(monkeypatch, gridded, posterior):
    assert unexplained(monkeypatch, posterior, gridded, p_value=0.9 * FEW, refined=True)
    assert not unexplained(monkeypatch, posterior, gridded, p_value=1.1 * FEW, refined=True)
    # Of the network's own it says how good the network is, not the model.
    assert not unexplained(monkeypatch, posterior, gridded, p_value=0.0)


def test_norms_of_an_exposure_outside_the_trained_range_are_scaled_as_networks_scale_them(
    gridded, posterior
):
    spec = dataclasses.replace(posterior.card.spec, exposure_s=(50_000.0, 100_000.0))
    plain, scaled = (Likelihood(gridded, s) for s in (posterior.card.spec, spec))
    for i, name in enumerate(spec.names):
        factor = 50_000.0 / EXPOSURE_S if name.endswith("norm") else 1.0
        for bound in ("low_P", "high_P"):
            ratio = getattr(scaled.prior, bound)[i] / getattr(plain.prior, bound)[i]
            assert float(ratio) == pytest.approx(factor), name


def test_pictures_are_of_what_the_table_tells(pha, posterior, tmp_path, monkeypatch):
    """The statistic of the title, and the refined posterior where there is one."""
    drawn, checked = [], []
    plot, answer = predictive_plot.predictive, check_files.check_model
    monkeypatch.setattr(
        predictive_plot, "predictive", lambda *w, **k: drawn.append((w[4], k)) or plot(*w, **k)
    )
    monkeypatch.setattr(
        check_files, "check_model", lambda *w, **k: checked.append(answer(*w, **k)) or checked[-1]
    )
    (row,) = check_files.check_files(
        posterior, [pha], response="embedded", background="none", refined=True, plots=tmp_path
    )
    expected_SC, told = drawn[0][0], drawn[0][1]["quoted"]
    assert (told.cstat, told.expected, told.sigma, told.p_value) == (
        row["cstat"], row["cstat_expected"], row["cstat_sigma"], row["p_value"],
    )  # fmt: skip
    samples_SP = checked[0].sets["refined posterior"]
    right_SC = checked[0].likelihood.expected(model_check.predictive(samples_SP))
    torch.testing.assert_close(torch.from_numpy(expected_SC).float(), right_SC)
