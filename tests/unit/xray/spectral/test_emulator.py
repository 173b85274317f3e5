"""Interpolated counts against the exact ones, in units of their Poisson noise."""

import pytest
import torch

from wolter.errors import InputError
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.emission import components
from wolter.xray.spectral.emulator import Emulator
from wolter.xray.spectral.forward import Forward
from wolter.xray.stats.prior import Prior

EXPOSURE_S = 25_000.0
TOLERANCE = 0.02


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(SimulateConfig())


@pytest.fixture(scope="module")
def emulator(simulator) -> Emulator:
    return Emulator(simulator.forward, simulator.spec.prior, EXPOSURE_S, TOLERANCE)


def draw(simulator: Simulator, n: int, seed: int = 11) -> torch.Tensor:
    low_P, high_P = simulator.spec.bounds_2P()
    generator = torch.Generator().manual_seed(seed)
    return low_P + (high_P - low_P) * torch.rand(n, len(low_P), generator=generator)


def test_every_component_is_within_its_tolerance(simulator, emulator):
    parameters_BP = draw(simulator, 1000)
    exact_BKC = simulator.forward.terms(parameters_BP, EXPOSURE_S)
    error_BKC = emulator.terms(parameters_BP, EXPOSURE_S) - exact_BKC
    assert emulator.components == simulator.forward.components
    assert 0 < emulator.error <= TOLERANCE
    # The tolerance was met at 512 points; a factor of 1.5 is for what lies between them.
    assert float((error_BKC / (exact_BKC + 1).sqrt()).abs().max()) < 1.5 * TOLERANCE


def test_the_corners_of_the_bounds_are_inside(simulator, emulator):
    low_P, high_P = simulator.spec.bounds_2P()
    corner_BP = torch.where(torch.cartesian_prod(*[torch.arange(2.0)] * 7) > 0, high_P, low_P)
    exact_BKC = simulator.forward.terms(corner_BP, EXPOSURE_S)
    error_BKC = emulator.terms(corner_BP, EXPOSURE_S) - exact_BKC
    # Polynomials are at their worst there.
    assert float((error_BKC / (exact_BKC + 1).sqrt()).abs().max()) < 5 * TOLERANCE


def test_the_sum_is_that_of_the_terms_and_of_the_model(simulator, emulator):
    parameters_BP = draw(simulator, 300)
    got_BC = emulator(parameters_BP, EXPOSURE_S)
    terms_BKC = emulator.terms(parameters_BP, EXPOSURE_S)
    torch.testing.assert_close(got_BC, terms_BKC.sum(1), rtol=1e-5, atol=1e-6)
    exact_BC = simulator.forward(parameters_BP, EXPOSURE_S)
    noise_BC = (exact_BC + 1).sqrt()
    assert float(((got_BC - exact_BC) / noise_BC).abs().max()) < 3 * TOLERANCE
    assert (got_BC >= 0).all()


def test_counts_scale_with_exposure(simulator, emulator):
    parameters_BP = draw(simulator, 4)
    exposure_B = torch.tensor([1.0, 10.0, 1e3, 2e4])
    one_BC, one_BKC = emulator(parameters_BP), emulator.terms(parameters_BP)
    scaled_BC = emulator(parameters_BP, exposure_B)
    torch.testing.assert_close(scaled_BC, one_BC * exposure_B[:, None])
    scaled_BKC = emulator.terms(parameters_BP, exposure_B)
    torch.testing.assert_close(scaled_BKC, one_BKC * exposure_B[:, None, None])


def test_a_norm_is_a_factor_on_its_component_alone(simulator, emulator):
    parameters_BP = draw(simulator, 5)
    double_BP = parameters_BP.clone()
    double_BP[:, simulator.forward.names.index("line_norm")] *= 2
    before_BKC, after_BKC = emulator.terms(parameters_BP), emulator.terms(double_BP)
    torch.testing.assert_close(after_BKC[:, 1], 2 * before_BKC[:, 1])
    assert torch.equal(after_BKC[:, [0, 2]], before_BKC[:, [0, 2]])


def test_a_component_of_which_the_norm_alone_is_free_needs_no_polynomial(simulator):
    response = simulator.forward.response
    fixed = {"nh": 0.1, "slope": 2.0}
    forward = Forward.of(components.parse("wabs * powerlaw"), response, ["pow_norm"], fixed)
    emulator = Emulator(forward, Prior(torch.tensor([1e-5]), torch.tensor([1e-3])), EXPOSURE_S)
    norm_B1 = torch.tensor([[1e-5], [3e-4], [1e-3]])
    torch.testing.assert_close(
        emulator(norm_B1, EXPOSURE_S), forward(norm_B1, EXPOSURE_S), rtol=1e-5, atol=1e-6
    )


def test_what_is_not_smooth_enough_is_refused(simulator):
    names, fixed = ["line_energy", "line_norm"], {"sigma": 0.0}
    line = Forward.of(components.parse("gaussian"), simulator.forward.response, names, fixed)
    bounds = torch.tensor([1.0, 0.0]), torch.tensor([9.0, 1e-3])
    with pytest.raises(InputError, match="gaussian cannot be interpolated in line_energy to 1e-12"):
        Emulator(line, Prior(*bounds), EXPOSURE_S, tolerance=1e-12)


def test_log_uniform_parameters_are_expanded_in_their_logarithm(simulator):
    names = ["nh", "tin", "disk_norm"]
    model = components.parse("tbabs * diskbb")
    forward = Forward.of(model, simulator.forward.response, names, {})
    low_P, high_P = torch.tensor([[0.05, 0.1, 0.1], [1.0, 0.6, 10.0]])
    emulator = Emulator(forward, Prior(low_P, high_P, ("log", "log", "log")), EXPOSURE_S)
    generator = torch.Generator().manual_seed(1)
    drawn_BP = emulator.prior.at(torch.rand(200, 3, generator=generator))
    exact_BC = forward(drawn_BP, EXPOSURE_S)
    error_BC = (emulator(drawn_BP, EXPOSURE_S) - exact_BC).abs() / (exact_BC + 1).sqrt()
    assert float(error_BC.max()) < 2 * TOLERANCE
