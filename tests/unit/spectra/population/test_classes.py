"""Class models: their draws and what norms are relative to."""

import pytest
import torch

from wolter.spectra.population.class_model import Variant
from wolter.spectra.population.classes import CLASSES, NAMES, table
from wolter.spectra.population.draws import flux, log, lognormal, normal, ratio, uniform, width
from wolter.spectra.population.emission import Emission, energy_fluxes
from wolter.spectra.population.quantities import labels
from wolter.spectra.population.thermal import model_of
from wolter.xray.emission.components import parse

EDGES = torch.linspace(0.3, 10.0, 971, dtype=torch.float64)
VARIANTS = [(each.name, variant) for each in CLASSES for variant in each.variants]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "draw", [uniform(1, 3), log(0.01, 10), normal(1.9, 0.2), lognormal(1, 0.3)]
)
def test_draws_have_their_distribution(draw):
    value_B = draw.sample(100_000, generator())
    assert value_B.min() >= draw.low
    assert value_B.max() <= draw.high
    middle = {"uniform": 2.0, "log": 0.1**0.5, "normal": 1.9, "lognormal": 1.0}[draw.shape]
    assert float(value_B.median()) == pytest.approx(middle, rel=0.02)
    spread = value_B.log10() if "log" in draw.shape else value_B
    expected = {"uniform": 3**-0.5, "log": 3 / 12**0.5, "normal": 0.2, "lognormal": 0.3}
    assert float(spread.std()) == pytest.approx(expected[draw.shape], rel=0.03)


def test_cut_normals_stay_within_their_bounds():
    value_B = normal(1.0, 0.5, 0.8, 1.1).sample(1000, generator())
    assert value_B.min() >= 0.8
    assert value_B.max() <= 1.1


def test_shares_of_variants_make_a_class():
    assert NAMES == ("AGN", "YSO", "LM-STAR", "HM-STAR", "HMXB", "LMXB", "NS", "CV")
    for each in CLASSES:
        assert sum(variant.share for variant in each.variants) == pytest.approx(1)
    assert len(table().splitlines()) == len(VARIANTS)
    assert "AGN       55%  wabs * powerlaw: nh 0.06 +- 0.45 dex, slope 1.9 +- 0.25" in table()


@pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=lambda each: str(each)[:40])
def test_a_variant_is_complete_and_draws_within_its_priors(name, variant):
    emission = Emission.of(variant, EDGES, model_of("bremsstrahlung", variant.model))
    values = emission.draw(300, generator())
    for parameter, value_B in values.items():
        assert value_B.min() >= variant.draws[parameter].low
        assert value_B.max() <= variant.draws[parameter].high
    flux_BE, norms = emission(values)
    assert flux_BE.isfinite().all()
    assert (flux_BE >= 0).all()
    assert (flux_BE.sum(1) > 0).all()
    nh, slope, kt = labels(emission, values, norms)
    assert torch.equal(nh, values["nh"])
    assert bool(slope.isnan().all()) == (not variant.slope)
    assert bool(kt.isnan().all()) == (not variant.kt)


def emitted(
    variant: Variant,
) -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    emission = Emission.of(variant, EDGES)
    values = emission.draw(16, generator())
    return (*emission(values), values)


def test_a_flux_is_relative_to_the_first_component():
    drawn = {"slope": normal(1.8, 0.2), "kt": log(0.1, 0.5), "bb_norm": flux(log(0.05, 2))}
    variant = Variant(1.0, "powerlaw + bbody", {"nh": log(0.01, 0.1)} | drawn)
    _, norms, values = emitted(Variant(1.0, "wabs * (powerlaw + bbody)", variant.draws))
    model = parse("powerlaw + bbody").on(EDGES)
    terms = model.terms(
        {"slope": values["slope"], "kt": values["kt"], "pow_norm": 1.0, "bb_norm": norms["bb_norm"]}
    )
    band = ((0.5, 7.0),)
    power, black = (energy_fluxes(terms[name], EDGES, band)[:, 0] for name in ("powerlaw", "bbody"))
    torch.testing.assert_close(black / power, values["bb_norm"], rtol=1e-4, atol=0)


def test_a_width_is_relative_to_the_continuum_at_the_line():
    draws = {"nh": log(0.01, 0.1), "slope": normal(1.8, 0.2), "line_norm": width(log(0.05, 0.5))}
    fixed = {"line_energy": 6.4, "sigma": 0.03}
    _, norms, values = emitted(Variant(1.0, "wabs * (powerlaw + gaussian)", draws, fixed))
    torch.testing.assert_close(
        norms["line_norm"], values["line_norm"] * 6.4 ** -values["slope"], rtol=0.01, atol=0
    )


def test_a_ratio_is_of_norms_and_missing_parameters_are_the_first_ones():
    draws = {
        "nh": log(1, 10),
        "plasma_kt": lognormal(5, 0.1),
        "abundance": uniform(0.3, 0.5),
        "nh_2": log(0.01, 0.1),
        "plasma_norm_2": ratio(log(0.01, 0.1)),
    }
    text = "wabs * plasma + wabs * plasma"
    variant = Variant(1.0, text, draws, kt=("plasma_kt",))
    model = model_of("bremsstrahlung", text)
    emission = Emission.of(variant, EDGES, model)
    values = emission.draw(16, generator())
    flux_BE, norms = emission(values)
    same = {"plasma_kt_2": values["plasma_kt"], "abundance_2": values["abundance"]}
    expected_BE = model.on(EDGES)(values | same | {"plasma_norm": 1.0})
    torch.testing.assert_close(flux_BE, expected_BE, rtol=1e-4, atol=1e-12)
    torch.testing.assert_close(labels(emission, values, norms)[2], values["plasma_kt"])


def test_kt_of_two_temperatures_is_weighted_by_their_norms():
    text = "wabs * (plasma + plasma)"
    draws = {
        "nh": log(0.1, 1),
        "plasma_kt": uniform(0.5, 1),
        "plasma_kt_2": uniform(2, 4),
        "abundance": uniform(0.3, 0.5),
        "plasma_norm_2": ratio(log(0.1, 3)),
    }
    variant = Variant(1.0, text, draws, kt=("plasma_kt", "plasma_kt_2"))
    emission = Emission.of(variant, EDGES, model_of("bremsstrahlung", text))
    values = emission.draw(16, generator())
    _, norms = emission(values)
    weight = values["plasma_norm_2"]
    expected = (values["plasma_kt"] + weight * values["plasma_kt_2"]) / (1 + weight)
    torch.testing.assert_close(labels(emission, values, norms)[2], expected)
