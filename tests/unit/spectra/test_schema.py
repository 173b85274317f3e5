import pytest
import torch

from wolter import config as configs
from wolter.spectra.schema import Parameter, SpectraBatch, poisson_counts


def batch(n: int = 4) -> SpectraBatch:
    expected_BKC = 1 + torch.arange(n * 6.0).reshape(n, 2, 3)
    return SpectraBatch(
        counts_BC=torch.ones(n, 3),
        background_BC=torch.ones(n, 3),
        background_scale_B=torch.full((n,), 0.25),
        exposure_B=torch.arange(1.0, n + 1),
        expected_BKC=expected_BKC,
        expected_background_BC=torch.full((n, 3), 2.0),
    )


def test_parts_join_to_the_whole():
    whole = batch(5)
    joined = SpectraBatch.concatenate(list(whole.split(2)))
    assert len(joined) == 5
    assert torch.equal(joined.exposure_B, whole.exposure_B)
    assert torch.equal(joined.expected_BKC, whole.expected_BKC)
    assert joined.parameters_BP is None


def test_redraw_has_the_expected_mean_and_leaves_the_rest():
    one = batch(1)
    many = SpectraBatch.concatenate([one] * 20_000)
    drawn = many.redraw(torch.Generator().manual_seed(1))
    mean_C = one.expected_BKC.sum(1)[0] + 2.0
    # The mean of n Poisson draws is known to sqrt(mean / n): 5 of these.
    assert ((drawn.counts_BC.mean(0) - mean_C).abs() < 5 * (mean_C / 20_000).sqrt()).all()
    region_C = drawn.background_BC.mean(0)
    assert ((region_C - 8.0).abs() < 5 * (8.0 / 20_000) ** 0.5).all()  # 2 counts / scale 0.25
    assert torch.equal(drawn.expected_BKC, many.expected_BKC)
    assert not torch.equal(drawn.counts_BC, many.counts_BC)


def test_without_a_background_spectrum_its_counts_are_zero():
    generator = torch.Generator().manual_seed(0)
    _, region_BC = poisson_counts(
        torch.ones(2, 3), torch.ones(2, 3), torch.tensor([0.0, 1.0]), generator
    )
    assert region_BC[0].sum() == 0
    assert torch.isfinite(region_BC).all()


def test_a_prior_must_have_a_width():
    with pytest.raises(ValueError, match="nh: low 1 is not below"):
        Parameter("nh", 1, 1)


def test_a_parameter_of_earlier_records_scales_with_flux_by_its_name():
    old = [configs.from_dict(Parameter, {"name": n, "low": 1, "high": 2}) for n in ("nh", "x_norm")]
    assert [p.scales_with_flux for p in old] == [False, True]
    assert Parameter("flux", 1, 2, scales_with_flux=True).scales_with_flux


def test_a_log_prior_needs_positive_bounds():
    with pytest.raises(ValueError, match="low 0 of a log prior is not above 0"):
        Parameter("nh", 0, 1, prior="log")
