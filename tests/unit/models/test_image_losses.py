import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wolter.models._image_losses import poisson_deviance


@given(st.integers(0, 10_000), st.floats(1e-3, 1e4))
def test_poisson_deviance_and_its_slope_are_the_closed_forms(n, mean):
    expected = torch.tensor(mean, dtype=torch.float64, requires_grad=True)
    deviance = poisson_deviance(torch.tensor(float(n), dtype=torch.float64), expected)
    deviance.backward()
    logarithm = n * math.log(n / mean) if n else 0.0
    assert float(deviance.detach()) == pytest.approx(2 * (mean - n + logarithm), abs=1e-6)
    assert float(expected.grad) == pytest.approx(2 * (1 - n / mean), rel=1e-9, abs=1e-9)
