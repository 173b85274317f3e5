"""Folding through a response that a record describes in few numbers."""

import pytest
import torch

from wolter.spectra import folding
from wolter.spectra.grid import acis_grid
from wolter.xray.emission import components as emission
from wolter.xray.instruments import instrument as instruments

MODELS = {
    "tbabs * powerlaw": {"nh": 0.1, "slope": 1.8, "pow_norm": 1.0},
    "tbabs * bbody": {"nh": 0.1, "kt": 0.2, "bb_norm": 1.0},
    "tbabs * (bremss + gaussian)": {
        "nh": 0.3,
        "brems_kt": 3.0,
        "brems_norm": 1.0,
        "line_energy": 6.7,
        "sigma": 0.05,
        "line_norm": 0.02,
    },
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["acis_s", "acis_i"])
def test_counts_are_those_of_the_full_response(name, model):
    edges = acis_grid()
    full = instruments.load(name).response("", torch.float64)
    expression, values = emission.parse(model), MODELS[model]
    flux_BE = expression(full.energy_edges_E1.double(), values)
    right_C = (flux_BE @ full.rebin(edges).matrix_EC.double()).flatten()
    area_F, offset_TA = folding.describe(full)
    flux_BF = expression(torch.tensor(folding.EDGES_KEV).double(), values).float()
    found_C = folding.fold(
        flux_BF, area_F[None], offset_TA[None], torch.ones(1), torch.tensor(edges)
    )[0].double()
    assert float(found_C.sum() / right_C.sum()) == pytest.approx(1, abs=0.003)
    # A thousand counts do not notice: chi^2 of the shapes, on 155 channels.
    right_C, found_C = 1000 * right_C / right_C.sum(), 1000 * found_C / found_C.sum()
    assert float(((found_C - right_C).square() / right_C.clamp_min(1e-6)).sum()) < 1


def test_each_record_goes_through_its_own_response():
    edges = torch.tensor(acis_grid())
    described = [
        folding.describe(instruments.load(name).response("", torch.float64))
        for name in ("acis_s", "acis_i")
    ]
    area_BF = torch.stack([described[i][0] for i in (0, 1, 0)])
    offset_BTA = torch.stack([described[i][1] for i in (0, 1, 0)])
    flux_BF, exposure_B = torch.rand(3, folding.BANDS), torch.tensor([1.0, 2.0, 3.0])
    together_BC = folding.fold(flux_BF, area_BF, offset_BTA, exposure_B, edges)
    for b in range(3):
        one = slice(b, b + 1)
        alone_BC = folding.fold(flux_BF[one], area_BF[one], offset_BTA[one], exposure_B[one], edges)
        torch.testing.assert_close(together_BC[one], alone_BC)


def test_gradients_reach_the_flux_of_every_record():
    described = folding.describe(instruments.load("acis_s").response("", torch.float64))
    other_TA = described[1] + 0.001
    flux_BF = torch.rand(2, folding.BANDS, requires_grad=True)
    counts_BC = folding.fold(
        flux_BF,
        described[0].expand(2, -1),
        torch.stack([described[1], other_TA]),
        torch.ones(2),
        torch.tensor(acis_grid()),
    )
    counts_BC.sum().backward()
    assert bool((flux_BF.grad.sum(1) > 0).all())


def test_many_fluxes_go_through_redistributions_made_once():
    described = folding.describe(instruments.load("acis_s").response("", torch.float64))
    offset_BTA = torch.stack([described[1], described[1] + 0.02, described[1]])
    through = folding.Redistributions.of(offset_BTA, acis_grid())
    assert len(through.matrix_RFC) == 2
    photons_XBF = torch.rand(4, 3, folding.BANDS)
    rows = torch.tensor([2, 1])
    counts_XBC = through[rows](photons_XBF[:, rows])
    ones_BF = torch.ones(2, folding.BANDS)
    for photons_BF, counts_BC in zip(photons_XBF[:, rows], counts_XBC, strict=True):
        right_BC = folding.fold(
            photons_BF, ones_BF, offset_BTA[rows], torch.ones(2), torch.tensor(acis_grid())
        )
        torch.testing.assert_close(counts_BC, right_BC)


def test_unknown_offsets_are_those_of_the_nearest_photon():
    _, offset_TA = folding.describe(instruments.load("acis_s").response("", torch.float64))
    holed_TA = offset_TA.clone()
    holed_TA[:, :3] = torch.nan
    filled_TA = offset_TA.clone()
    filled_TA[:, :3] = offset_TA[:, 3:4]
    edges = acis_grid()
    torch.testing.assert_close(
        folding.matrices(holed_TA[None], edges), folding.matrices(filled_TA[None], edges)
    )


def test_an_unknown_redistribution_records_photons_at_their_own_energies():
    unknown_RTA = torch.full((1, len(folding.SHARES), 24), torch.nan)
    matrix_FC = folding.matrices(unknown_RTA, acis_grid())[0]
    inside_F = (folding.bands_kev() > 0.55) & (folding.bands_kev() < 7.5)
    centre_C = torch.tensor(acis_grid())
    centre_C = (centre_C[1:] + centre_C[:-1]) / 2
    mean_F = (matrix_FC @ centre_C)[inside_F]
    torch.testing.assert_close(mean_F, folding.bands_kev()[inside_F], atol=0.06, rtol=0)
