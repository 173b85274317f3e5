"""Folding, bands and rebinning of responses."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter.errors import InputError
from wolter.xray.spectral.banded import FEWEST, banded_product
from wolter.xray.spectral.response import Response, channel_bins, rebin_channels


def triangle(n_energies=600, n_channels=700, dtype=torch.float64, seed=0) -> Response:
    """A response with the shape of a real one: a peak that follows the energy and a short tail."""
    generator = torch.Generator().manual_seed(seed)
    energy = torch.linspace(0.2, 10, n_energies + 1, dtype=torch.float64)
    channel = torch.linspace(0, 11, n_channels + 1, dtype=torch.float64)
    distance = energy[:-1, None] - channel[:-1]
    shape = torch.exp(-0.5 * (distance / 0.05).square()) + 0.01 * (distance > 0)
    matrix = torch.where((distance < 0.2) & (distance > -1), shape, 0.0)
    area = 500 * torch.rand(n_energies, 1, dtype=torch.float64, generator=generator)
    return Response(
        energy, (area * matrix * (distance > -0.2) * (distance < 1)).to(dtype), channel, 1
    )


def flux(*shape: int, dtype=torch.float64, seed=1) -> torch.Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_fold_is_the_matrix_product_times_exposure():
    response, photons = triangle(), flux(20, 600)
    exposure = torch.arange(1.0, 21.0)
    expected = (photons @ response.matrix_EC) * exposure.double()[:, None]
    assert response._bands is not None  # the bands are in use
    torch.testing.assert_close(response.fold(photons, exposure), expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(response.fold(photons[2], 3.0), expected[2], rtol=1e-13, atol=0)


def test_fold_keeps_leading_dimensions():
    response, photons = triangle(), flux(2, 10, 600)
    exposure = torch.tensor([[10.0], [20.0]])
    folded = response.fold(photons, exposure)
    assert folded.shape == (2, 10, 700)
    torch.testing.assert_close(folded[1, 2], response.fold(photons[1, 2], 20.0))


def test_a_small_or_full_matrix_is_multiplied_whole():
    response = triangle(40, 50)
    assert response._bands is None
    full = Response(
        response.energy_edges_E1, torch.ones(40, 50).double(), response.channel_edges_C1, 0
    )
    torch.testing.assert_close(full.fold(torch.ones(40)), torch.full((50,), 40.0).double())


def test_rows_and_columns_of_zeros():
    response = triangle()
    matrix = response.matrix_EC.clone()
    matrix[:, :300] = 0
    matrix[:150] = 0
    response = Response(response.energy_edges_E1, matrix, response.channel_edges_C1, 0)
    assert response._bands is not None
    photons = flux(20, 600).requires_grad_()
    torch.testing.assert_close(response.fold(photons), photons @ matrix)
    (gradient,) = torch.autograd.grad(response.fold(photons).sum(), photons)
    torch.testing.assert_close(gradient, matrix.sum(1).expand(20, -1))


def test_gradients_of_first_and_second_order():
    response, photons = triangle(), flux(20, 600).requires_grad_()

    def both(fold):
        value = fold(photons).square().sum()
        (first,) = torch.autograd.grad(value, photons, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(3).sum(), photons)
        return first, second

    for ours, dense in zip(
        both(response.fold), both(lambda values: values @ response.matrix_EC), strict=True
    ):
        torch.testing.assert_close(ours, dense)


def test_function_transforms():
    response, photons = triangle(), flux(3, 20, 600)
    torch.testing.assert_close(torch.func.vmap(response.fold)(photons), response.fold(photons))
    one_by_one = torch.func.vmap(torch.func.vmap(response.fold))(photons)
    torch.testing.assert_close(one_by_one, response.fold(photons))
    row = torch.func.vjp(response.fold, photons)[1](torch.ones(3, 20, 700).double())[0]
    torch.testing.assert_close(row, response.matrix_EC.sum(1).expand(3, 20, -1))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_forward_mode():
    response, photons = triangle(), flux(20, 600)
    _, tangent = torch.func.jvp(response.fold, (photons,), (2 * photons,))
    torch.testing.assert_close(tangent, 2 * response.fold(photons))


def test_float32_agrees_with_float64_to_1e_5_in_every_channel():
    exact, photons = triangle(), flux(20, 600)
    fast = exact.to(dtype=torch.float32)
    folded = fast.fold(photons.float(), 25e3)
    assert folded.dtype == torch.float32
    torch.testing.assert_close(folded.double(), exact.fold(photons, 25e3), rtol=1e-5, atol=0)


def test_mixed_precision_does_not_round_counts():
    response = triangle(dtype=torch.float32)
    photons = flux(20, 600, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        folded = response.fold(photons)
    torch.testing.assert_close(folded, response.fold(photons))


def test_band_keeps_channels_by_their_centre():
    response = triangle(60, 11)  # channels 1 keV wide from 0
    band = response.band(0.5, 3.5)  # the centre 0.5 is in, 3.5 is not
    assert band.channel_edges_C1.tolist() == [0, 1, 2, 3]
    assert band.first_channel == 1
    assert response.band(2, 5).first_channel == 3
    torch.testing.assert_close(band.matrix_EC, response.matrix_EC[:, :3])


def test_rebin_sums_channels_by_their_centre():
    response = triangle(60, 11)
    rebinned = response.rebin([1, 3, 5.5, 9])
    assert rebinned.channel_edges_C1.tolist() == [1, 3, 5.5, 9]
    assert rebinned.first_channel == 2
    # The centre 5.5 belongs to the bin that starts there.
    parts = [slice(1, 3), slice(3, 5), slice(5, 9)]
    expected = torch.stack([response.matrix_EC[:, part].sum(1) for part in parts], 1)
    torch.testing.assert_close(rebinned.matrix_EC, expected)


@settings(max_examples=30)
@given(
    edges=st.lists(st.floats(-1, 13), min_size=2, max_size=20, unique=True).map(sorted),
    seed=st.integers(0, 1000),
)
def test_rebinning_before_and_after_folding_is_the_same(edges, seed):
    response, photons = triangle(40, 90), flux(3, 40, seed=seed)
    centre = 0.5 * (response.channel_edges_C1[1:] + response.channel_edges_C1[:-1])
    if not ((centre >= edges[0]) & (centre < edges[-1])).any():
        with pytest.raises(InputError, match="no channel inside"):
            response.rebin(edges)
        return
    after = rebin_channels(response.fold(photons), response.channel_edges_C1, edges)
    torch.testing.assert_close(response.rebin(edges).fold(photons), after)


@pytest.mark.parametrize("edges", [[3.0, 2.0], [1.0], torch.tensor([[1.0, 2.0]])])
def test_bad_edges_are_refused(edges):
    with pytest.raises(InputError, match="two or more ascending"):
        triangle(60, 11).rebin(edges)


def test_empty_band_is_refused():
    with pytest.raises(
        InputError, match="no channel between 20 and 30 keV; the response covers 0-11"
    ):
        triangle(60, 11).band(20, 30)


def test_hash_knows_content_but_not_precision():
    response = triangle(60, 11)
    assert response.sha256() == response.to(dtype=torch.float32).sha256()
    assert response.sha256() != triangle(60, 11, seed=3).sha256()
    assert response.sha256() != response.band(1, 11).sha256()


@pytest.mark.gpu
def test_fold_on_the_gpu_agrees():
    response, photons = triangle(dtype=torch.float32), flux(64, 600, dtype=torch.float32)
    folded = response.to("cuda").fold(photons.cuda(), torch.full((64,), 2.0, device="cuda"))
    torch.testing.assert_close(folded.cpu(), response.fold(photons, 2.0), rtol=1e-5, atol=1e-3)


def test_area_between_energies_by_hand():
    """Areas 3 and 6 cm^2 between 1, 2 and 4 keV, none beyond; a bin's part counts as it is wide."""
    matrix_EC = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64)
    edges_E1, channels_C1 = torch.tensor([1.0, 2.0, 4.0]).double(), torch.tensor([0.0, 1, 2])
    response = Response(edges_E1, matrix_EC, channels_C1, 0)
    assert response.area_E.tolist() == [3, 6]
    bands = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    assert response.area_between(bands).tolist() == pytest.approx([0, 0, 3, 3, 6, 6, 0])
    assert response.area_between([1.0, 4.0]).tolist() == pytest.approx([5])  # (3 + 2 * 6) / 3
    assert response.area_between([1.5, 2.5]).tolist() == pytest.approx([4.5])
    assert response.area_between([0.0, 2.0]).tolist() == pytest.approx([1.5])
    assert response.to(dtype=torch.float32).area_between([1, 2]).dtype == torch.float32


def test_energies_at_the_ends_that_no_channel_sees_are_left_out():
    matrix_EC = torch.zeros(6, 2)
    matrix_EC[2, 1], matrix_EC[3, 0] = 1, 2  # and the fifth sees nothing
    response = Response(torch.arange(7.0), matrix_EC, torch.arange(3.0), 5, "T", "I", "F", True)
    seen = response.seen()
    assert seen.energy_edges_E1.tolist() == [2, 3, 4]
    assert seen.matrix_EC.tolist() == [[0, 1], [2, 0]]
    assert (seen.first_channel, seen.telescope, seen.descending) == (5, "T", True)
    assert Response(torch.arange(7.0), matrix_EC, torch.arange(3.0), 5).descending is False


def test_bands_are_used_for_many_spectra_and_sparse_matrices_alone(monkeypatch):
    used = []

    def counted(*given):
        used.append(len(given[0]))
        return banded_product(*given)

    monkeypatch.setattr("wolter.xray.spectral.response.banded_product", counted)
    sparse, small = triangle(), triangle(40, 50)
    sparse.fold(flux(FEWEST - 1, 600))
    small.fold(flux(FEWEST, 40))
    assert used == []
    sparse.fold(flux(FEWEST, 600))
    assert used == [FEWEST]
    learnt = Response(
        sparse.energy_edges_E1, sparse.matrix_EC.requires_grad_(), sparse.channel_edges_C1, 0
    )
    learnt.fold(flux(FEWEST, 600))
    assert used == [FEWEST]


def test_channels_beyond_the_last_bin_and_below_the_first_are_dropped():
    edges_C1 = [0.0, 1, 2, 3, 4]
    assert channel_bins(edges_C1, [0.5, 1.5, 2.5]).tolist() == [0, 1, -1, -1]
    assert channel_bins(edges_C1, [1.6, 3.5]).tolist() == [-1, -1, 0, -1]
    counts = torch.tensor([1.0, 10, 100, 1000])
    assert rebin_channels(counts, edges_C1, [0.5, 1.5, 2.5]).tolist() == [1, 10]
    response = triangle(60, 11)
    assert response.rebin([2.5, 3.5]).first_channel == 3
    assert response.channels_between(2.5, 4.5) == slice(2, 4)


def test_the_hash_knows_the_first_channel():
    response = triangle(60, 11)
    other = replace(response, first_channel=response.first_channel + 1)
    assert other.sha256() != response.sha256()
    assert replace(other, first_channel=response.first_channel).sha256() == response.sha256()
