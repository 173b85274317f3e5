"""The translator: what generators can do, who learns from what, and that a shift is undone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.synthetic import SPEC, make_batch, make_dataset

from wolter import cli
from wolter import config as configs
from wolter import family as families
from wolter.data.batches import BatchConfig, EpochReader
from wolter.data.mixing import MixedReader
from wolter.errors import InputError
from wolter.models import translator
from wolter.models.translator import FAMILY, Config, Generator
from wolter.registry.checkpoint import Card, Model, load_model, save_model
from wolter.spectra.evaluate.inference import predict_split
from wolter.spectra.predict import predict_files
from wolter.spectra.schema import SpectraBatch, poisson_counts
from wolter.spectra.translation import translated
from wolter.train.job import make_job
from wolter.train.loop import TrainConfig, Trainer, build

SMALL = Config(width=64, knots=12, estimator=64)
SHIFT_C = torch.linspace(1.3, 0.8, SPEC.n_channels)


def untrained(config: Config = SMALL, spec=SPEC, n: int = 64):
    module = build(FAMILY, config, spec, seed=0)
    FAMILY.normalise(module, make_batch(n))
    return module


def shifted(n: int, seed: int) -> SpectraBatch:
    """Spectra of another effective area, with their labels."""
    batch = make_batch(n, seed)
    counts_BC, region_BC = poisson_counts(
        batch.expected_BKC.sum(1) * SHIFT_C,
        batch.expected_background_BC * SHIFT_C,
        batch.background_scale_B,
        torch.Generator().manual_seed(seed),
    )
    return replace(
        batch,
        counts_BC=counts_BC,
        background_BC=region_BC,
        expected_BKC=None,
        expected_background_BC=None,
        observed_B=torch.ones(n, dtype=torch.bool),
    )


def difference(batch: SpectraBatch, other: SpectraBatch) -> float:
    """Of the mean spectra, over the counts."""
    mean_C, usual_C = batch.counts_BC.mean(0), other.counts_BC.mean(0)
    return float((mean_C - usual_C).abs().sum() / usual_C.sum())


class TestGenerator:
    counts_BC = make_batch(16).counts_BC
    usual_BC = torch.full_like(counts_BC, 5.0)

    def carried(self, curve: int, value: float) -> torch.Tensor:
        generator = Generator(SPEC.n_channels, 8, 6)
        with torch.no_grad():
            for each in generator.parameters():
                each.zero_()
            generator.common_3K[curve] = value
            return generator(torch.zeros_like(self.counts_BC), self.counts_BC, self.usual_BC)[0]

    def test_it_starts_close_to_the_identity(self):
        module = untrained()
        batch = make_batch(32)
        with torch.no_grad():
            carried = translator.translate(module, batch)
        change_BC = 2 * (carried.counts_BC.sqrt() - batch.counts_BC.sqrt())
        assert 0 < change_BC.square().mean() < 0.1**2  # squared deviations of Poisson noise

    def test_it_multiplies(self):
        factor = self.carried(0, 0.3) / self.counts_BC.clamp_min(1e-9)
        expected = torch.tensor(0.3).tanh().exp()
        assert factor[self.counts_BC > 0].numpy() == pytest.approx(float(expected), rel=1e-5)

    @pytest.mark.parametrize("value", [0.4, -0.4, 50.0, -50.0])
    def test_it_hands_counts_on_without_losing_any(self, value):
        moved = self.carried(1, value)
        energy_C = torch.arange(SPEC.n_channels)
        assert (moved >= 0).all()
        torch.testing.assert_close(moved.sum(1), self.counts_BC.sum(1))
        centre_B = (moved * energy_C).sum(1) - (self.counts_BC * energy_C).sum(1)
        assert (centre_B * np.sign(value) > 0).all()

    def test_it_adds_and_takes_away_but_never_more_than_there_is(self):
        added = torch.tensor(0.5).tanh() * 5
        torch.testing.assert_close(self.carried(2, 0.5), self.counts_BC + added)
        torch.testing.assert_close(self.carried(2, -0.5), (self.counts_BC - added).clamp_min(0))


class TestLoss:
    config = replace(SMALL, blur=0.0)  # no random numbers
    batch = SpectraBatch.concatenate([make_batch(24), shifted(8, 1)])

    def gradients(self, config: Config, batch: SpectraBatch) -> dict[str, torch.Tensor]:
        module = untrained(config)
        FAMILY.loss(module, batch)[0].backward()
        return {name: p.grad for name, p in module.named_parameters()}

    def same(self, a, b, prefix: str) -> bool:
        return all(torch.allclose(a[n], b[n], rtol=1e-4) for n in a if n.startswith(prefix))

    def test_critics_and_estimator_learn_nothing_from_the_generators_losses(self):
        usual = self.gradients(self.config, self.batch)
        changed = replace(self.config, adversarial=0.0, cycle=0.0, own=0.0)
        without = self.gradients(changed, self.batch)
        for prefix in ("observed_critic", "simulated_critic", "estimator"):
            assert self.same(usual, without, prefix)
        for prefix in ("to_observed", "to_simulated"):
            assert all(not without[n].any() for n in without if n.startswith(prefix))
            assert all(usual[n].any() for n in usual if n.startswith(prefix))

    def test_labels_of_observed_spectra_are_not_looked_at(self):
        bare = replace(self.batch, parameters_BP=self.batch.parameters_BP.clone())
        bare.parameters_BP[24:] = torch.nan
        a, b = self.gradients(self.config, self.batch), self.gradients(self.config, bare)
        assert self.same(a, b, "")

    def test_one_row_alone_is_no_harm(self):
        loss, _ = FAMILY.loss(untrained(), make_batch(1))
        assert loss.isfinite()


@pytest.fixture(scope="module")
def trained():
    """Learnt from 2,000 simulated and 500 shifted spectra in 380 steps: some ten seconds."""
    simulated, observed = make_batch(2048, 1), replace(shifted(500, 2), parameters_BP=None)
    module = build(FAMILY, SMALL, SPEC, seed=0)
    FAMILY.normalise(module, simulated)
    batches = BatchConfig(size=64)
    reader = MixedReader(
        EpochReader(lambda epoch: iter([simulated]), batches, n_kept=2048), observed, 32, batches
    )
    config = TrainConfig(epochs=12, batch_size=96, learning_rate=2e-3, device="cpu")
    Trainer(FAMILY, module, config, rows=32 * 96).run(reader)
    return module.eval()


@pytest.mark.slow
def test_a_shift_between_the_domains_is_undone(trained):
    simulated, observed = make_batch(4096, 11), shifted(4096, 11)  # the same sources
    before = difference(observed, simulated)
    assert before == pytest.approx(0.24, abs=0.02)
    assert difference(translated(FAMILY, trained, observed), simulated) < 0.5 * before
    with torch.no_grad():
        there, _ = trained.carry(simulated, trained.to_observed)
    assert difference(there, observed) < 0.5 * before


@pytest.mark.slow
def test_what_observed_spectra_tell_is_read_after_translation(trained):
    observed = shifted(2048, 11)
    with torch.no_grad():
        plain = FAMILY.measure(trained, observed)["mfe_percent"]
        values = FAMILY.predict(trained, observed)
    names = [f"{name}_mfe" for name in SPEC.names]
    error_BP = torch.stack([values[n] for n in names], 1) / observed.parameters_BP - 1
    assert 100 * error_BP.abs().mean() < 0.7 * plain


@pytest.mark.slow
def test_any_family_reads_translated_spectra(trained, tmp_path):
    """Of a data set in the part of the observed one, which keeps its true labels for this."""
    dataset = make_dataset(tmp_path, 50)
    mlp = families.load("mlp")
    module = build(mlp, mlp.config(), SPEC, seed=0)
    mlp.normalise(module, make_batch(64))
    model = Model(mlp, Card("mlp", {}, SPEC), module.eval())
    carrier = Model(FAMILY, Card("translator", configs.to_dict(SMALL), SPEC), trained)
    plain, carried = (predict_split([model], dataset, "all", translator=t) for t in (None, carrier))
    assert np.array_equal(plain.truth_NP, carried.truth_NP)
    assert np.array_equal(plain.counts_N, carried.counts_N)
    assert not np.array_equal(plain.answers[0].mean_NP, carried.answers[0].mean_NP)
    with pytest.raises(InputError, match="mlp does not translate"):
        predict_split([model], dataset, "all", translator=model)


def test_files_are_translated_on_request(untrained, pha, tmp_path, capsys):
    carrier, mlp = untrained("translator"), untrained("mlp")
    model, other = load_model(mlp), load_model(carrier)
    plain = predict_files(model, [pha])
    carried = predict_files(model, [pha], translator=other)
    assert plain["counts"][0] == carried["counts"][0]
    assert plain["slope"][0] != carried["slope"][0]
    words = ["predict", "mlp", str(pha), "--checkpoint", str(mlp), "--translator", str(carrier)]
    assert cli.main([*words, "--out", str(tmp_path / "t.csv")]) == 0
    assert f"{carried['slope'][0]:.5g}"[:5] in (tmp_path / "t.csv").read_text()
    assert cli.main([*words, "--check", "--out", str(tmp_path / "t.csv")]) == 2
    assert "no Poisson likelihood" in capsys.readouterr().err
    narrow = replace(other.card, spec=SPEC)
    with pytest.raises(InputError, match="energy grid is not that of mlp"):
        predict_files(model, [pha], translator=replace(other, card=narrow))


def test_it_needs_observed_spectra(tmp_path):
    with pytest.raises(InputError, match="give --observed DIR"):
        make_job("translator", make_dataset(tmp_path, 60))


def test_weights_of_a_run_translate_as_before(trained, tmp_path):
    save_model(tmp_path, Card("translator", configs.to_dict(SMALL), SPEC), trained)
    loaded = load_model(tmp_path)
    batch = shifted(8, 3)
    a, b = (translated(FAMILY, m, batch).counts_BC for m in (trained, loaded.module))
    assert torch.equal(a, b)
