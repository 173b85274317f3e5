"""Realistic backgrounds, and smooth ones from observed counts."""

import pytest
import torch

from wolter.xray.instruments import instrument as instruments


@pytest.fixture(scope="module")
def pn():
    return instruments.load("epic_pn").response("thin")


def draw(response, n=50, seed=0, name="epic_pn", **kwargs):
    generator = torch.Generator().manual_seed(seed)
    return instruments.load(name).draw_backgrounds(response, n, generator, **kwargs)


def test_draws_depend_on_the_seed_alone(pn):
    first = draw(pn)
    assert first.shape == (50, 4096)
    assert torch.equal(first, draw(pn))
    assert not torch.equal(first, draw(pn, seed=1))


@pytest.mark.parametrize("name", ["acis_s", "acis_i"])
def test_acis_backgrounds_are_positive_and_small(name):
    response = instruments.load(name).response()
    rate_BC = draw(response, name=name)
    assert bool((rate_BC > 0).all())
    per_100ks = 1e5 * rate_BC[:, (response.channel_edges_C1[1:] < 7)].sum(1)
    assert 1 < float(per_100ks.median()) < 300  # a few counts in a source region


def test_rates_grow_with_the_region(pn):
    one, two = (draw(pn, region_arcmin2=(size, size)) for size in (1.0, 2.0))
    torch.testing.assert_close(two, 2 * one)


def test_epic_pn_shows_its_fluorescence_lines(pn):
    mean_C = draw(pn, n=200).mean(0)

    def level(low, high):
        centre_C = (pn.channel_edges_C1[1:] + pn.channel_edges_C1[:-1]) / 2
        return float(mean_C[(centre_C >= low) & (centre_C < high)].mean())

    assert level(1.45, 1.52) > 1.3 * level(1.25, 1.35)  # Al
    assert level(7.95, 8.15) > 2.5 * level(7.0, 7.3)  # Cu
    assert level(7.43, 7.53) > 1.1 * level(7.0, 7.3)  # Ni


def test_backgrounds_differ_in_level_and_shape(pn):
    rate_BC = draw(pn, n=200, region_arcmin2=(1.0, 1.0))
    soft, hard = rate_BC[:, 60:200].sum(1), rate_BC[:, 400:1000].sum(1)
    assert float(hard.quantile(0.9) / hard.quantile(0.1)) > 2
    assert float((soft / hard).quantile(0.9) / (soft / hard).quantile(0.1)) > 1.5
