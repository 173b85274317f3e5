import pytest
import torch

from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.redistribution import recorded_offsets
from wolter.xray.spectral.response import Response

EDGES = torch.linspace(0, 4, 401, dtype=torch.float64)
MIDDLE = (EDGES[1:] + EDGES[:-1]) / 2


def test_a_gaussian_s_quantiles_are_its_own():
    sigma, shift = 0.1, 0.02
    matrix_EC = torch.exp(-0.5 * ((MIDDLE - MIDDLE[:, None] - shift) / sigma) ** 2)
    offsets_QA = recorded_offsets(
        Response(EDGES, matrix_EC, EDGES, 0), (1.5, 2.5), (0.16, 0.5, 0.84)
    )
    expected = torch.tensor([shift - 0.9945 * sigma, shift, shift + 0.9945 * sigma])
    torch.testing.assert_close(
        offsets_QA, expected.double()[:, None].expand(3, 2), atol=1e-4, rtol=0
    )


def test_photons_that_are_not_seen_have_no_offset():
    matrix_EC = torch.eye(400)
    matrix_EC[:100] = 0
    response = Response(EDGES, matrix_EC, EDGES, 0)
    offsets_QA = recorded_offsets(response, (0.5, 2.0, 9.0), (0.5,))
    assert offsets_QA.isnan().tolist() == [[True, False, True]]


def test_epic_pn_is_as_sharp_as_its_handbook_says():
    low, high = recorded_offsets(epic_pn.response("medium"), (6.4,), (0.16, 0.84))[:, 0].tolist()
    # FWHM of 150 eV at 6.4 keV: half of a Gaussian's central 68 % is 64 eV.
    assert (high - low) / 2 * 1e3 == pytest.approx(80, abs=25)
