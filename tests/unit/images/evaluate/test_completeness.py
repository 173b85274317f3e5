"""Detection finds what was put in; thresholds, curves and pairs by hand."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from wolter.images.evaluate import completeness, matching
from wolter.images.evaluate.detection import Image
from wolter.images.evaluate.photometry import photometry
from wolter.images.evaluate.source_likelihood import detect_photons
from wolter.images.evaluate.source_tables import source_tables
from wolter.xray.imaging.imager import Exposure, Imager
from wolter.xray.imaging.scenes import Scene
from wolter.xray.instruments import epic_pn_camera as camera
from wolter.xray.instruments.psf import Psf


def test_injected_sources_are_found_at_their_places_with_their_rates():
    at_N2 = torch.tensor([[0.0, 0.0], [-300, 200], [250, -180], [-150, -300], [40, 300]])
    rate_N = torch.tensor([0.05, 0.03, 0.02, 0.03, 0.02])
    imager = Imager({"input": (Psf(), 1)})
    scene = Scene(torch.cat([at_N2, rate_N[:, None]], 1))
    rates = imager.rates(scene, {"agn": 1.0})["input"]
    taken = imager.expose(rates, Exposure(2e4, 1e-5), torch.ones(416, 416, dtype=torch.bool))
    counts_HW = taken.draw(torch.Generator().manual_seed(0))
    rate_HW = (counts_HW - taken.background_HW) / taken.exposure_HW
    image = Image.of(rate_HW, taken.exposure_HW, taken.background_HW, Psf(), 4.0)
    # As if fluxes were rates: all far above `FAINTEST`.
    found = matching.match(image, scene.point_N3.double().numpy(), 1.0)
    assert (found.score_N > 5).all()
    assert float(np.nanmax(found.offset_N)) < 2.0
    # Photons alone scatter the rates by 4 to 7 %.
    assert found.ratio_N == pytest.approx(np.ones(5), abs=0.22)


def test_rates_without_noise_are_the_true_ones_on_and_off_the_axis():
    at_N2 = torch.tensor([[0.0, 0.0], [-300, 200], [400, 400]])
    scene = Scene(torch.cat([at_N2, torch.full((3, 1), 0.03)], 1))
    imager = Imager()
    for name, scale, psf in (("input", 1, Psf()), ("target", 2, Psf(sharpness=1.9))):
        rate_HW = imager.rates(scene, {"agn": 1.0})[name] / imager.vignetting[scale]
        ones = torch.ones_like(rate_HW)
        image = Image.of(rate_HW, ones, ones, psf, 4.0 / scale)
        found_N = photometry(image, at_N2.double().numpy())
        assert found_N == pytest.approx(np.full(3, 0.03), rel=0.01)


def test_rates_without_noise_are_the_true_ones_beside_gaps_and_with_events_out_of_time():
    at_N2 = torch.tensor([[0.0, 0.0], [-300, 200], [-180, -260], [300, 100], [-500, 120]])
    scene = Scene(torch.cat([at_N2, torch.full((5, 1), 0.03)], 1))
    imager = Imager()
    for name, scale, psf in (("input", 1, Psf()), ("target", 2, Psf(sharpness=1.9))):
        how = Exposure(2e4, 1e-5, 0.3, out_of_time=0.063)
        taken = imager.expose(imager.rates(scene, {"agn": 1.0})[name], how, camera.live(scale))
        rate_HW = (taken.counts_HW - taken.background_HW) / taken.exposure_HW.clamp(min=1)
        others = taken.exposure_HW, taken.background_HW
        image = Image.of(rate_HW, *others, psf, 4.0 / scale)
        found_N = photometry(image, at_N2.double().numpy())
        known_N = np.isfinite(found_N)
        assert known_N.sum() >= 3
        assert found_N[known_N] == pytest.approx(np.full(known_N.sum(), 0.03), rel=0.01)


def test_sources_near_others_are_not_alone():
    point_N3 = np.array([[0, 0, 1e-13], [20, 0, 5e-15], [300, 0, 1e-14], [310, 0, 2e-15]])
    ones_HW = np.ones((416, 416))
    found = matching.match(Image(0 * ones_HW, ones_HW * 1e4, ones_HW, Psf(), 4.0), point_N3, 8e11)
    assert dict(zip(found.flux_N.tolist(), found.alone_N.tolist(), strict=True)) == {
        1e-13: True,
        1e-14: False,
        5e-15: False,
        2e-15: False,
    }
    assert found.counts_N[0] == pytest.approx(800)


def matched(score_N, false_M, flux_N=None, partner_N=None):
    n = len(score_N)
    none_N = np.full(n, np.nan)
    flux_N = np.full(n, 2e-14) if flux_N is None else np.asarray(flux_N)
    partner_N = np.full(n, -1) if partner_N is None else np.asarray(partner_N)
    scores = np.asarray(score_N, float), np.asarray(false_M, float)
    alone_N = np.ones(n, dtype=bool)
    return matching.Matched(
        flux_N,
        1e16 * flux_N,
        np.zeros(n),
        scores[0],
        none_N,
        none_N,
        alone_N,
        none_N,
        partner_N,
        scores[1],
    )


def test_the_threshold_gives_the_purity():
    # Three sources and one other from 6 on: 75 %.
    assert completeness.threshold(matched([9, 8, 7, 3], [6, 5]), purity=0.7) == 6
    assert completeness.threshold(matched([9, 8, 7, 3], [6, 5]), purity=0.8) == 7
    assert completeness.threshold(matched([9, 8, 7, 3], [6]), purity=0.8) == 3
    assert completeness.threshold(matched([-np.inf], [4]), purity=0.9) == float("inf")


def test_the_curve_passes_through_the_flux_of_one_half():
    generator = np.random.default_rng(0)
    flux_N = np.exp(generator.uniform(np.log(1e-16), np.log(1e-13), 4000))
    share_N = 1 / (1 + (flux_N / 3e-15) ** (-1 / 0.3))
    score_N = np.where(generator.random(4000) < share_N, 9.0, -np.inf)
    curve = completeness.completeness(matched(score_N, [], flux_N), 5.0)
    assert curve.half == pytest.approx(3e-15, rel=0.08)
    assert curve.width == pytest.approx(0.3, rel=0.2)


def test_fields_are_joined_with_their_pairs():
    one = matched([9, 8], [], partner_N=[1, 0])
    joined = matching.Matched.joined([one, matched([7], [3]), one])
    assert joined.partner_N.tolist() == [1, 0, -1, 4, 3]
    assert completeness.summary(joined, purity=0.5)["n_found"] == 5


def test_likelihood_parts_close_pairs_and_finds_nothing_in_background():
    place_N2 = torch.tensor([[-300.0, 200.0], [-300.0, 210.0], [200.0, -300.0], [100.0, 300.0]])
    rate_N = torch.tensor([0.1, 0.05, 0.2, 2e-3])
    imager = Imager({"input": (Psf(), 1)})
    scene = Scene(torch.cat([place_N2, rate_N[:, None]], 1))
    rates = imager.rates(scene, {"agn": 1.0})["input"]
    taken = imager.expose(rates, Exposure(2e4, 1e-5), torch.ones(416, 416, dtype=torch.bool))
    counts_HW = taken.draw(torch.Generator().manual_seed(0))
    rate_HW = (counts_HW - taken.background_HW) / taken.exposure_HW
    image = Image.of(rate_HW, taken.exposure_HW, taken.background_HW, Psf(), 4.0)
    found = detect_photons(image)
    sure = found.arcsec_N2[found.score_N > 5.5]
    assert len(sure) == 4
    away = np.hypot(*(sure[:, None] - place_N2.double().numpy()[None]).transpose(2, 0, 1))
    assert (away.min(0) < [0.5, 1.0, 0.5, 3.0]).all()


def test_pairs_are_parted_only_by_detections_at_both_places():
    none_N = np.full(2, np.nan)
    pair = matching.Matched(
        flux_N=np.array([2e-14, 1e-14]),
        counts_N=np.array([200.0, 100.0]),
        theta_N=np.zeros(2),
        score_N=np.array([9.0, 8.0]),
        offset_N=np.array([0.5, 3.0]),
        ratio_N=none_N,
        alone_N=np.zeros(2, dtype=bool),
        apart_N=np.array([10.0, 10.0]),
        partner_N=np.array([1, 0]),
        false_M=np.zeros(0),
    )
    row = completeness.deblending(pair, 5.0)[1]
    assert row == {"low": 8, "high": 12, "n": 1, "share": 1, "flux_ratio": 2, "counts": 100}
    assert completeness.deblending(pair, 8.5)[1]["share"] == 0
    far = replace(pair, offset_N=np.array([0.5, 6.0]))
    assert completeness.deblending(far, 5.0)[1]["share"] == 0


def test_tables_of_sources():
    columns = {"flux_ratio": 2, "n": 3, "counts": 100.0}
    rows = [
        {"low": low, "high": high, "share": 0.5, **columns}
        for low, high in pairwise(matching.SEPARATIONS)
    ]
    each = {
        "completeness_at_half": 0.6,
        "flux_50": 2e-15,
        "flux_ratio": {"median": 0.98},
        "offset_arcsec": {"median": None},
        "pairs_resolved": rows,
    }
    figures, pairs = source_tables({"input": each, "network": each}, "superres 1")
    assert figures.lines[0].label == "superres 1"
    assert figures.lines[1].values == {
        "completeness_at_half": 0.6,
        "flux_50": pytest.approx(2),
        "flux_ratio": 0.98,
    }
    assert pairs.columns[0].unit == "3 pairs, 100 counts, 1:2.0"
    assert source_tables({}, "none") == ()
