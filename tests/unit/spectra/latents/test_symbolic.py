"""Formulas of latents from band fluxes."""

import numpy as np
import pytest

from wolter.spectra.latents.symbolic import Formula, agreement, search, terms


@pytest.fixture
def fluxes():
    generator = np.random.default_rng(0)
    own = {name: 10 ** generator.normal(-14, 0.5, 2000) for name in ("s", "m", "h")}
    return own | {"b": sum(own.values())}


def halves(fluxes):
    return ({k: v[:1000] for k, v in fluxes.items()}, {k: v[1000:] for k, v in fluxes.items()})


def test_a_logarithm_of_a_ratio_is_found_with_its_weight(fluxes):
    latent_N = 0.5 - 2 * np.log10(fluxes["h"] / fluxes["s"])
    latent_N += 0.1 * np.random.default_rng(1).normal(size=2000)
    learn, judge = halves(fluxes)
    formula = search(latent_N[:1000], learn)
    assert formula.terms == ("log(F_h/F_s)",)
    assert formula.weights[0] == pytest.approx(-2, abs=0.02)
    assert formula.constant == pytest.approx(0.5, abs=0.02)
    rank, linear = agreement(formula, latent_N[1000:], judge)
    assert rank > 0.99
    assert linear > 0.99


def test_a_formula_is_printed_with_signs():
    assert str(Formula(("a", "b"), (-2.0, 0.5), 0.5)) == "0.50 - 2.00 a + 0.50 b"


def test_a_hardness_ratio_is_told_from_its_logarithm(fluxes):
    latent_N = (fluxes["h"] - fluxes["m"]) / (fluxes["h"] + fluxes["m"])
    assert search(latent_N, fluxes).terms == ("(F_h-F_m)/(F_h+F_m)",)


def test_two_terms_are_taken_where_one_is_not_enough(fluxes):
    latent_N = np.log10(fluxes["b"]) + np.log10(fluxes["h"] / fluxes["s"])
    formula = search(latent_N, fluxes)
    assert len(formula.terms) == 2
    assert agreement(formula, latent_N, fluxes)[1] > 0.99


def test_noise_is_not_explained(fluxes):
    noise_N = np.random.default_rng(5).normal(size=2000)
    learn, judge = halves(fluxes)
    assert agreement(search(noise_N[:1000], learn), noise_N[1000:], judge)[0] < 0.1
    assert search(np.zeros(2000), fluxes) is None


def test_every_term_has_a_text_of_its_own(fluxes):
    texts = [term.text for term in terms(fluxes)]
    assert len(set(texts)) == len(texts) == 4 + 6 + 3 + 3 + 3
