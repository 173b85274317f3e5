"""Autoencoder of spectra: what it answers where little is known, and what its parts give."""

from dataclasses import replace

import pytest
import torch
from tests.synthetic import SPEC, make_batch

from wolter import family as families
from wolter.models._autoencoder import LATENTS, Config
from wolter.models._misfits import like_background, smooth_misfits
from wolter.models._mixture import Mixture
from wolter.models._ranks import Ranks
from wolter.models._spectrum_decoder import ERG_PER_KEV, FLUX_BAND, FluxDecoder, deviance
from wolter.models._spectrum_encoder import shortened
from wolter.models.autoencoder import FAMILY
from wolter.spectra.folding import bands_kev
from wolter.spectra.outputs import class_column
from wolter.spectra.schema import SpectraBatch
from wolter.train.loop import build

SMALL = Config(
    width=16, layers=1, heads=2, decoder=32, mixture=4, tied=("slope", "kt"), shortened=0.0
)


@pytest.fixture(scope="module")
def batch():
    return make_batch(256)


def made(config, batch, spec=SPEC):
    module = build(FAMILY, config, spec, seed=0)
    FAMILY.normalise(module, batch)
    return module.eval()


def trained(config, batch, steps=350):
    module = made(config, batch).train()
    optimiser = torch.optim.AdamW(module.parameters(), 3e-3)
    torch.manual_seed(0)
    for _ in range(steps):
        optimiser.zero_grad()
        FAMILY.loss(module, batch)[0].backward()
        optimiser.step()
    module.eval().requires_grad_(False)
    FAMILY.settle(module, iter([batch]))
    return module


@pytest.fixture(scope="module")
def learnt(batch):
    return trained(SMALL, batch)


class TestLatents:
    def test_tied_latents_follow_their_quantities(self, learnt, batch):
        latent_BL = FAMILY.predict(learnt, batch)["latent"]
        assert latent_BL.shape == (256, LATENTS)
        assert batch.parameters_BP is not None
        for latent, parameter in ((1, "slope"), (2, "kt")):
            truth_B = batch.parameters_BP[:, SPEC.names.index(parameter)]
            pair_2B = torch.stack([latent_BL[:, latent].detach(), truth_B])
            assert float(torch.corrcoef(pair_2B)[0, 1]) > 0.6, parameter

    def test_their_widths_are_those_of_their_errors(self, learnt, batch):
        values = FAMILY.predict(learnt, batch)
        assert batch.parameters_BP is not None
        truth_B = (batch.parameters_BP[:, 0] - learnt.tied_mean_A[0]) / learnt.tied_scale_A[0]
        z_B = (truth_B - values["latent"][:, 1]) / values["latent_sigma"][:, 1]
        assert 0.4 < float((z_B.abs() < 1).float().mean()) < 0.95

    def test_none_need_be_tied(self, batch):
        module = made(replace(SMALL, tied=()), batch)
        assert FAMILY.predict(module, batch)["latent"].isfinite().all()

    def test_centres_draw_latents_to_them(self, batch):
        config = replace(SMALL, tied=(), clusters=3, cluster_weight=1.0)
        module = made(config, batch).train()
        total, parts = FAMILY.loss(module, batch)
        total.backward()
        assert parts["clusters"] > 0
        assert module.centres.grad.abs().sum() > 0


class TestLittleIsKnown:
    def test_no_counts_give_what_is_known_before(self, learnt, batch):
        nothing = replace(batch[:2], counts_BC=torch.zeros(2, SPEC.n_channels))
        values = FAMILY.predict(learnt, nothing)
        assert (values["latent"] == 0).all()
        assert (values["latent_sigma"] == 1).all()
        assert (values["flux"] == 0).all()
        told_B = deviance(nothing.counts_BC, values["reconstruction"])
        torch.testing.assert_close(values["deviance"], told_B)
        p_BK = torch.stack([values[class_column(name)] for name in SPEC.classes], 1)
        assert batch.class_B is not None
        shares_K = torch.bincount(batch.class_B.long()) + 1.0
        torch.testing.assert_close(p_BK[0], shares_K / shares_K.sum())

    def test_an_unknown_response_is_the_training_set_s(self, learnt, batch):
        assert batch.folding_area_BF is not None
        unknown = replace(batch, folding_area_BF=None, folding_offsets_BTA=None)
        holes = replace(batch, folding_area_BF=batch.folding_area_BF * torch.nan)
        right = FAMILY.predict(learnt, batch)  # all have one area
        for each in (unknown, holes):
            found = FAMILY.predict(learnt, each)
            torch.testing.assert_close(found["latent"], right["latent"])
            assert found["reconstruction"].isfinite().all()

    def test_extreme_counts_stay_finite(self, learnt, batch):
        for factor in (1e-3, 1e6):
            extreme = replace(batch[:4], counts_BC=batch.counts_BC[:4] * factor)
            assert all(v.isfinite().all() for v in FAMILY.predict(learnt, extreme).values())

    def test_one_spectrum_has_the_same_answer_alone(self, learnt, batch):
        together, alone = FAMILY.predict(learnt, batch[:8]), FAMILY.predict(learnt, batch[3:4])
        for name, value in alone.items():
            torch.testing.assert_close(together[name][3:4], value, rtol=1e-4, atol=1e-4)


class TestReconstruction:
    def test_the_first_latent_is_the_energy_flux(self):
        torch.manual_seed(0)
        decoder = FluxDecoder(LATENTS, 16)
        log_flux_B = torch.tensor([-30.0, -25.0])
        flux_BF = decoder(torch.randn(2, LATENTS), log_flux_B)
        energy_F = bands_kev()
        inside_F = (energy_F >= FLUX_BAND[0]) & (energy_F < FLUX_BAND[1])
        erg_B = (flux_BF * energy_F * inside_F).sum(1) * ERG_PER_KEV
        torch.testing.assert_close(erg_B.log(), log_flux_B, rtol=1e-4, atol=0)

    def test_it_explains_the_counts_it_learnt_from(self, learnt, batch):
        values = FAMILY.predict(learnt, batch)
        flat_BC = batch.counts_BC.sum(1, keepdim=True) / SPEC.n_channels
        flat_B = deviance(batch.counts_BC, flat_BC.expand_as(batch.counts_BC))
        assert float((values["deviance"] / flat_B).median()) < 0.25

    def test_deviance_is_twice_the_likelihood_ratio(self):
        counts, expected = torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0, 1.5]])
        poisson = torch.distributions.Poisson
        at_best = poisson(torch.tensor([3.0])).log_prob(torch.tensor([3.0])).sum()
        right = 2 * (at_best - poisson(expected).log_prob(counts).sum())
        torch.testing.assert_close(deviance(counts, expected)[0], right, rtol=1e-5, atol=1e-5)


class TestAnomaly:
    def test_an_odd_spectrum_stands_out(self, learnt, batch):
        line_BC = torch.zeros(1, SPEC.n_channels)
        line_BC[:, 20] = batch.counts_BC.sum(1).median()
        odd = replace(batch[:1], counts_BC=line_BC)
        usual_B = FAMILY.predict(learnt, batch)["anomaly"]
        assert float(FAMILY.predict(learnt, odd)["anomaly"][0]) > float(usual_B.quantile(0.98))

    def test_before_it_is_learnt_it_is_unknown(self, batch):
        assert FAMILY.predict(made(SMALL, batch), batch)["anomaly"].isnan().all()

    def test_without_a_background_it_is_a_number(self, learnt, batch):
        some = batch[:64]
        none = replace(
            some, background_BC=some.background_BC * 0, background_scale_B=torch.zeros(64)
        )
        assert FAMILY.predict(learnt, none)["anomaly"].isfinite().all()

    def test_the_mixture_is_a_density_that_finds_its_components(self):
        generator = torch.Generator().manual_seed(0)
        centre_K2 = torch.tensor([[-3.0, 0.0], [2.0, 1.0]])
        shape_22 = torch.tensor([[1.0, 0.8], [0.0, 0.4]])
        noise_N2 = torch.randn(4000, 2, generator=generator) @ shape_22
        value_N2 = noise_N2 + centre_K2[(torch.arange(4000) % 4 == 0).long()]
        density = Mixture(2, 2)
        density.learn(value_N2)
        order = density.mean_KX[:, 0].argsort()
        torch.testing.assert_close(density.mean_KX[order], centre_K2, rtol=0, atol=0.15)
        share_K = density.log_weight_K.exp()[order]
        torch.testing.assert_close(share_K, torch.tensor([0.75, 0.25]), rtol=0, atol=0.03)
        axis = torch.linspace(-12, 12, 500)
        total = density(torch.cartesian_prod(axis, axis)).exp().sum() * (axis[1] - axis[0]) ** 2
        assert float(total) == pytest.approx(1, abs=1e-3)

    def test_few_values_have_few_components(self):
        density = Mixture(8, 2)
        density.learn(torch.randn(40, 2, generator=torch.Generator().manual_seed(0)))
        assert int(density.log_weight_K.isfinite().sum()) == 2
        assert density(torch.zeros(1, 2)).isfinite().all()

    def test_ranks_are_sigmas_of_a_normal_at_every_brightness(self):
        generator = torch.Generator().manual_seed(0)

        def drawn(n):
            brightness_B = torch.rand(n, generator=generator)
            normal_B = torch.randn(n, generator=generator)
            return brightness_B, normal_B, (5 + (1 + brightness_B) * normal_B)[:, None]

        ranks = Ranks(1)
        brightness_B, _, score_B1 = drawn(40_000)
        ranks.learn(brightness_B, score_B1)
        brightness_B, _, score_B1 = drawn(40_000)
        sigmas_B = ranks(brightness_B, score_B1)[:, 0]
        for sigmas, share in ((1.0, 0.1587), (2.0, 0.02275), (3.0, 0.00135)):
            assert float((sigmas_B > sigmas).float().mean()) == pytest.approx(share, rel=0.25)
        extreme = ranks(torch.tensor([0.5, 0.5]), torch.tensor([[1e6], [-1e6]]))[:, 0]
        assert 20 < float(extreme[0]) < 40
        assert float(extreme[1]) < 0

    def test_ranks_of_spectra_that_have_mostly_the_same_few_counts(self):
        generator = torch.Generator().manual_seed(0)
        counts_B = torch.poisson(torch.full((8000,), 3.0), generator=generator)
        score_B1 = torch.randn(8000, 1, generator=generator)
        ranks = Ranks(1)
        ranks.learn(counts_B, score_B1)
        assert len(ranks.edges_N.unique()) < len(ranks.edges_N)  # a level without any spectrum
        sigmas_B = ranks(counts_B, score_B1)[:, 0]
        for sigmas, share in ((1.0, 0.1587), (2.0, 0.02275)):
            assert float((sigmas_B > sigmas).float().mean()) == pytest.approx(share, rel=0.1)
        assert ranks(torch.tensor([2.5]), torch.zeros(1, 1)).isfinite().all()

    def test_smooth_misfits_tell_gain_width_and_area_apart(self):
        edges_C1 = torch.linspace(0.5, 8.0, 151)
        energy_C = (edges_C1[1:] + edges_C1[:-1]) / 2

        def line(energy, sigma):
            return 3000 * torch.exp(-(((energy_C - energy) / sigma) ** 2) / 2) / sigma + 20

        expected_BC = line(3.0, 0.2).expand(3, -1)
        higher_C, wider_C = line(3.03, 0.2), line(3.0, 0.22)
        harder_C = line(3.0, 0.2) * (1 + 0.1 * (energy_C > 6))
        counts_BC = torch.stack([higher_C, wider_C, harder_C])
        found_B6 = smooth_misfits(counts_BC, expected_BC, edges_C1)
        assert found_B6.abs().argmax(1).tolist() == [0, 1, 5]
        nothing = smooth_misfits(expected_BC, expected_BC, edges_C1)
        torch.testing.assert_close(nothing, torch.zeros_like(nothing))

    def test_what_is_like_the_background_is_told(self):
        shape_BC = torch.linspace(1, 3, 50)[None] / 100
        source_BC = torch.linspace(3, 1, 50)[None]
        wrong = like_background(100 * shape_BC, source_BC, shape_BC)
        right = like_background(source_BC, source_BC, shape_BC)
        assert float(wrong) > 0 > float(right)


def test_hidden_tokens_are_of_training_alone(batch):
    module = made(replace(SMALL, masked=0.5), batch)
    with torch.no_grad():
        first, second = module.encode(batch)[0], module.encode(batch)[0]
        assert torch.equal(first, second)
        module.train()
        assert not torch.equal(module.encode(batch)[0], module.encode(batch)[0])


def test_a_shorter_exposure_sees_fewer_counts_of_the_same_source(batch):
    torch.manual_seed(0)
    short = shortened(batch, 0.5)
    ratio_B = short.exposure_B / batch.exposure_B
    chosen_B = ratio_B < 1
    assert 0.3 < float(chosen_B.float().mean()) < 0.7
    assert torch.equal(short.counts_BC[~chosen_B], batch.counts_BC[~chosen_B])
    for before, after in (
        (batch.counts_BC, short.counts_BC),
        (batch.background_BC, short.background_BC),
    ):
        kept_B, wanted_B = after.sum(1)[chosen_B], (before.sum(1) * ratio_B)[chosen_B]
        z = (kept_B - wanted_B).sum() / wanted_B.sum().sqrt()
        assert abs(float(z)) < 4
    assert bool((short.counts_BC <= batch.counts_BC).all())
    assert float(short.counts_BC.sum(1).min()) < 50


def test_classes_are_told_by_names_of_columns():
    assert class_column("LM-STAR") == "p_lm_star"
    names = {output.name for output in FAMILY.outputs(Config(), SPEC)}
    assert {"p_flat", "p_steep", "latent", "latent_sigma", "anomaly"} <= names


def test_records_without_labels_train_it(batch):
    plain = SpectraBatch(
        batch.counts_BC, batch.background_BC, batch.background_scale_B, batch.exposure_B
    )
    spec = replace(SPEC, parameters=(), classes=(), catalogue=())
    module = made(SMALL, plain, spec).train()
    total, parts = FAMILY.loss(module, plain)
    assert total.isfinite()
    assert parts["tied"] == 0
    assert set(FAMILY.measure(module, plain)) == {"deviance"}


def test_what_no_record_of_a_batch_knows_is_not_measured(learnt, batch):
    assert batch.class_B is not None
    told = FAMILY.measure(learnt, batch)
    assert set(told) == {"deviance", "entropy", "accuracy", "tied"}
    half_B = batch.class_B.clone()
    half_B[::2] = torch.nan
    odd = torch.arange(1, 256, 2)
    some = FAMILY.measure(learnt, replace(batch, class_B=half_B))
    alone = FAMILY.measure(learnt, batch[odd])
    for name in ("entropy", "accuracy"):  # of those that have a class
        torch.testing.assert_close(some[name], alone[name])
    none = replace(batch, class_B=torch.full_like(half_B, torch.nan))
    assert set(FAMILY.measure(learnt, none)) == {"deviance", "tied"}


def test_the_published_inputs_are_rates_from_0_to_1(batch):
    family = families.load("vago2025")
    module = build(family, family.config(width=16, layers=1, heads=2), SPEC, seed=0)
    scaled_BN, least_B1, range_B1 = module.scaled(batch)
    assert scaled_BN.shape == (256, 400)
    assert (scaled_BN.amin(1) == 0).all()
    assert (scaled_BN.amax(1) == 1).all()
    edges = torch.tensor(SPEC.energy_edges)
    inside_C = (edges[:-1] >= 0.5) & (edges[1:] <= 8)
    counts_BN = (scaled_BN * range_B1 + least_B1) * batch.exposure_B[:, None]
    # Whole channels in the band, and parts of the two at its ends.
    assert (counts_BN.sum(1) >= batch.counts_BC[:, inside_C].sum(1) - 1e-2).all()


class TestAligner:
    def test_spectrum_and_row_of_a_source_find_each_other(self, batch):
        family = families.load("aligner")
        config = family.config(width=16, layers=1, heads=2, row_width=32, latents=4)
        module = build(family, config, SPEC, seed=0)
        family.normalise(module, batch)
        optimiser = torch.optim.AdamW(module.parameters(), 5e-3)
        before = float(family.measure(module, batch)["median_rank"].detach())
        for _ in range(60):
            optimiser.zero_grad()
            family.loss(module, batch)[0].backward()
            optimiser.step()
        after = float(family.measure(module, batch)["median_rank"].detach())
        assert before > 30
        assert after < 6

    def test_a_row_that_nobody_has_is_no_number(self, batch):
        family = families.load("aligner")
        module = build(family, family.config(width=16, layers=1, heads=2), SPEC, seed=0)
        family.normalise(module, batch)
        nothing = replace(batch[:2], catalogue_BX=torch.full((2, 2), torch.nan))
        values = family.predict(module, nothing)
        assert values["row_latent"].isnan().all()
        assert values["latent"].isfinite().all()

    def test_rows_without_any_feature_neither_teach_nor_count(self, batch):
        family = families.load("aligner")
        module = build(family, family.config(width=16, layers=1, heads=2), SPEC, seed=0).eval()
        family.normalise(module, batch)
        features_BX = batch.catalogue_BX.clone()
        features_BX[::2] = torch.nan
        some, alone = replace(batch, catalogue_BX=features_BX), batch[torch.arange(1, 256, 2)]
        torch.testing.assert_close(family.loss(module, some)[0], family.loss(module, alone)[0])
        assert family.measure(module, some) == family.measure(module, alone)
        features_BX[:] = torch.nan
        total, _ = family.loss(module, some)
        total.backward()
        assert float(total.detach()) == 0
        # Workers of a group wait for the slopes of all weights.
        assert all(each.grad is not None for each in module.parameters())
        assert family.measure(module, some) == {}

    def test_a_dataset_without_a_catalogue_is_refused(self):
        family = families.load("aligner")
        with pytest.raises(ValueError, match="wolter simulate population"):
            build(family, family.config(), replace(SPEC, catalogue=()), seed=0)
