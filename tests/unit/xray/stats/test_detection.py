import pytest
import torch

from wolter.xray.emission import components
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.forward import Forward
from wolter.xray.stats.detection import DETECTED, rise_without
from wolter.xray.stats.fit import Counted, fit

NAMES = ("nh", "slope", "pow_norm", "line_energy", "line_norm")
BOUNDS_2P = torch.tensor([[0.01, 1.0, 4e-5, 5.0, 1e-6], [1.0, 3.0, 4e-3, 7.0, 5e-5]]).double()
EDGES = torch.linspace(0.3, 10, 98, dtype=torch.float64)


@pytest.fixture(scope="module")
def forward():
    model = components.parse("wabs * (powerlaw + gaussian)")
    response = epic_pn.response("medium").rebin(EDGES)
    return Forward.of(model, response, NAMES, {"sigma": 0.1})


def rises(forward, line_norm, norm, n=20):
    truth_BP = torch.tensor([[0.2, 1.8, 5e-4, 6.4, line_norm]]).expand(n, -1)
    exposure_B = torch.full((n,), 25e3)
    generator = torch.Generator().manual_seed(1)
    counts_BC = torch.poisson(forward(truth_BP, exposure_B), generator)
    data = Counted(counts_BC, exposure_B, torch.zeros_like(counts_BC))
    best = fit(forward, data, truth_BP.double(), BOUNDS_2P)
    return rise_without(forward, data, best.parameters_BP, BOUNDS_2P, NAMES.index(norm))


def test_a_bright_line_is_detected_and_one_that_is_not_there_is_not(forward):
    assert (rises(forward, 4e-5, "line_norm") > DETECTED).all()
    assert (rises(forward, 0.0, "line_norm") < DETECTED).sum() >= 18


def test_what_makes_up_the_spectrum_is_detected_by_far(forward):
    assert (rises(forward, 1e-5, "pow_norm") > 1000).all()


def test_the_rise_is_that_of_the_statistic_without_the_line(forward):
    """With all else at its truth and the counts expected, it is a sum over channels."""
    truth_1P = torch.tensor([[0.2, 1.8, 5e-4, 6.4, 4e-5]]).double()
    exposure_1 = torch.tensor([25e3])
    counts_1C = forward(truth_1P.float(), exposure_1)
    data = Counted(counts_1C, exposure_1, torch.zeros_like(counts_1C))
    rise = rise_without(forward, data, truth_1P, BOUNDS_2P, 4)
    without_1C = forward((truth_1P * torch.tensor([1, 1, 1, 1, 0])).float(), exposure_1)
    fixed = float(data.statistic(without_1C) - data.statistic(counts_1C))
    assert 0.5 * fixed < float(rise) <= fixed + 1e-3
