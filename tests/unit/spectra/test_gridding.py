"""AREASCAL and BACKSCAL, one number or one a channel, as records and likelihoods know them."""

from dataclasses import replace

import pytest
import torch

from wolter.errors import InputError
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.gridding import batch_of, one_background_scale, without_areascale
from wolter.spectra.reading import to_record
from wolter.spectra.schema import SpectraSpec
from wolter.xray.spectral.observation import Observation, Spectrum
from wolter.xray.spectral.response import Response

EDGES = (0.0, 2.0, 4.0)
SPEC = SpectraSpec(EDGES)
ENERGIES = torch.arange(5, dtype=torch.float64)


def response(area: float = 100.0) -> Response:
    return Response(ENERGIES, area * torch.eye(4, dtype=torch.float64), ENERGIES, 0)


def spectrum(*counts: float, **words) -> Spectrum:
    return Spectrum(torch.tensor(counts, dtype=torch.float64), 1000.0, **words)


def by_channel(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def expected(observation: Observation, flux: float = 0.01) -> torch.Tensor:
    return observation.expected_counts(torch.full((4,), flux, dtype=torch.float64))


def test_one_areascale_is_in_the_exposure():
    observation = Observation(spectrum(1, 2, 3, 4, areascale=0.3), response())
    batch = batch_of([observation], EDGES)
    assert batch.exposure_B.tolist() == pytest.approx([300.0])
    plain = batch_of([Observation(spectrum(1, 2, 3, 4), response())], EDGES)
    assert torch.equal(batch.area_BA, plain.area_BA)
    record = to_record(observation, SPEC)
    assert (record.areascale, record.exposure_s) == (0.3, pytest.approx(1000.0))


def test_an_areascale_of_1_changes_nothing():
    observation = Observation(spectrum(1, 2, 3, 4), response())
    assert without_areascale(observation) is observation


@pytest.mark.parametrize("areascale", [0.3, by_channel(0.2, 0.4, 0.6, 0.8)])
@pytest.mark.parametrize("of_background", [1.0, 2.0, by_channel(1, 2, 2, 4)])
def test_expected_counts_of_source_and_background_stay(areascale, of_background):
    region = spectrum(10, 20, 30, 40, areascale=of_background, backscale=4.0)
    observation = Observation(spectrum(1, 2, 3, 4, areascale=areascale), response(), region)
    plain = without_areascale(observation)
    assert plain.spectrum.areascale == 1
    torch.testing.assert_close(expected(plain), expected(observation))
    scale_C = torch.as_tensor(plain.background_scale).double()
    before_C = torch.as_tensor(observation.background_scale).double()
    torch.testing.assert_close(scale_C, before_C.expand_as(scale_C))


def test_areascale_by_channel_is_in_the_area_as_well():
    observation = Observation(
        spectrum(1, 2, 3, 4, areascale=by_channel(0.5, 0.5, 1.5, 1.5)), response()
    )
    batch = batch_of([observation], EDGES)
    assert batch.exposure_B.tolist() == [1000.0]
    area_A = batch.area_BA[0]
    assert area_A[0].item() == pytest.approx(50.0)  # at 0.3 keV
    assert area_A[-8].item() == pytest.approx(150.0)  # at 3 keV
    gridded = GriddedObservation.of(observation, SPEC)
    flux_E = torch.full((4,), 0.01)
    counts_G = gridded.response.fold(flux_E, float(gridded.record.batch.exposure_B))
    assert counts_G.tolist() == pytest.approx([1000.0, 3000.0])


def test_channels_without_area_have_no_counts():
    region = spectrum(10, 20, 30, 40)
    observation = Observation(
        spectrum(1, 2, 3, 4, areascale=by_channel(0, 1, 1, 1)), response(), region
    )
    plain = without_areascale(observation)
    assert expected(plain)[0] == 0
    assert plain.background_scale[0] == 0
    with pytest.raises(InputError, match="AREASCAL is 0"):
        without_areascale(Observation(spectrum(1, 2, 3, 4, areascale=0.0), response()))


def test_a_scale_by_channel_becomes_its_count_weighted_mean():
    region = spectrum(10, 0, 30, 60, backscale=1 / by_channel(0.1, 5.0, 0.2, 0.4))
    observation = Observation(spectrum(1, 2, 3, 4), response(), region)
    batch = batch_of([observation], EDGES)
    mean = (10 * 0.1 + 30 * 0.2 + 60 * 0.4) / 100
    assert batch.background_scale_B.tolist() == pytest.approx([mean])
    assert batch.background_BC.sum().item() == pytest.approx(100)
    # Times the one scale they are what each channel's own scale expects in the source region.
    expected_C = batch.background_BC[0] * batch.background_scale_B
    assert expected_C.tolist() == pytest.approx([1.0, 30.0])
    assert to_record(observation, SPEC).flags == ("background_scale_varies",)


def test_counts_that_are_no_whole_numbers_are_flagged():
    whole = Observation(spectrum(1, 2, 3, 4), response(), spectrum(1, 2, 3, 4))
    assert "fractional_counts" not in to_record(whole, SPEC).flags
    broken = Observation(spectrum(1, 2, 3.25, 4), response(), spectrum(1, 2, 3, 4))
    assert "fractional_counts" in to_record(broken, SPEC).flags


def test_the_likelihood_scales_the_background_by_channel():
    counts_C = torch.full((400,), 100.0, dtype=torch.float64)
    edges = torch.linspace(0, 4, 401, dtype=torch.float64)
    scale_C = torch.where(torch.arange(400) < 200, 0.1, 0.5).double()
    matrix = 100.0 * torch.eye(400, dtype=torch.float64)
    region = Spectrum(counts_C, 1000.0, backscale=1 / scale_C)
    observation = Observation(Spectrum(counts_C, 1000.0), Response(edges, matrix, edges, 0), region)
    gridded = GriddedObservation.of(observation, SPEC)
    assert gridded.background_C.tolist() == pytest.approx([2000.0, 10_000.0], rel=1e-3)


def test_a_constant_column_is_one_number():
    region = spectrum(10, 20, 30, 40, backscale=by_channel(4, 4, 4, 4))
    observation = Observation(spectrum(1, 2, 3, 4), response(), region)
    plain = replace(observation, background=replace(region, backscale=4.0))
    scale, counts_C = one_background_scale(observation, EDGES)
    assert scale == pytest.approx(0.25)
    assert torch.allclose(counts_C, one_background_scale(plain, EDGES)[1])
    assert to_record(observation, SPEC).flags == ()
