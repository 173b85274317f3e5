"""A model seen through a response, against its parts put together by hand."""

import pytest
import torch

from wolter.errors import InputError
from wolter.xray.emission import components
from wolter.xray.spectral.forward import FOLDED, Forward
from wolter.xray.spectral.response import Response

NAMES = ("nh", "slope", "pow_norm")
FIXED = {"line_energy": 6.4, "sigma": 0.1, "line_norm": 0.01}
MODEL = components.parse("wabs * (powerlaw + gaussian)")


@pytest.fixture(scope="module")
def response() -> Response:
    """A square response with a blur, blind below 0.5 keV."""
    edges_E1 = torch.linspace(0.3, 10.3, 101, dtype=torch.float64)
    offset_EC = torch.arange(100.0)[:, None] - torch.arange(100.0)
    matrix_EC = 300 * torch.exp(-0.5 * (offset_EC / 1.5).square()).double()
    matrix_EC[:2] = 0
    return Response(edges_E1, matrix_EC, edges_E1, 0)


@pytest.fixture(scope="module")
def forward(response) -> Forward:
    return Forward.of(MODEL, response, NAMES, FIXED)


def draw(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    share_BP = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    return torch.tensor([0.01, 1.0, 1e-3]) + share_BP * torch.tensor([1.0, 2.0, 1e-2])


def test_it_is_the_models_flux_folded(forward, response):
    parameters_BP = draw(5)
    exposure_B = torch.tensor([1e3, 2e3, 5e3, 1e4, 2e4])
    values = dict(zip(NAMES, parameters_BP.T, strict=True)) | FIXED
    flux_BE = MODEL(response.energy_edges_E1, values)
    by_hand_BC = flux_BE @ response.matrix_EC * exposure_B[:, None]
    # The power law chooses between two series, good to 1e-5, by the width of the bins in use.
    torch.testing.assert_close(forward(parameters_BP, exposure_B), by_hand_BC, rtol=1e-5, atol=0)


def test_terms_sum_to_the_whole(forward):
    parameters_BP, exposure_B = draw(7), torch.linspace(1e3, 9e3, 7)
    terms_BKC = forward.terms(parameters_BP, exposure_B)
    assert forward.components == ("powerlaw", "gaussian")
    assert terms_BKC.shape == (7, 2, 100)
    whole_BC = forward(parameters_BP, exposure_B)
    torch.testing.assert_close(terms_BKC.sum(1), whole_BC, rtol=1e-12, atol=0)


def test_a_spectrum_does_not_depend_on_the_others_of_its_batch(forward):
    parameters_BP = draw(2 * FOLDED + 3)
    exposure_B = torch.linspace(1e3, 2e3, len(parameters_BP))
    together_BC = forward(parameters_BP, exposure_B)
    for row in (0, FOLDED - 1, FOLDED, 2 * FOLDED + 2):
        alone_BC = forward(parameters_BP[row : row + 1], exposure_B[row : row + 1])
        torch.testing.assert_close(together_BC[row], alone_BC[0], rtol=1e-5, atol=0)


def test_throughput_is_a_factor_on_the_area(forward, response):
    n = FOLDED + 2
    parameters_BP = draw(n)
    energies = forward.response.n_energies
    assert energies == response.n_energies - 2  # those that no channel sees are left out
    twice_BE = torch.full((n, energies), 2.0, dtype=torch.float64)
    plain_BC = forward(parameters_BP, 100.0)
    torch.testing.assert_close(forward(parameters_BP, 100.0, twice_BE), 2 * plain_BC)
    torch.testing.assert_close(
        forward.terms(parameters_BP, 100.0, twice_BE), 2 * forward.terms(parameters_BP, 100.0)
    )
    hard_BE = (torch.arange(energies) >= 50).double() * torch.arange(n)[:, None]
    soft_BE = torch.arange(n)[:, None] - hard_BE
    shared_BC = forward(parameters_BP, 1.0, hard_BE) + forward(parameters_BP, 1.0, soft_BE)
    torch.testing.assert_close(shared_BC, forward(parameters_BP) * torch.arange(n)[:, None])


def test_gradients_flow_to_every_parameter_and_are_right(forward):
    parameters_BP = draw(2).requires_grad_()
    forward(parameters_BP, 1e4).sum().backward()
    assert parameters_BP.grad.isfinite().all()
    assert (parameters_BP.grad != 0).all()
    # More absorption and a steeper slope (photons above 1 keV) are fewer counts.
    assert (parameters_BP.grad[:, 0] < 0).all()
    assert (parameters_BP.grad[:, 2] > 0).all()
    assert torch.autograd.gradcheck(lambda p: forward(p, 10.0)[:, ::9], draw(2).requires_grad_())


@pytest.mark.parametrize(
    ("names", "fixed", "message"),
    [
        (NAMES[1:], FIXED, "parameters nh have no value"),
        (NAMES, {"line_energy": 6.4, "sigma": 0.1}, "parameters line_norm have no value"),
        ((*NAMES, "kt"), FIXED, "parameters kt are not its"),
        (NAMES, FIXED | {"redshift": 0.1}, "parameters redshift are not its"),
        (NAMES, FIXED | {"nh": 0.1}, "parameters nh twice"),
    ],
)
def test_free_and_fixed_parameters_make_up_the_model(response, names, fixed, message):
    with pytest.raises(InputError, match=message) as error:
        Forward.of(MODEL, response, names, fixed)
    assert "give each of nh, slope" in str(error.value)
