import pytest
import torch

from wolter.xray.spectral.smoothing import smooth_background


def test_smooth_background_keeps_the_total_and_is_positive():
    generator = torch.Generator().manual_seed(0)
    truth_C = 0.3 + 20 * torch.exp(-(((torch.arange(2000.0) - 700) / 15) ** 2))
    truth_C[1500:] = 1e-3
    counts_C = torch.poisson(truth_C, generator=generator)
    smooth_C = smooth_background(counts_C)
    assert bool((smooth_C > 0).all())
    assert float(smooth_C.sum()) == pytest.approx(float(counts_C.sum()))
    assert float((smooth_C[100:600].mean() / truth_C[100:600].mean()) - 1) < 0.15
    assert float(smooth_C[690:710].mean()) == pytest.approx(19, rel=0.15)


@pytest.mark.parametrize("counts", [[0, 0, 0, 0], [0, 0, 3, 0], [100, 0, 0, 0]])
def test_smooth_background_of_few_counts(counts):
    smooth_C = smooth_background(torch.tensor(counts))
    assert bool((smooth_C > 0).all())
    assert float(smooth_C.sum()) == pytest.approx(max(sum(counts), 1))
