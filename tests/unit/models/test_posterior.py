"""The amortised posterior: a proper density, its samples, and what it learns."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.synthetic import SPEC, make_batch

from wolter.models.posterior import FAMILY, Config, Posterior
from wolter.spectra.grid import AREA_EDGES
from wolter.spectra.schema import SpectraSpec
from wolter.train.loop import TrainConfig, Trainer, build
from wolter.xray.stats.sampling import even_normals

SMALL = Config(width=64, blocks=1, context=16, transforms=2, hidden=32, samples=256)
SUFFIXES = ("", "_mfe", "_lolim", "_hilim", "_lolim95", "_hilim95", "_upper")


def untrained(config: Config = SMALL, spec: SpectraSpec = SPEC, n: int = 64) -> Posterior:
    module = build(FAMILY, config, spec, seed=0)
    FAMILY.normalise(module, with_area(make_batch(n)))
    return module.eval()


def with_area(batch, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    area_BA = 100 + 900 * torch.rand(len(batch), len(AREA_EDGES) - 1, generator=generator)
    return replace(batch, area_BA=area_BA)


@pytest.fixture(scope="module")
def module() -> Posterior:
    return untrained()


@pytest.fixture(scope="module")
def trained() -> Posterior:
    """Learnt from 2,000 spectra in 100 steps."""
    train = make_batch(2000, seed=1)
    module = build(FAMILY, SMALL, SPEC, seed=0)
    FAMILY.normalise(module, train)
    config = TrainConfig(epochs=13, batch_size=250, learning_rate=3e-3, device="cpu")

    def epoch(number: int):
        generator = torch.Generator().manual_seed(number)
        order_B = torch.randperm(len(train), generator=generator)
        yield from train[order_B].redraw(generator).split(250)

    Trainer(FAMILY, module, config, rows=len(train)).run(epoch)
    return module.eval()


def test_the_density_integrates_to_one():
    spec = replace(SPEC, parameters=SPEC.parameters[:2])
    module = untrained(spec=spec)
    row = make_batch(1)
    # The prior's normal quantiles, where the density is, on a grid.
    z_N = torch.linspace(-4.5, 4.5, 181, dtype=torch.float64)
    z_GP = torch.cartesian_prod(z_N, z_N)
    low_P, high_P = spec.bounds_2P().double()
    parameters_GP = low_P + (high_P - low_P) * torch.special.ndtr(z_GP)
    many = row[torch.zeros(len(z_GP), dtype=torch.long)]
    with torch.no_grad():
        log_density_G = module.log_density(many, parameters_GP)
    total = log_density_G.double().exp().sum() * (z_N[1] - z_N[0]) ** 2
    assert float(total) == pytest.approx(1, abs=0.01)


def test_samples_have_the_density_that_is_told(trained):
    batch = make_batch(8, seed=2)
    normal_BSP, density_BS = trained.sample(batch)
    bulk_BS = (normal_BSP.abs() < 3).all(2)
    assert bulk_BS.float().mean() > 0.5
    parameters_BSP = trained.prior.physical(normal_BSP)
    rows_N = torch.arange(8).repeat_interleave(SMALL.samples)
    with torch.no_grad():
        again_N = trained.log_density(batch[rows_N], parameters_BSP.flatten(0, 1))
    off_BS = (again_N.view(8, -1) - density_BS)[bulk_BS]
    # Parameters in float32 hold a normal quantile of 3 to 1e-5, a thousandth of a narrow width.
    assert off_BS.abs().median() < 1e-3
    assert off_BS.abs().max() < 0.1


def test_samples_are_the_same_always_and_in_any_batch(module):
    batch = with_area(make_batch(40))
    samples_BSP, density_BS = module.sample(batch)
    again_BSP, _ = module.sample(batch)
    assert torch.equal(samples_BSP, again_BSP)
    for row in (0, 15, 16, 39):
        one_BSP, one_BS = module.sample(batch[row : row + 1])
        torch.testing.assert_close(one_BSP[0], samples_BSP[row], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(one_BS[0], density_BS[row], rtol=1e-4, atol=1e-4)
    torch.manual_seed(7)
    assert torch.equal(untrained().sample(batch)[0], samples_BSP)


def test_predictions_have_all_columns(module):
    batch = with_area(make_batch(20))
    values = FAMILY.predict(module, batch)
    columns = {name + suffix for name in SPEC.names for suffix in SUFFIXES}
    assert set(values) == columns | {"samples", "log_density", "anomaly"}
    assert values["samples"].shape == (20, SMALL.samples, 3)
    assert values["log_density"].shape == (20, SMALL.samples)
    assert all(value.isfinite().all() for value in values.values())
    low_P, high_P = SPEC.bounds_2P()
    assert (values["samples"] >= low_P).all()
    assert (values["samples"] <= high_P).all()
    for name in SPEC.names:
        edges = [values[name + s] for s in ("_lolim95", "_lolim", "_hilim", "_hilim95")]
        assert all((a < b).all() for a, b in itertools.pairwise(edges))


def test_norms_of_longer_exposures_than_the_trained_are_scaled(module):
    batch = with_area(make_batch(4))
    known = replace(batch, exposure_B=torch.full((4,), float(module.features.exposure_range_2[1])))
    longer = replace(known, exposure_B=10 * known.exposure_B)
    first, second = FAMILY.predict(module, known), FAMILY.predict(module, longer)
    torch.testing.assert_close(second["pow_norm"], first["pow_norm"] / 10)
    torch.testing.assert_close(second["slope"], first["slope"])


def test_an_unknown_area_is_read_as_the_mean_one(module):
    batch = with_area(make_batch(6))
    known = module.sample(batch)[0]
    none = module.sample(replace(batch, area_BA=None))[0]
    unknown = module.sample(replace(batch, area_BA=torch.full_like(batch.area_BA, torch.nan)))[0]
    assert none.isfinite().all()
    torch.testing.assert_close(unknown, none)
    assert not torch.allclose(known, none)
    half_BA = batch.area_BA.clone()
    half_BA[3:] = torch.nan
    mixed = module.sample(replace(batch, area_BA=half_BA))[0]
    torch.testing.assert_close(mixed[:3], known[:3], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mixed[3:], none[3:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_spectra_far_from_the_trained_get_numbers(factor):
    """Of another telescope: areas and counts of which the network has seen nothing alike."""
    module, batch = untrained(), with_area(make_batch(8), seed=1)
    far = replace(batch, area_BA=batch.area_BA * factor, counts_BC=batch.counts_BC * factor)
    with torch.no_grad():
        for weights in module.network.parameters():
            weights.mul_(3)
        values = FAMILY.predict(module, far)
    numbers = {name: value for name, value in values.items() if name != "anomaly"}
    assert all(value.isfinite().all() for value in numbers.values())


def test_what_is_farther_than_far_is_read_alike(module):
    batch = with_area(make_batch(8), seed=1)
    far, farther = (replace(batch, area_BA=batch.area_BA * factor) for factor in (1e16, 1e24))
    with torch.no_grad():
        first, second = (module.condition(each) for each in (far, farther))
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("larger", ["area_BA", "exposure_B"])
def test_the_flux_is_the_same_through_any_telescope(larger):
    """More area, or more time, with as many more photons."""
    module, batch = untrained(), with_area(make_batch(64))
    low_s, high_s = module.features.exposure_range_2
    more = high_s / low_s
    batch = replace(batch, counts_BC=1e4 + batch.counts_BC, exposure_B=low_s.expand(64))
    other = replace(
        batch, counts_BC=more * batch.counts_BC, **{larger: more * getattr(batch, larger)}
    )
    own, seen = (module._log_flux(each, module._log_area(each)) for each in (batch, other))
    assert more > 1.2
    torch.testing.assert_close(seen, own, atol=1e-4, rtol=0)


def test_even_normals_are_normal():
    normal_SP = even_normals(1024, 3)
    assert torch.equal(normal_SP, even_normals(1024, 3))
    assert normal_SP.mean(0).abs().max() < 0.01
    assert (normal_SP.std(0) - 1).abs().max() < 0.01
    assert (torch.corrcoef(normal_SP.T) - torch.eye(3)).abs().max() < 0.05


def test_little_training_gives_intervals_that_cover(trained):
    batch = make_batch(600, seed=9)
    with torch.no_grad():
        assert float(FAMILY.measure(trained, batch)["information"]) > 2  # nats over the prior
    values = FAMILY.predict(trained, batch)
    for i, name in enumerate(SPEC.names):
        truth_B = batch.parameters_BP[:, i]
        for low, high, level in (("_lolim", "_hilim", 0.68), ("_lolim95", "_hilim95", 0.95)):
            inside_B = (truth_B > values[name + low]) & (truth_B < values[name + high])
            # Five binomial errors, and as much again for so little training.
            error = np.sqrt(level * (1 - level) / 600)
            assert float(inside_B.float().mean()) == pytest.approx(level, abs=10 * error), name
