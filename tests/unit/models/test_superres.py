"""The network against published sizes, its losses against other codes, its answers against truth.

Shapes: B batch, H and W rows and columns, N grid.
"""

from dataclasses import replace

import numpy as np
import pytest
import scipy.integrate
import scipy.ndimage
import scipy.stats
import torch
from tests.synthetic import IMAGES, make_images

from wolter import config as configs
from wolter import family as families
from wolter.errors import InputError
from wolter.models import _image_losses as losses
from wolter.models._critics import ImageCritic, adversarial
from wolter.models._image_losses import poisson_deviance, stretch, unstretch
from wolter.models._smoothing import TRUNCATE
from wolter.models.superres import BACKBONE, SMOOTHINGS, Config
from wolter.train.loop import TrainConfig, Trainer, build

pytestmark = pytest.mark.usefixtures("one_thread")
FAMILY = families.load("superres")
SMALL = Config(blocks=1, filters=8, growth=8)
DENOISE = replace(IMAGES, scale=1)


def made(config=SMALL, spec=IMAGES, seed=0):
    module = build(FAMILY, config, spec, seed)
    FAMILY.normalise(module, make_images(32, spec=spec, gaps=True))
    return module


def smoothed(batch):
    """Counts expected where the image is smoothed as the answer's start is, by scipy."""
    sigma = SMOOTHINGS[BACKBONE]
    counts, exposure = (
        np.stack(
            [
                scipy.ndimage.gaussian_filter(each, sigma, mode="constant", truncate=TRUNCATE)
                for each in images.double().numpy()
            ]
        )
        for images in (batch.counts_BHW, batch.exposure_BHW)
    )
    return torch.from_numpy(counts / exposure.clip(1)).float() * batch.exposure_BHW


class TestGenerator:
    @pytest.mark.parametrize("spec", [IMAGES, DENOISE])
    def test_it_reaches_as_far_as_it_says_and_no_further(self, spec):
        """By gradients: from one pixel of the answer to all of the input."""
        size = 151
        module = made(SMALL, spec).double().eval()
        with torch.no_grad():  # no gradient is cut off below zero
            for name, value in module.generator.named_parameters():
                if name.endswith("weight"):
                    value.abs_()
            module.generator.last.weight.mul_(1e-15)  # nor is a factor bounded
        batch = make_images(1, spec=replace(spec, shape=(size, size)))
        batch = batch._map(lambda value: value.double())
        batch.counts_BHW = (batch.counts_BHW + 1).requires_grad_()
        output = module(batch)[0][:, None]
        middle = spec.scale * (size // 2)
        piece = slice(middle, middle + spec.scale)
        output[0, 0, piece, piece].sum().backward()
        rows, columns = batch.counts_BHW.grad[0].nonzero().T
        furthest = max((rows - size // 2).abs().max(), (columns - size // 2).abs().max())
        assert furthest == module.receptive_field

    @pytest.mark.parametrize("brightness", [0.01, 1.0, 1e4])
    def test_no_denoised_image_is_far_from_its_photons(self, brightness):
        """Whatever the weights: two in the root is four times the noise of the photons."""
        spec = replace(DENOISE, target_background=True)
        module, batch = made(spec=spec), make_images(2, spec=spec)
        generator = torch.Generator().manual_seed(0)
        rate_BHW = brightness * torch.rand(batch.counts_BHW.shape, generator=generator)
        batch.counts_BHW = torch.poisson(rate_BHW, generator)
        with torch.no_grad():
            for weights in module.generator.parameters():
                weights.mul_(5)
        total_BHW = FAMILY.predict(module, batch)["rate"] * batch.exposure_BHW
        total_BHW = total_BHW + batch.background_BHW + 0.375
        photons_BHW = batch.counts_BHW + 0.375
        smooth_BHW = smoothed(batch) + 0.375
        low_BHW, high_BHW = (f(photons_BHW, smooth_BHW) for f in (torch.minimum, torch.maximum))
        # The floors of the smoothed image and of the sources allow a little more.
        assert bool((total_BHW.sqrt() <= high_BHW.sqrt() + 2.1).all())
        source_or_none_BHW = torch.maximum(low_BHW.sqrt() - 2.1, torch.zeros(()))
        assert bool((total_BHW.sqrt() >= source_or_none_BHW).all())

    def test_other_scales_are_refused(self):
        with pytest.raises(InputError, match="give 1x or 2x"):
            build(FAMILY, SMALL, replace(IMAGES, scale=3), 0)


@pytest.mark.parametrize("scaling", ["linear", "sqrt", "asinh", "log"])
def test_scalings_are_the_references(scaling):
    x = torch.linspace(0, 1, 101, dtype=torch.float64)
    formula = {
        "linear": x,
        "sqrt": x**0.5,
        "asinh": torch.asinh(x / 0.02) / np.arcsinh(50),
        "log": torch.log(1000 * x + 1) / np.log(1000),
    }[scaling]
    torch.testing.assert_close(stretch(x, scaling), formula, atol=1e-6, rtol=0)
    torch.testing.assert_close(unstretch(stretch(x, scaling), scaling), x, atol=1e-9, rtol=1e-9)


class TestComparisons:
    def test_deviance_is_twice_the_lacking_log_likelihood(self):
        counts, mean = torch.tensor([0.0, 1.0, 7.0]), torch.tensor([0.4, 2.0, 3.0])
        n = counts.numpy()
        lacking = scipy.stats.poisson.logpmf(n, n) - scipy.stats.poisson.logpmf(n, mean.numpy())
        np.testing.assert_allclose(poisson_deviance(counts, mean).numpy(), 2 * lacking, rtol=1e-5)

    def test_psnr_of_a_known_error(self):
        image = torch.zeros(2, 8, 8)
        assert losses.psnr(image + 0.1, image) == pytest.approx(20.0, abs=1e-4)

    @pytest.mark.parametrize("size", [32, 208])
    @pytest.mark.parametrize("similarity", [losses.ssim, losses.ms_ssim])
    def test_similarity_falls_with_noise_and_has_slopes(self, similarity, size):
        image = make_images(2, spec=replace(IMAGES, shape=(size // 2, size // 2)))
        true = image.expected_target_BHW / image.expected_target_BHW.max()
        noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
        worth = [similarity(true + s * noise, true) for s in (0.0, 0.03, 0.1)]
        assert worth[0] == pytest.approx(1.0, abs=1e-5)
        assert worth[0] > worth[1] > worth[2]
        made_BHW = (true + 0.03 * noise).requires_grad_()
        similarity(made_BHW, true).backward()
        assert made_BHW.grad.isfinite().all()


class TestLoss:
    @pytest.mark.parametrize("noise_free", [True, False])
    def test_without_an_interval_it_is_half_the_deviance(self, noise_free):
        config = replace(SMALL, interval=False, noise_free=noise_free)
        module, batch = made(config), make_images(6, gaps=True)
        total, parts = FAMILY.loss(module, batch)
        with torch.no_grad():
            mean_BHW = FAMILY.predict(module, batch)["rate"] * batch.target_exposure_BHW
        true_BHW = batch.expected_target_BHW if noise_free else batch.target_BHW
        half_B = 0.5 * poisson_deviance(true_BHW, mean_BHW.clamp_min(1e-12)).sum((1, 2))
        assert total.item() == pytest.approx(half_B.mean().item(), rel=1e-4)
        assert parts.keys() == {"poisson"}

    def test_what_teaches_intervals_leaves_the_rate_alone(self):
        """The output's first channel is the rate's, its second the shape's."""
        module, batch = made(replace(SMALL, poisson=1e-30)), make_images(6, gaps=True)
        total, parts = FAMILY.loss(module, batch)
        total.backward()
        rate, shape = module.generator.last.weight.grad.abs().amax((1, 2, 3)).tolist()
        assert rate < 1e-20 < shape
        assert parts.keys() == {"poisson", "shape", "interval"}
        assert any(p.grad.any() for p in module.intervals.parameters())

    def test_unseen_pixels_mean_nothing(self):
        module = made(replace(SMALL, l1=1.0, noise_free=False))
        batch = make_images(4, gaps=True)
        unseen_BHW = batch.target_exposure_BHW == 0
        assert unseen_BHW.any()
        for value in (99.0, torch.nan):
            other = replace(batch, target_BHW=batch.target_BHW.masked_fill(unseen_BHW, value))
            assert torch.equal(FAMILY.loss(module, other)[0], FAMILY.loss(module, batch)[0])
        unseen = replace(batch, target_BHW=batch.target_BHW.masked_fill(~unseen_BHW, torch.nan))
        assert FAMILY.loss(module, unseen)[0] == 0

    def test_the_targets_background_is_not_the_sources(self):
        """The rate that explains the target best is the sources', whatever background it has."""
        spec = replace(IMAGES, target_background=True)
        module, batch = made(spec=spec), make_images(8, spec=spec)
        target = module.target(batch)
        background_BHW = 1e-5 / 4 * batch.target_exposure_BHW
        torch.testing.assert_close(target.background, background_BHW)
        assert made().target(batch).background.max() == 0

    def test_the_interval_widens_by_less_where_background_has_its_share(self):
        """Mean and variance of the counts, by drawing rates and then photons."""
        rng = np.random.default_rng(0)
        shape, source, background = 2.0, 3.0, 5.0
        rate = rng.gamma(shape, source / shape, 400_000)
        drawn = rng.poisson(rate + background)
        mean = source + background
        effective = shape * (mean / source) ** 2
        assert drawn.var() == pytest.approx(mean + mean**2 / effective, rel=0.02)

    @pytest.mark.parametrize(
        "weights", [{"l1": 1.0}, {"psnr": 0.1}, {"ssim": 1.0}, {"ms_ssim": 1.0}]
    )
    def test_every_image_loss_moves_the_network(self, weights):
        config = replace(SMALL, interval=False, poisson=0.0, **weights)
        module = made(config)
        total, parts = FAMILY.loss(module, make_images(4))
        total.backward()
        assert parts.keys() == weights.keys()
        assert all(p.grad.isfinite().all() and p.grad.any() for p in module.parameters())

    def test_photons_are_used_where_no_truth_is_known(self):
        module, batch = made(replace(SMALL, l1=1.0)), make_images(4)
        real = replace(batch, expected_BHW=None, expected_target_BHW=None)
        photons = made(replace(SMALL, l1=1.0, noise_free=False))
        ours, theirs, other = (
            FAMILY.loss(*each)[1] for each in ((module, real), (photons, batch), (module, batch))
        )
        for name in ("poisson", "l1", "shape"):
            assert torch.equal(ours[name], theirs[name])
        assert not any(torch.equal(ours[name], other[name]) for name in ("poisson", "l1"))
        assert ours["interval"] == 0  # no truth that it could hold
        assert FAMILY.measure(module, real).keys() == {"deviance"}

    def test_images_without_targets_are_refused(self):
        with pytest.raises(InputError, match="no target"):
            FAMILY.loss(made(), replace(make_images(2), target_BHW=None))


class TestCritic:
    config = replace(SMALL, adversarial=0.1)

    def test_generator_and_critic_move_each_by_its_own_loss(self):
        real, made_images = torch.rand(4, 1, 16, 16), torch.rand(4, 1, 16, 16, requires_grad=True)
        critic = ImageCritic(4)
        generative, critical = adversarial(critic, real, made_images, penalty=1.0)
        generative.backward(retain_graph=True)
        assert made_images.grad.any()
        assert all(p.grad is None for p in critic.parameters())
        made_images.grad = None
        critical.backward()
        assert made_images.grad is None
        assert all(p.grad.any() for p in critic.parameters())

    def test_a_critic_that_tells_has_a_small_loss_and_gives_a_large_one(self):
        critic = torch.nn.Flatten()
        low, high = torch.zeros(4, 1, 1, 1), torch.full((4, 1, 1, 1), 8.0, requires_grad=True)
        generative, critical = adversarial(critic, high.detach(), low.requires_grad_(), penalty=0.0)
        assert critical < 0.01
        assert generative.item() == pytest.approx(8.0, abs=0.01)

    def test_beside_a_critic_the_likelihood_still_improves(self):
        module, batch = made(self.config), make_images(16)
        trainer = Trainer(FAMILY, module, TrainConfig(epochs=40, batch_size=16, device="cpu"), 16)
        epochs = []
        trainer.run(lambda epoch: iter([batch]), on_epoch=epochs.append)
        assert epochs[-1].train["poisson"] < 0.7 * epochs[0].train["poisson"]
        assert 0.3 < epochs[-1].train["critic"] < 1.0  # ln 2 where it cannot tell


class TestConfig:
    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ({"inputs": ["exposure"]}, "give image"),
            ({"inputs": ["image", "colour"]}, "give image"),
            ({"poisson": 0.0}, "give poisson a weight"),
            ({"poisson": 0.0, "interval": False}, "every loss has weight 0"),
            ({"scaling": "sqrt"}, "scaling"),
        ],
    )
    def test_bad_values_say_so(self, bad, message):
        with pytest.raises(InputError, match=message):
            configs.from_dict(Config, bad)

    def test_configs_of_earlier_releases_are_brought_forward(self):
        now = configs.to_dict(SMALL)
        old = {**now, "scaling": "counts", "critic": 16, "penalty": 1.0}
        assert FAMILY.upgrade(old) == FAMILY.upgrade(now) == now
        with pytest.raises(InputError, match="of the family sweere2022 now"):
            FAMILY.upgrade({**old, "scaling": "sqrt"})


def test_one_image_and_many_get_the_same_rates():
    """Rates are some 1e-5 ct/s, so that only relative differences mean anything."""
    module, batch = made().eval(), make_images(5)
    with torch.no_grad():
        many = FAMILY.predict(module, batch)
        for i in range(5):
            one = FAMILY.predict(module, batch[i : i + 1])
            for name in many:
                torch.testing.assert_close(one[name][0], many[name][i], rtol=1e-4, atol=0.0)


@pytest.fixture(scope="module")
def trained():
    """A small network after a minute of training, and images that it never saw."""
    spec = replace(IMAGES, shape=(24, 24), exposure_s=(5e3, 1e5))
    module = build(FAMILY, SMALL, spec, 0)
    FAMILY.normalise(module, make_images(64, seed=1, spec=spec))
    config = TrainConfig(epochs=30, batch_size=16, learning_rate=3e-3, device="cpu")

    def read(epoch):
        return make_images(192, seed=10 + epoch, spec=spec).split(16)

    Trainer(FAMILY, module, config, rows=192).run(read)
    return module.eval(), make_images(96, seed=2, spec=spec)


def best_smoothing(batch):
    """Poisson deviance a pixel of the best smoothed input, tuned on the very targets."""
    found = []
    for sigma in (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0):
        smooth = [
            np.stack([scipy.ndimage.gaussian_filter(image, sigma) for image in maps.numpy()])
            for maps in (batch.counts_BHW - batch.background_BHW, batch.exposure_BHW)
        ]
        rate_BHW = torch.from_numpy(smooth[0] / smooth[1]) / 4
        large_BHW = torch.nn.functional.interpolate(
            rate_BHW[:, None], scale_factor=2, mode="bicubic"
        )[:, 0]
        for floor in (1e-8, 1e-7, 3e-7, 1e-6, 3e-6):
            mean_BHW = large_BHW.clamp_min(floor) * batch.target_exposure_BHW
            found.append(poisson_deviance(batch.target_BHW, mean_BHW).mean().item())
    return min(found)


@pytest.mark.slow
def test_a_short_training_beats_the_best_smoothing(trained):
    module, batch = trained
    with torch.no_grad():
        ours = FAMILY.measure(module, batch)
    assert ours["deviance"] < 0.8 * best_smoothing(batch)


@pytest.mark.slow
def test_flux_is_kept(trained):
    """Photons of the target against its expected photons, over all images."""
    module, batch = trained
    with torch.no_grad():
        rate_BHW = FAMILY.predict(module, batch)["rate"]
    ratio = (rate_BHW * batch.target_exposure_BHW).sum() / batch.expected_target_BHW.sum()
    assert ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
def test_intervals_hold_as_many_true_rates_as_they_say(trained):
    """Where there is a source: a few percent of the pixels."""
    module, batch = trained
    with torch.no_grad():
        found = FAMILY.predict(module, batch)
    true_BHW = batch.expected_target_BHW / batch.target_exposure_BHW
    seen_BHW = true_BHW > 1e-5
    for limits, share in (
        (("lower", "upper"), 0.68),
        (("lower_95", "upper_95"), 0.95),
    ):
        low_BHW, high_BHW = (found[name] for name in limits)
        inside_BHW = (low_BHW <= true_BHW) & (true_BHW <= high_BHW)
        assert inside_BHW[seen_BHW].float().mean() == pytest.approx(share, abs=0.12)
